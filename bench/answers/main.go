// Command answers measures what it would take to keep how every port answered in every scan, closed and silent ones too, in an
// inventory: two bits a position, as a map of all (a base) or as what changed since the scan before (a delta).
// See docs/decisions/0022-answers-of-every-port.md, which has its output.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A position's answer: two bits.
const (
	silent = iota
	closed
	filtered
	open
)

func main() {
	bits := flag.Int("bits", 24, "positions, as a power of two: 24 are one port of a /8")
	days := flag.Int("days", 14, "scans, one a day")
	seed := flag.Uint64("seed", 1, "of the random network")
	flag.Parse()
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false)) // as results/inventory/codec.go
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("one port of a network of 2^%d addresses, a tenth of which answer (in nets: an eleventh, most of them in every tenth /24): 97 %% closed, 2 %% filtered, 1 %% open\n", *bits)
	fmt.Println("hosts      change a day  base, bytes  changes a day  map of changes  sorted changes  bytes a change  making it  a year, 10 ports")
	for _, dense := range []bool{false, true} {
		for _, share := range []float64{0.001, 0.01, 0.05} {
			measure(zip, 1<<*bits, *days, dense, share, rand.New(rand.NewPCG(*seed, 0)))
		}
	}
}

// measure sweeps a network of which a share of the hosts that answer changes from day to day. Dense hosts fill a tenth of the /24s.
func measure(zip *zstd.Encoder, n, days int, dense bool, share float64, rng *rand.Rand) {
	now := make([]byte, n)
	place := func() int {
		if dense {
			return rng.IntN(n/256)/10*10*256 + rng.IntN(256) // every tenth /24
		}
		return rng.IntN(n)
	}
	answer := func() byte {
		switch x := rng.IntN(100); {
		case x < 97:
			return closed
		case x < 99:
			return filtered
		}
		return open
	}
	live, most := 0, n/10
	if dense { // every tenth /24 has no more, and some hosts are elsewhere
		most = n / 11
	}
	for live < most {
		at := place()
		if dense && rng.IntN(8) == 0 {
			at = rng.IntN(n)
		}
		if now[at] == silent {
			now[at] = answer()
			live++
		}
	}
	base := len(zip.EncodeAll(packed(now), nil))
	var changes, maps, lists int
	var took time.Duration
	for range days {
		var changed []int
		for range int(share * float64(live)) { // a host goes, or one comes
			at := place()
			if now[at] == silent {
				now[at] = answer()
			} else {
				now[at] = silent
			}
			changed = append(changed, at)
		}
		slices.Sort(changed)
		changed = slices.Compact(changed)
		differs := make([]byte, n)
		for _, at := range changed {
			differs[at] = now[at] ^ 3 // not 0
		}
		maps += len(zip.EncodeAll(packed(differs), nil))
		begin := time.Now()
		var gaps, states []byte
		last := 0
		for i, at := range changed {
			gaps = binary.AppendUvarint(gaps, uint64(at-last))
			last = at
			if i%4 == 0 {
				states = append(states, 0)
			}
			states[i/4] |= now[at] << (i % 4 * 2)
		}
		lists += len(zip.EncodeAll(append(gaps, states...), nil))
		took += time.Since(begin)
		changes += len(changed)
	}
	kind := "scattered"
	if dense {
		kind = "in nets"
	}
	perDay := float64(lists) / float64(days)
	fmt.Printf("%-9s  %11.1f%%  %11d  %13d  %14d  %14d  %14.2f  %6.1f ms  %10.0f MB\n", kind, 100*share, base, changes/days, maps/days, lists/days,
		float64(lists)/float64(changes), float64(took.Microseconds())/1000/float64(days), (365*perDay+12*float64(base))*10/1e6)
}

// packed are four answers a byte.
func packed(all []byte) []byte {
	b := make([]byte, (len(all)+3)/4)
	for i, a := range all {
		b[i/4] |= a << (i % 4 * 2)
	}
	return b
}
