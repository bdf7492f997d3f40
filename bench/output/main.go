// Command output measures what records cost on their way out:
//
//   - how many port records a second each format writes to a file on one core, encoder, queue and
//     system calls together;
//   - how much slower a scan of a simulated internet is when one reply in ten is a record in a file, against
//     the same scan whose replies are all no records. The runs come in pairs, in alternating order, and the
//     medians are told.
//
// All of it happens in network namespaces of its own. Loading the simulated internet needs root.
//
//	go run ./bench/output [-records N] [-runs N] [-prefix P] [-backends LIST] [-document docs/performance.md]
package main

import (
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"strings"

	"synoptic/bench"
	"synoptic/bench/lab/testnet"
)

// options are the command line, understood.
type options struct {
	records  int          // written by each format, 0: formats are not measured
	runs     int          // of each format, and pairs of scans with each backend
	prefix   netip.Prefix // scanned, one port on each address
	backends []string
	rate     string
	dir      string // for what is written
	document string // to put the tables into
}

func main() {
	log.SetFlags(0)
	o, err := parse(os.Args[1:])
	if err != nil {
		log.Print(err)
		os.Exit(2)
	}
	if err := testnet.Enter(); err != nil {
		log.Fatal(err)
	}
	if err := run(o); err != nil {
		log.Fatal(err)
	}
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("output", flag.ContinueOnError)
	f.IntVar(&o.records, "records", 1_000_000, "records that each format writes; 0 leaves the formats out")
	f.IntVar(&o.runs, "runs", 5, "runs of each format, and pairs of scans")
	prefix := f.String("prefix", "10.128.0.0/10", "`addresses` that are scanned, /9 at most")
	backends := f.String("backends", "afpacket,ebpf", "backends that scan; none leaves the scans out")
	f.StringVar(&o.rate, "rate", "10M", "rate that the scans are asked for: more than they can")
	f.StringVar(&o.dir, "dir", "", "folder for what is written (default the system's for temporary files)")
	f.StringVar(&o.document, "document", "", "file to put the tables into, between the markers of the name output")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.prefix, err = netip.ParsePrefix(*prefix); err != nil || !o.prefix.Addr().Is4() || o.prefix.Bits() < 9 {
		return o, fmt.Errorf("-prefix %q: want an IPv4 prefix from /9 to /32", *prefix)
	}
	o.prefix = o.prefix.Masked()
	if o.records < 0 || o.records > 100_000_000 || o.runs < 1 || o.runs > 100 || f.NArg() > 0 {
		return o, fmt.Errorf("want -records from 0 to 100,000,000, -runs from 1 to 100, and no arguments")
	}
	if *backends != "none" {
		o.backends = strings.Split(*backends, ",")
	}
	return o, nil
}

func run(o options) error {
	dir, err := os.MkdirTemp(o.dir, "synoptic-output-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var text strings.Builder
	if o.records > 0 {
		all, err := measureFormats(dir, o.records, o.runs)
		if err != nil {
			return err
		}
		writeFormats(&text, o.records, all)
	}
	if len(o.backends) > 0 {
		all, err := measureScans(dir, o)
		if err != nil {
			return err
		}
		writeScans(&text, o, all)
	}
	fmt.Print(text.String())
	if o.document == "" {
		return nil
	}
	if _, err := os.Stat(o.document); err != nil { // it is not made here
		return err
	}
	return bench.WriteSection(o.document, "output", text.String())
}
