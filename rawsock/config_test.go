package rawsock

import (
	"strings"
	"testing"
	"time"
)

func TestTxConfig(t *testing.T) {
	good := TxConfig{Interface: 1, FrameLen: 54}
	for _, tc := range []struct {
		name   string
		change func(*TxConfig)
		want   []string // parts of the error; none: accepted
	}{
		{"zero values", func(*TxConfig) {}, nil},
		{"no interface", func(c *TxConfig) { c.Interface = 0 }, []string{"interface index 0"}},
		{"unknown framing", func(c *TxConfig) { c.Framing = 3 }, []string{"framing(3)"}},
		{"shortest ethernet", func(c *TxConfig) { c.FrameLen = 34 }, nil},
		{"too short for ethernet", func(c *TxConfig) { c.FrameLen = 33 }, []string{"33", "34"}},
		{"shortest without header", func(c *TxConfig) { c.Framing, c.FrameLen = None, 20 }, nil},
		{"too short for IP", func(c *TxConfig) { c.Framing, c.FrameLen = Loopback, 19 }, []string{"19", "20"}},
		{"too long", func(c *TxConfig) { c.FrameLen = 1<<16 + 1 }, []string{"65537", "65536"}},
		{"largest batch", func(c *TxConfig) { c.Batch = 1024 }, nil},
		{"batch beyond UIO_MAXIOV", func(c *TxConfig) { c.Batch = 1025 }, []string{"1025", "1024"}},
		{"negative batch", func(c *TxConfig) { c.Batch = -1 }, []string{"-1"}},
		{"negative buffer", func(c *TxConfig) { c.SendBuffer = -1 }, []string{"-1"}},
		{"bypass on loopback", func(c *TxConfig) { c.Framing, c.BypassQdisc = Loopback, true }, []string{"qdisc"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := good
			tc.change(&c)
			got, err := c.withDefaults()
			checkConfigError(t, err, tc.want)
			if err == nil && (got.Batch == 0 || got.SendBuffer == 0) {
				t.Errorf("defaults missing: %+v", got)
			}
		})
	}
}

func TestRingGeometry(t *testing.T) {
	const page = 4096
	good := RxConfig{Interface: 1, PortMin: 61000, PortMax: 61007}
	for _, tc := range []struct {
		name   string
		change func(*RxConfig)
		want   []string
	}{
		{"zero values", func(*RxConfig) {}, nil},
		{"no interface", func(c *RxConfig) { c.Interface = -1 }, []string{"interface index -1"}},
		{"every interface", func(c *RxConfig) { c.Interface = 0 }, nil},
		{"every interface but some", func(c *RxConfig) { c.Interface, c.Except = 0, []int{1, 2} }, nil},
		{"one interface but some", func(c *RxConfig) { c.Except = []int{1, 2} }, []string{"index 1", "2 exceptions"}},
		{"every interface and its header", func(c *RxConfig) { c.Interface, c.LinkHeader, c.Snap = 0, 14, 200 }, nil},
		{"every interface and another header", func(c *RxConfig) { c.Interface, c.LinkHeader, c.Snap = 0, 16, 200 }, []string{"16 bytes", "14"}},
		{"port 0", func(c *RxConfig) { c.PortMin = 0 }, []string{"0 to 61007"}},
		{"one port", func(c *RxConfig) { c.PortMin = 61007 }, nil},
		{"reversed ports", func(c *RxConfig) { c.PortMin = 61008 }, []string{"61008 to 61007"}},
		{"shortest snap", func(c *RxConfig) { c.Snap = MinSnap }, nil},
		{"snap too short", func(c *RxConfig) { c.Snap = MinSnap - 1 }, []string{"135", "136"}},
		{"shortest snap with a link header", func(c *RxConfig) { c.LinkHeader, c.Snap = 14, MinSnap+14 }, nil},
		{"snap too short with a link header", func(c *RxConfig) { c.LinkHeader, c.Snap = 14, MinSnap+13 }, []string{"149", "150"}},
		{"negative link header", func(c *RxConfig) { c.LinkHeader = -1 }, []string{"-1"}},
		{"link header too long", func(c *RxConfig) { c.LinkHeader = 17 }, []string{"17", "16"}},
		{"snap too long", func(c *RxConfig) { c.Snap = 1<<16 + 1 }, []string{"65537", "65536"}},
		{"block not of pages", func(c *RxConfig) { c.BlockBytes = 4097 }, []string{"4097", "4096"}},
		{"negative block", func(c *RxConfig) { c.BlockBytes = -4096 }, []string{"-4096", "4096"}},
		{"packet larger than block", func(c *RxConfig) { c.BlockBytes, c.Snap = 4096, 4000 }, []string{"4096", "4144"}},
		{"ring not of blocks", func(c *RxConfig) { c.RingBytes = defaultBlock*2 + 1 }, []string{"131073", "65536"}},
		{"ring of two blocks", func(c *RxConfig) { c.RingBytes = defaultBlock * 2 }, nil},
		{"ring of one block", func(c *RxConfig) { c.RingBytes = defaultBlock }, []string{"65536 bytes: must hold two blocks of 65536"}},
		{"retire below a millisecond", func(c *RxConfig) { c.Retire = time.Microsecond }, []string{"1µs"}},
		{"retire not whole", func(c *RxConfig) { c.Retire = 1500 * time.Microsecond }, []string{"1.5ms"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := good
			tc.change(&c)
			g, err := c.geometry(page)
			checkConfigError(t, err, tc.want)
			if err != nil {
				return
			}
			// What packet_set_ring (net/packet/af_packet.c) checks.
			if g.slotBytes%16 != 0 || g.slotBytes < slotHeader+g.snap {
				t.Errorf("slot of %d bytes for a snap of %d", g.slotBytes, g.snap)
			}
			if g.slots != g.blockBytes/g.slotBytes*g.blocks {
				t.Errorf("%d slots in %d blocks", g.slots, g.blocks)
			}
			if c.RingBytes == 0 && g.blocks*g.blockBytes < 16<<20 {
				t.Errorf("default ring of %d bytes", g.blocks*g.blockBytes)
			}
		})
	}
}

func checkConfigError(t *testing.T, err error, want []string) {
	t.Helper()
	if (err != nil) != (len(want) > 0) {
		t.Fatalf("error %v, want one with %q", err, want)
	}
	for _, part := range want {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}
