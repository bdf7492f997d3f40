package xdp

import (
	"testing"

	"synoptic/bench/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }
