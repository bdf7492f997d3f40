package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results/inventory"
)

func newHistoryCommand(std streams) *cobra.Command {
	var f inventoryFlags
	since := ""
	cmd := &cobra.Command{
		Use:   "history [flags] DB ADDRESS[:PORT]|PREFIX",
		Short: "Say when ports of an address or a network were open",
		Long: `Says from an inventory when ports were open, with both ends of what is not known
exactly: a port opened between the last scan that asked and found it shut, and
the first that found it open.`,
		Example: `  synoptic history inventory.db 10.20.3.4
  synoptic history inventory.db 10.20.3.4:443
  synoptic history inventory.db 10.20.0.0/16 --since 30d`,
		Args:    needsWords("history", 2, 2, "DB", "ADDRESS[:PORT]|PREFIX"),
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, words []string) error {
			return f.settings.blame(runHistory(&f, words[0], words[1], since, std, time.Now()))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic history --help"))
	f.register(cmd.Flags(), "only what is seen from the vantage `NAME`")
	cmd.Flags().Var((*word)(&since), "since", "only what began or ended within an `AGE` such as "+inventory.Ages+", or since a date such as 2026-11-01")
	_ = cmd.RegisterFlagCompletionFunc("since", fixed("1d", "7d", "30d")) // the flag is there
	cmd.ValidArgsFunction = completeDatabase()
	return cmd
}

// about understands the endpoints that history is asked for; port 0 is every one.
func about(word string) (p netip.Prefix, port uint16, err error) {
	if at, err := netip.ParseAddrPort(word); err == nil && at.Port() != 0 {
		addr := at.Addr().Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), at.Port(), nil
	}
	if addr, err := netip.ParseAddr(word); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), 0, nil
	}
	if p, err := netip.ParsePrefix(word); err == nil {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Masked(), 0, nil
	}
	return p, 0, usage("give an address (10.0.0.1), one with a port (10.0.0.1:443, [2001:db8::1]:443), or a prefix (10.0.0.0/16)",
		"%q is neither an address nor a prefix", shorter(word))
}

// sinceWhen understands --since.
func sinceWhen(word string, now time.Time) (time.Time, error) {
	if word == "" {
		return time.Time{}, nil
	}
	if age, err := inventory.ParseAge(word); err == nil {
		return now.Add(-age), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, word, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("give an age such as "+inventory.Ages+", or a date such as 2026-11-01", "--since %s is neither", shorter(word))
}

// parseAge understands a flag that takes nothing but an age.
func parseAge(flag, word string) (time.Duration, error) {
	age, err := inventory.ParseAge(word)
	if err != nil {
		return 0, usage("give an age such as "+inventory.Ages, "%s: %q is no age", flag, shorter(word))
	}
	return age, nil
}

func runHistory(f *inventoryFlags, path, what, since string, std streams, now time.Time) error {
	prefix, port, err := about(what)
	if err != nil {
		return err
	}
	from, err := sinceWhen(since, now)
	if err != nil {
		return err
	}
	db, err := readInventory(path)
	if err != nil {
		return err
	}
	defer db.Close()
	all, err := db.History(prefix, port, from)
	if err != nil {
		return failure{err}
	}
	rows := [][]string{{"ADDRESS", "PORT", "STATE", "OPENED AFTER", "SEEN OPEN", "LAST", "SHUT BY", "SERVICE", "VANTAGE"}}
	for _, i := range all {
		if f.vantage != "" && i.Vantage != f.vantage {
			continue
		}
		if f.lines(std) {
			if err := writeLine(std.text, i); err != nil {
				return err
			}
		}
		rows = append(rows, []string{
			i.Addr.String(), strconv.Itoa(int(i.Port)), stateOf(&i), ago(i.NotBefore), ago(i.First), ago(i.Last), ago(i.Until),
			screen.Printable(i.Service), screen.Printable(i.Vantage),
		})
	}
	if f.lines(std) {
		return nil
	}
	if len(rows) == 1 {
		_, err := fmt.Fprintln(std.text, "nothing is known to have been open")
		return err
	}
	return screen.WriteGrid(std.text, rows[0], rows[1:], 0)
}

// stateOf is "open", or how the interval ended.
func stateOf(i *inventory.Interval) string {
	if i.Open() {
		return "open"
	}
	return i.How
}
