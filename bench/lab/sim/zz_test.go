package sim

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestZZ(t *testing.T) {
	c := steeredCells[1]
	for range 1 {
		synctest.Test(t, func(t *testing.T) {
			d := c.scan(1)
			o := d.run(t, nil)
			var at, bl [300]int
			var last time.Duration
			for i := range o.log.Probes {
				p := &o.log.Probes[i]
				if k := int(p.At / (100 * ms)); k < len(at) {
					if p.SourcePort == o.BeaconPort {
						bl[k]++
					} else {
						at[k]++
						last = max(last, p.At)
					}
				}
			}
			t.Logf("%v %v\n%v", last, at[:last/(100*ms)+1], bl[:last/(100*ms)+1])
		})
	}
}
