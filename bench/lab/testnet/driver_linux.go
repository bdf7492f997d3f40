package testnet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/safchain/ethtool"
)

// Unreturned is how many frames the scanner's end of the link was told to send back (XDP_TX) and could not, since the other end
// had no room: the driver alone counts them.
func (n *Network) Unreturned(t testing.TB) (frames uint64) {
	t.Helper()
	err := within(n.home, func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		stats, err := e.Stats(n.Link)
		if err != nil {
			return err
		}
		counted := false
		for name, v := range stats {
			if strings.HasSuffix(name, "_xdp_tx_errors") { // of each queue; drivers/net/veth.c
				frames += v
				counted = true
			}
		}
		if !counted {
			return fmt.Errorf("no counter among %d", len(stats))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("what %s could not send back: %v", n.Link, err)
	}
	return frames
}
