package main

import (
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"synoptic/cmd/synoptic/screen"
	"synoptic/rawsock/listeners"
	"synoptic/results"
	"synoptic/results/exposure"
	"synoptic/results/inventory"
)

// listenersFlags are the words of the command line, not yet understood.
type listenersFlags struct {
	allNetNS, hidden, json, exitCode bool
	compare                          []string
	vantage                          string
}

func newListenersCommand(std streams, logs *logFormat) *cobra.Command {
	var f listenersFlags
	var s settings
	cmd := &cobra.Command{
		Use:   "listeners [flags]",
		Short: "List what listens on this host, and hold it against a scan",
		Long: `Lists the TCP sockets that listen on this host, with the systemd unit or the
container, the processes and the user that own them. With --compare it says of
each whether a scan saw it, or an inventory knows it to be open, and names what
was seen open though nothing listens there: rules that lead elsewhere, virtual
servers, BPF programs, and what none of these explains.

On a terminal it is a table; redirected, JSON lines. Root sees everything,
others see no processes of other users.`,
		Example: `  synoptic listeners --all-netns
  synoptic listeners --compare scan.jsonl --exit-code
  synoptic listeners --compare inventory.db
  synoptic listeners --hidden --json > listeners.jsonl`,
		Args: func(_ *cobra.Command, words []string) error {
			if len(words) > 0 {
				return usage("give files of scans by --compare FILE", "listeners takes no %q", shorter(words[0]))
			}
			return nil
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error { return s.fill(cmd, lookupEnv) },
		RunE:    func(*cobra.Command, []string) error { return runListeners(&f, std, logs) },
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic listeners --help"))
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.allNetNS, "all-netns", false, "look into every network namespace, not only into the own one")
	fl.Var((*words)(&f.compare), "compare", "hold the list against the records of scans in `FILE`, or against an inventory; can be repeated, and - is standard input")
	fl.Var((*word)(&f.vantage), "vantage", "with an inventory, only what is seen from the vantage `NAME`")
	fl.BoolVar(&f.hidden, "hidden", false, "bind every port for a moment, to find those that something hidden has")
	registerJSON(fl, &f.json, "")
	fl.BoolVar(&f.exitCode, "exit-code", false, "exit with code 5 where a mismatch is not explained")
	return cmd
}

// runListeners does what the command says.
func runListeners(f *listenersFlags, std streams, logs *logFormat) error {
	log := logs.logger(std.err)
	if f.exitCode && len(f.compare) == 0 && !f.hidden {
		return usage("add --compare FILE or --hidden", "--exit-code: nothing is compared")
	}
	in, db, err := f.open(std, log, *logs)
	if err != nil {
		return err
	}
	if db != nil {
		defer db.Close()
	}
	seen, err := listeners.Take(listeners.Config{All: f.allNetNS})
	if err != nil {
		return failure{err}
	}
	for _, issue := range seen.Issues {
		log.Warn("not seen: "+issue.Error(), hintKey, issue.Hint())
	}
	a := newAudit(seen, time.Now())
	exposure.Publish(a.host)
	switch {
	case in != nil:
		err = a.compare(in)
	case db != nil:
		err = a.compareKnown(db, f.vantage)
	}
	if err != nil {
		return err
	}
	if f.hidden {
		a.findHidden(seen, log)
	}
	if err := a.write(f, std); err != nil {
		return err
	}
	if f.exitCode && a.unexplained() {
		return exit(exitFound)
	}
	return nil
}

// open opens what the host is held against: files of records, or an inventory.
func (f *listenersFlags) open(std streams, log *slog.Logger, logs logFormat) (in *input, db *inventory.DB, err error) {
	switch one := slices.ContainsFunc(f.compare, isDatabase); {
	case f.vantage != "" && !one:
		return nil, nil, usage("give an inventory by --compare FILE too, or leave --vantage out", "--vantage without an inventory")
	case one && len(f.compare) > 1:
		return nil, nil, usage("synoptic inventory import adds the records of scans to an inventory", "--compare: an inventory is compared by itself, and %s are given", inputNames(f.compare))
	case one:
		db, err = readInventory(f.compare[0])
		return nil, db, err
	case len(f.compare) == 0:
		return nil, nil, nil
	}
	if in, err = newInput(f.compare, std.in); err != nil {
		return nil, nil, err
	}
	in.log = log
	if slices.Contains(in.files, "-") {
		tellStdin(std, logs)
	}
	return in, nil, nil
}

// audit is the host as records have it.
type audit struct {
	now       int64
	name      string
	host      []*exposure.Namespace
	listeners []*results.Listener
	found     []results.Mismatch
}

func newAudit(s *listeners.Snapshot, now time.Time) *audit {
	a := &audit{now: now.UnixNano()}
	a.name, _ = os.Hostname() // the record has none then
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		e := &exposure.Namespace{Name: n.Name, Local: n.Local, SKLookup: n.SKLookup, Unread: n.Unread, Published: publishedOf(n.Published)}
		if n.Inode != 0 {
			e.NetNS = strconv.FormatUint(n.Inode, 10)
		}
		e.Hidden = func(port uint16) (bool, error) {
			ports, err := n.Hidden(port, port)
			return len(ports) > 0, err
		}
		for k := range n.Listeners {
			l := a.record(&n.Listeners[k], e)
			e.Listeners = append(e.Listeners, l)
			a.listeners = append(a.listeners, l)
		}
		a.host = append(a.host, e)
	}
	return a
}

// record is a listener as it is written.
func (a *audit) record(l *listeners.Listener, n *exposure.Namespace) *results.Listener {
	r := &results.Listener{
		Time: a.now, Host: a.name, Addr: l.Addr, Port: l.Port, Iface: l.Iface, V6Only: l.V6Only, NetNS: n.NetNS, NetNSName: n.Name,
		Unit: l.Unit, Container: l.Container, CGroup: l.CGroup, UID: l.UID, Sockets: l.Sockets, Backlog: l.Backlog, Queued: l.Queued,
		Orphan: l.Orphan, Published: publishedOf(l.Published),
	}
	for _, p := range l.Processes {
		r.Processes = append(r.Processes, results.Process(p))
	}
	return r
}

func publishedOf(all []listeners.Published) (records []results.Published) {
	for _, p := range all {
		records = append(records, results.Published(p))
	}
	return records
}

// compare holds the host against the records of scans, of which only those about its own addresses are kept.
func (a *audit) compare(in *input) error {
	var view exposure.Records
	scanner := map[string]string{} // by scan: 127.0.0.1 is the host that scans
	read := 0
	for into := new(results.Records); ; {
		err := in.read(into)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		read++
		if into.Start != nil {
			scanner[into.ScanID] = into.Start.Scanner
		}
		for i := range into.Ports {
			p := &into.Ports[i]
			if p.Addr.IsLoopback() && scanner[into.ScanID] != a.name {
				continue
			}
			view.Add(into.ScanID, p)
		}
	}
	if read == 0 {
		return failure{usage("compare reads the JSON lines that synoptic scan writes with -o FILE", "no record in %s", inputNames(in.files))}
	}
	a.hold(&view)
	return nil
}

// compareKnown holds the host against what an inventory knows of its addresses.
func (a *audit) compareKnown(db *inventory.DB, vantage string) error {
	view, err := seenByInventory(db, vantage, a.name, a.host)
	if err != nil {
		return failure{err}
	}
	if a.hold(view); view.err != nil {
		return failure{view.err}
	}
	return nil
}

// hold holds the host against a view of it.
func (a *audit) hold(view exposure.View) {
	for _, m := range exposure.Compare(a.host, view) {
		m.Time, m.Host = a.now, a.name
		a.found = append(a.found, m)
	}
}

// inputNames are the files as a message names them.
func inputNames(files []string) string {
	names := slices.Clone(files)
	if i := slices.Index(names, "-"); i >= 0 {
		names[i] = "standard input"
	}
	return strings.Join(names, ", ")
}

// findHidden tries all ports of all namespaces.
func (a *audit) findHidden(s *listeners.Snapshot, log *slog.Logger) {
	for i := range s.Namespaces {
		ports, err := s.Namespaces[i].Hidden(1, 65535)
		if err != nil {
			log.Warn("hidden sockets: "+err.Error(), hintKey, hintOf(err))
		}
		n := a.host[i]
		for _, port := range ports {
			known := slices.ContainsFunc(a.found, func(m results.Mismatch) bool {
				return m.Kind == results.HiddenSocket && m.Port == port && m.NetNS == n.NetNS
			})
			if !known {
				a.found = append(a.found, results.Mismatch{
					Time: a.now, Host: a.name, Kind: results.HiddenSocket, Addr: netip.IPv6Unspecified(), Port: port, NetNS: n.NetNS, NetNSName: n.Name,
					Why: "the port cannot be bound, though nothing that the kernel shows has it",
				})
			}
		}
	}
}

func (a *audit) unexplained() bool {
	return slices.ContainsFunc(a.found, func(m results.Mismatch) bool { return !m.Explained() })
}

// write writes the tables, or the records.
func (a *audit) write(f *listenersFlags, std streams) error {
	if f.json || !term.IsTerminal(int(std.out.Fd())) {
		var b []byte
		for _, l := range a.listeners {
			b = append(l.AppendJSON(b), '\n')
		}
		for i := range a.found {
			b = append(a.found[i].AppendJSON(b), '\n')
		}
		_, err := std.text.Write(b)
		return err
	}
	columns := screen.Columns(std.out)
	if err := screen.WriteListeners(std.text, a.listeners, userName, columns); err != nil || len(a.found) == 0 {
		return err
	}
	if _, err := io.WriteString(std.text, "\n"); err != nil {
		return err
	}
	return screen.WriteMismatches(std.text, a.found, columns)
}

// userName is the name of a user of this host, else the number; "" where it is not known.
func userName(uid int64) string {
	if uid < 0 {
		return ""
	}
	number := strconv.FormatInt(uid, 10)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}
