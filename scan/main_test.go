package scan

import (
	"testing"

	"synoptic/bench/lab/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }
