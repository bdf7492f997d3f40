package engine

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"synoptic/scan/rtt"
	"synoptic/scan/schedule"
)

// Chunks share no entry of the send times, so that lanes need not agree on them.
func TestChunksShareNoSendTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(1, 50e6).Draw(t, "rate")
		positions := rapid.Uint64Range(1, 1<<40).Draw(t, "positions")
		reach := rapid.Uint64Range(64, 1<<30).Draw(t, "reach")
		chunk, granule := schedule.ChunkLen(rate, reach, false), rtt.NewSendTimes(rate, positions).Granule()
		if chunk%granule != 0 && reach > 1<<20 {
			t.Fatalf("chunks of %d positions, entries of %d", chunk, granule)
		}
	})
}

// Lanes store out of order: what one lane has sent last does not make the entries of another one's
// chunks look newer, or take those of positions a span ahead.
func TestSendTimesOutOfOrder(t *testing.T) {
	_, ph := lanePhase(t, 1<<20)
	ph.ev.rate = 16 // of 8 s: a span of 128 positions
	l := &txLane{ev: &ph.ev}
	p := &schedule.Pass{First: true, Step: schedule.All, Chunk: schedule.Chunk{End: ph.plan.Positions.End}}
	at := func(us int64) int64 { return 1_800_000_000e9 + us*1000 }
	l.sentAt(p, []uint64{300, 301}, at(10), 0)
	l.sentAt(p, []uint64{200, 201}, at(20), 0) // a lane behind
	for pos, sent := range map[uint64]int64{300: 10, 301: 10, 200: 20, 201: 20} {
		if got, ok := ph.ev.times[0].Load().RTT(pos, at(50)); !ok || got != time.Duration(50-sent)*time.Microsecond {
			t.Errorf("position %d, sent at %d µs: %v, %v", pos, sent, got, ok)
		}
	}
	l.sentAt(p, []uint64{172, 173}, at(30), 0) // a lane more than a span behind
	if got, ok := ph.ev.times[0].Load().RTT(300, at(50)); !ok || got != 40*time.Microsecond {
		t.Errorf("position 300: %v, %v after its entry was stored for 172", got, ok)
	}
	if got, ok := ph.ev.times[0].Load().RTT(172, at(50)); ok {
		t.Errorf("position 172, a span behind, has the round trip %v", got)
	}
}
