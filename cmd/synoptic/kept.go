package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"synoptic/results"
	"synoptic/results/inventory"
	"synoptic/results/policy"
	"synoptic/results/sink"
	"synoptic/scan/confirm"
)

// kept is the inventory of a scan; nil where there is none.
type kept struct {
	db     *inventory.DB
	sink   *inventoried
	delays []time.Duration // when to ask again what is otherwise than was known; none: not at all
	outbox outbox

	policy     *policy.Policy // that is judged by behind the scan; nil: none
	policyFile string
	unjudged   bool

	again   []results.Port // that are open, as was found when they were asked again
	doubted int            // endpoints of which nothing is known after that
}

// openKept opens the inventory before the first probe.
func openKept(path, vantage, confirm, policyFile string, outputs []string) (*kept, error) {
	switch {
	case path == "" && policyFile != "":
		return nil, usage("give --inventory FILE too, or judge the records: synoptic check POLICY FILE", "--policy without --inventory")
	case path == "" && vantage != "":
		return nil, usage("give --inventory FILE too, or leave --vantage out", "--vantage without --inventory")
	case path == "" && confirm != "":
		return nil, usage("give --inventory FILE too, or leave --confirm out", "--confirm without --inventory")
	case path == "":
		return nil, nil
	}
	delays, err := parseDelays(confirm)
	if err != nil {
		return nil, fmt.Errorf("--confirm: %w", err)
	}
	for _, spec := range outputs {
		if _, to := sink.Split(spec); same(to, path) || filepath.Clean(to) == filepath.Clean(path) {
			return nil, usage("write to another file", "output %q is the inventory itself", spec)
		}
	}
	k := &kept{delays: delays, policyFile: policyFile}
	if policyFile != "" {
		if k.policy, err = loadPolicy(policyFile); err != nil {
			return nil, err
		}
	}
	db, err := openInventory(path)
	if err != nil {
		return nil, err
	}
	in := db.Ingest(inventory.Scan{Vantage: vantage, Host: hostName(), Events: true, Hold: true})
	k.db, k.sink, k.outbox = db, &inventoried{in: in}, outbox{db: db}
	return k, nil
}

// maxDelay bounds how long a scan waits to ask again: later, the next scan does.
const maxDelay = 24 * time.Hour

// parseDelays understands --confirm.
func parseDelays(text string) (delays []time.Duration, err error) {
	switch text {
	case "":
		return confirm.DefaultConfig().Delays, nil
	case "none":
		return nil, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(word))
		if err != nil || d <= 0 || d > maxDelay || len(delays) > 0 && d <= delays[len(delays)-1] {
			return nil, usage("write ascending times as in 2s,1m,10m, or none", "%q: times up to a day are wanted", text)
		}
		delays = append(delays, d)
	}
	return delays, nil
}

// before puts the inventory before the outputs of a scan.
func (k *kept) before(outputs results.Sink) results.Sink {
	if k == nil {
		return outputs
	}
	k.sink.Sink = outputs
	return k.sink
}

// delivered takes the events out of the outbox that every output has.
func (k *kept) delivered(outputs []results.Delivery) {
	if k != nil {
		k.sink.keep(func() error { return k.outbox.delivered(outputs) })
	}
}

func (k *kept) close() {
	if k != nil {
		k.db.Close()
	}
}

// tell says what became of the scan, and tells whether it is in the inventory, where there is one, and was judged.
func (k *kept) tell(log *slog.Logger) bool { return k == nil || k.sink.tell(log) && !k.unjudged }

// inventoried is a sink before the outputs of a scan that puts the scan into an inventory too, behind them: what goes wrong there ends
// nothing else.
type inventoried struct {
	results.Sink
	in   *inventory.Ingest
	err  error
	end  *results.ScanEnd // nil: the scan has not ended
	held []results.Notice // what it has covered: records that stand before it
}

func (s *inventoried) Unwrap() results.Sink { return s.Sink }

func (s *inventoried) Start(x *results.ScanStart) error {
	err := s.Sink.Start(x)
	s.keep(func() error { return s.in.Start(x) })
	return err
}

func (s *inventoried) Ports(batch []results.Port) error {
	s.keep(func() error { return s.in.Ports(batch) })
	return s.Sink.Ports(batch)
}

func (s *inventoried) Hosts(batch []results.Host) error {
	s.keep(func() error { return s.in.Hosts(batch) })
	return s.Sink.Hosts(batch)
}

// Notices holds back what the scan has covered, for it may be less when what is otherwise was asked again.
func (s *inventoried) Notices(batch []results.Notice) error {
	s.keep(func() error { return s.in.Notices(batch) })
	var now []results.Notice
	for _, n := range batch {
		if _, ok := n.(*results.CoveragePiece); ok {
			s.held = append(s.held, n)
		} else {
			now = append(now, n)
		}
	}
	return s.Sink.Notices(now)
}

// End holds the closing record back: what is otherwise than was known is asked again before, see kept.finish.
func (s *inventoried) End(x *results.ScanEnd) error {
	s.keep(func() error { return s.in.End(x) })
	s.end = x
	return s.Flush()
}

func (s *inventoried) keep(f func() error) {
	if s.err == nil {
		s.err = f()
	}
}

// tell says what became of the scan, and tells whether it is in the inventory.
func (s *inventoried) tell(log *slog.Logger) bool {
	if s.err != nil {
		log.Error(s.err.Error()+"; the scan is not in it", hintKey, "mend that and add the scan's records: synoptic inventory import DB FILE")
		return false
	}
	if d := s.in.Outcome(); s.end != nil {
		if d.Doubt != nil {
			log.Warn(fmt.Sprintf("inventory: what the scan asked is not known, so nothing ended by it: %v", d.Doubt))
		}
		log.Info(fmt.Sprintf("inventory: %d open, %d of them new; %d open no more", d.Open, d.Opened, d.Ended), "vantage", d.Vantage)
	}
	return true
}
