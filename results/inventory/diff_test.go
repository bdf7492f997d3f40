package inventory

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The last changes in many sweeps, of many endpoints each, are what a table says that each sweep is written into.
func TestLastChanges(t *testing.T) {
	db, err := Open(t.TempDir()+"/changes.db", Config{Spaces: readSpec})
	check(t, err)
	defer db.Close()
	check(t, db.conn.Exec("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF"))
	line := &timeline{db: db, sweeps: []*sweep{{id: 1}}}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	want := map[key]toggle{}
	for id := int64(2); id < 60; id++ {
		one := map[key]toggle{}
		for range rng.IntN(400) {
			k := key(rng.IntN(4000) + 1)
			one[k] = toggle{key: k, opened: rng.IntN(2) == 0, sweep: int32(id), gap: rng.Int64N(9) - 4}
		}
		var all []toggle
		for k, c := range one {
			c.first = c.opened
			all = append(all, c)
			if before, known := want[k]; known {
				c.first = before.first
			}
			want[k] = c
		}
		slices.SortFunc(all, func(a, b toggle) int { return compare(a.key, b.key) })
		check(t, run(db.conn, `INSERT INTO delta VALUES (?, 0, 0, ?)`, id, db.packer.packDelta(all)))
		line.sweeps = append(line.sweeps, &sweep{id: id})
	}
	got, err := db.lastChanges(line, 0, len(line.sweeps)-1)
	check(t, err)
	if len(got) != len(want) {
		t.Fatalf("seed %d: %d endpoints changed, of %d", seed, len(got), len(want))
	}
	for i, c := range got {
		if c != want[c.key] || i > 0 && got[i-1].key >= c.key {
			t.Fatalf("seed %d: the last change is %+v, and not %+v", seed, c, want[c.key])
		}
	}
}
