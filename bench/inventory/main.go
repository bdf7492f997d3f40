// Command inventory measures an inventory over a year: so many open ports of a /8, of which some end every day and as many others open. Records
// go through results/inventory as those of a scan do, in a random order.
//
//	go run ./bench/inventory [-days 365] [-open 1000000] [-changes 0.01] [-events] [-write]
//
// With -write the figures go into docs/inventory.md.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"synoptic/bench"
	"synoptic/results"
	"synoptic/results/coverage"
	"synoptic/results/inventory"
	"synoptic/scan/spec"
)

// planText is that of 10.0.0.0/8 × ten ports.
const planText = "synoptic plan 1\npermutation 1\ntargets\n10.0.0.0-10.255.255.255\nports\n21-23\n25-25\n80-80\n443-443\n445-445\n3389-3389\n8080-8080\n8443-8443\nexclusions\n"

var tenPorts = [10]uint16{21, 22, 23, 25, 80, 443, 445, 3389, 8080, 8443}

func main() {
	log.SetFlags(0)
	b := year{rng: rand.New(rand.NewPCG(13, 1))}
	flag.IntVar(&b.days, "days", 365, "sweeps, one a day")
	flag.IntVar(&b.open, "open", 1_000_000, "open ports")
	flag.Float64Var(&b.changes, "changes", 0.01, "share of them that ends every day, and opens elsewhere")
	flag.BoolVar(&b.events, "events", false, "write changes to the outbox, and take them out after each day")
	write := flag.Bool("write", false, "write the figures into docs/inventory.md")
	flag.Parse()
	if err := b.run(*write); err != nil {
		log.Fatal(err)
	}
}

type year struct {
	days, open int
	changes    float64
	events     bool
	rng        *rand.Rand

	db   *inventory.DB
	ends []netip.AddrPort // open by now
	has  map[netip.AddrPort]bool
	took []time.Duration // of writing each day
	used []time.Duration // of the processor for that
	fed  []time.Duration // of its records before
	gone netip.AddrPort  // one that changed
}

func (b *year) run(write bool) error {
	dir, err := os.MkdirTemp("", "synoptic-inventory-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "inventory.db")
	config := inventory.Config{Spaces: func(text []byte) (inventory.Order, error) {
		s, err := spec.Read(text, 0)
		return func(seed uint64) (inventory.Space, error) { return s.WithSeed(seed) }, err
	}}
	if b.db, err = inventory.Open(path, config); err != nil {
		return err
	}
	b.has = map[netip.AddrPort]bool{}
	for len(b.ends) < b.open {
		b.add()
	}
	for day := range b.days {
		if day > 0 {
			b.change()
		}
		if err := b.sweep(day); err != nil {
			return err
		}
		if day%30 == 0 {
			log.Printf("day %d: %v", day, b.took[day].Round(time.Millisecond))
		}
	}
	if err := b.db.Close(); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if b.db, err = inventory.OpenReader(path, config); err != nil {
		return err
	}
	defer b.db.Close()
	text, err := b.report(info.Size())
	if err != nil {
		return err
	}
	fmt.Print(text)
	if !write {
		return nil
	}
	file, err := bench.ModuleFile("docs/inventory.md")
	if err != nil {
		return err
	}
	return bench.WriteSection(file, "year", text)
}

// add opens a port that was not open.
func (b *year) add() {
	for {
		var addr [4]byte
		binary.BigEndian.PutUint32(addr[:], 10<<24|b.rng.Uint32N(1<<24))
		at := netip.AddrPortFrom(netip.AddrFrom4(addr), tenPorts[b.rng.IntN(len(tenPorts))])
		if !b.has[at] {
			b.has[at] = true
			b.ends = append(b.ends, at)
			return
		}
	}
}

// change is a day: some ports end, and as many others open.
func (b *year) change() {
	for range int(float64(b.open) * b.changes) {
		i := b.rng.IntN(len(b.ends))
		b.gone = b.ends[i]
		delete(b.has, b.ends[i])
		b.ends[i] = b.ends[len(b.ends)-1]
		b.ends = b.ends[:len(b.ends)-1]
		b.add()
	}
}

// sweep gives the records of a day's scan to the inventory.
func (b *year) sweep(day int) error {
	begin := time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC).AddDate(0, 0, day)
	seed := uint64(day + 1)
	id := results.NewScanID()
	space, err := spec.Read([]byte(planText), seed)
	if err != nil {
		return err
	}
	b.rng.Shuffle(len(b.ends), func(i, j int) { b.ends[i], b.ends[j] = b.ends[j], b.ends[i] })
	runtime.GC()
	whole := results.PlanPiece{Time: results.Time(begin), ScanID: id, Part: 1, Parts: 1, Seed: seed, End: space.Len()}
	notices, err := results.PlanPieces(whole, func(w io.Writer) error { _, err := io.WriteString(w, planText); return err })
	if err != nil {
		return err
	}
	in := b.db.Ingest(inventory.Scan{Vantage: "bench", Events: b.events})
	began := time.Now()
	if err := in.Start(&results.ScanStart{ScanID: id, Time: results.Time(begin), Probes: space.Len()}); err != nil {
		return err
	}
	if err := in.Notices(notices); err != nil {
		return err
	}
	batch := make([]results.Port, 0, results.ReadBatch)
	for piece := range slices.Chunk(b.ends, results.ReadBatch) {
		batch = batch[:0]
		for _, at := range piece {
			batch = append(batch, results.Port{Addr: at.Addr(), Port: at.Port(), Reason: results.SYNACK, Time: begin.UnixNano()})
		}
		if err := in.Ports(batch); err != nil {
			return err
		}
	}
	b.fed = append(b.fed, time.Since(began))
	end := &results.ScanEnd{ScanID: id, Time: results.Time(begin.Add(2 * time.Hour)), Complete: true, Coverage: 1, Sent: space.Len()}
	end.Cover([]*coverage.Set{coverage.Of(coverage.Range{End: space.Len()})})
	began = time.Now()
	used := processor()
	if err := in.End(end); err != nil {
		return err
	}
	b.took, b.used = append(b.took, time.Since(began)), append(b.used, processor()-used)
	all, err := b.db.Outbox(0, 1<<24)
	if err == nil && len(all) > 0 {
		err = b.db.Delivered(all[len(all)-1].ID)
	}
	return err
}

// report asks what people ask, several times, and says how long the fastest took.
func (b *year) report(size int64) (string, error) {
	scans, err := b.db.Scans("")
	if err != nil {
		return "", err
	}
	last := len(scans) - 1
	compare := func(from, to int) (best time.Duration, n int, err error) {
		return fastest(func() (n int, err error) {
			for _, err := range b.db.Diff(scans[from], scans[to], false) {
				if err != nil {
					return n, err
				}
				n++
			}
			return n, nil
		})
	}
	day, dayN, err := compare(last-1, last)
	if err != nil {
		return "", err
	}
	all, allN, err := compare(0, last)
	if err != nil {
		return "", err
	}
	address, _, err := fastest(func() (int, error) {
		intervals, err := b.db.History(netip.PrefixFrom(b.gone.Addr(), 32), 0, time.Time{})
		return len(intervals), err
	})
	if err != nil {
		return "", err
	}
	open, openN, err := fastest(func() (n int, err error) {
		for _, err := range b.db.OpenPorts("") {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	})
	if err != nil {
		return "", err
	}
	first, fed := b.took[0], b.fed[len(b.fed)-1]
	took := slices.Sorted(slices.Values(b.took[1:]))
	var s strings.Builder
	fmt.Fprintf(&s, "%s, %d cores, Linux %s, Go %s, %s, load before %s. %d days, %d open ports of 167,772,160 asked, %d of them end every day and as many open.\n\n", bench.Processor(),
		runtime.NumCPU(), bench.Kernel(), strings.TrimPrefix(runtime.Version(), "go"), time.Now().Format(time.DateOnly), bench.Load(), b.days, b.open, int(float64(b.open)*b.changes))
	if b.events {
		fmt.Fprintf(&s, "Each change is an event in the outbox, and delivered before the next day.\n\n")
	}
	fmt.Fprintf(&s, "| what | figure | goal |\n|---|---:|---:|\n")
	fmt.Fprintf(&s, "| size of the file | %.1f MB | ≤ 120 MB |\n", float64(size)/1e6)
	fmt.Fprintf(&s, "| writing a day, median (fastest, slowest) | %s (%s, %s) | ≤ 0.3 s |\n", ms(took[len(took)/2]), ms(took[0]), ms(took[len(took)-1]))
	used := slices.Sorted(slices.Values(b.used[1:]))
	fmt.Fprintf(&s, "| processor time of that, median | %s | |\n", ms(used[len(used)/2]))
	fmt.Fprintf(&s, "| writing the first day | %s | |\n| taking the records of a day, before | %s | |\n", ms(first), ms(fed))
	fmt.Fprintf(&s, "| diff of two days that follow each other, %d changes | %s | ≤ 10 ms |\n", dayN, ms(day))
	fmt.Fprintf(&s, "| diff of the first and the last day, %d changes | %s | ≤ 1 s |\n", allN, ms(all))
	fmt.Fprintf(&s, "| history of an address | %.2f ms | ≤ 1 ms |\n", float64(address.Microseconds())/1000)
	fmt.Fprintf(&s, "| all that is open, %d ports | %s | |\n", openN, ms(open))
	return s.String(), nil
}

// processor is how much processor time the process has used, in ticks of 10 ms (proc(5)); 0 where the system does not say.
func processor() time.Duration {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// fastest runs something several times.
func fastest(f func() (int, error)) (best time.Duration, n int, err error) {
	for range 7 {
		began := time.Now()
		if n, err = f(); err != nil {
			return 0, 0, err
		}
		if d := time.Since(began); best == 0 || d < best {
			best = d
		}
	}
	return best, n, nil
}
