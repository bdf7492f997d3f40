package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"synoptic/results/sink/dest"
)

// groups are the flags as help and man page show them: by what they are about. A command shows those that it has.
var groups = []struct{ title, flags string }{
	{"Targets", "targets-file exclude exclude-file scope ipv4 ipv6 strict"},
	{"Ports", "ports top-ports exclude-ports top line"},
	{"Rate and retries", "rate max-rate min-rate bandwidth rate-per-host rate-per-prefix no-backoff retries retry-gap target-recall wait"},
	{"What is compared", "from to since"},
	{"Evidence", "beacon patience canaries verify min-coverage"},
	{"Path", "interface source-ip source-port gateway-mac spoof-source"},
	{"How probes are sent", "backend syn-profile seed shard lanes batch max-memory"},
	{"Audit", "all-netns compare hidden"},
	{"Output", "output title show json exit-code show-hosts scan-id tag tags-file spool spool-max dead-letters delivery-timeout dir"},
	{"Receivers", "hec-token-file elastic-api-key-file elastic-user elastic-password-file ca-file client-cert client-key"},
	{"Inventory", "inventory vantage state confirm policy events history keep note who undo upgrade check"},
	{"Control and metrics", "control metrics"},
	{"Policy", "explain at"},
	{"Screen", "dry-run yes quiet verbose log-format"},
	{"Settings", "profile"},
	{"Other", "help version"},
}

// section is a part of a help text or of a man page.
type section struct {
	title   string
	text    string // paragraphs
	entries []entry
}

// entry is a word and what it means.
type entry struct{ name, meaning string }

// flagSections are a command's flags by groups. One that no group names stands in the last.
func flagSections(cmd *cobra.Command) (all []section) {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	shown := map[string]bool{}
	for i, g := range groups {
		s := section{title: g.title}
		add := func(f *pflag.Flag) {
			if f != nil && !f.Hidden && !shown[f.Name] {
				shown[f.Name] = true
				s.entries = append(s.entries, flagEntry(f))
			}
		}
		for name := range strings.FieldsSeq(g.flags) {
			add(cmd.Flags().Lookup(name))
		}
		if i == len(groups)-1 {
			cmd.Flags().VisitAll(add)
		}
		if len(s.entries) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// flagEntry is "-p, --ports LIST" and what it means, with its default.
func flagEntry(f *pflag.Flag) entry {
	name := "    --" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", --" + f.Name
	}
	if p := placeholder(f); p != "" {
		name += " " + p
	}
	_, meaning := pflag.UnquoteUsage(f)
	if zero := []string{"", "0", "false", "0s", "[]"}; !slices.Contains(zero, f.DefValue) && !strings.Contains(meaning, "(default") {
		value := f.DefValue
		if strings.HasSuffix(value, "m0s") { // as time.Duration writes a minute
			value = strings.TrimSuffix(value, "0s")
		}
		meaning += " (default " + value + ")"
	}
	return entry{name, meaning}
}

// placeholder stands for the value of a flag; "" where it takes none.
func placeholder(f *pflag.Flag) string {
	if f.NoOptDefVal != "" {
		return ""
	}
	if name, usage := pflag.UnquoteUsage(f); usage != f.Usage { // the usage names it
		return name
	}
	switch f.Value.Type() {
	case "duration":
		return "TIME"
	case "int", "uint16", "uint64", "float64":
		return "N"
	}
	return "VALUE"
}

// formatMeanings says of each output format what it is.
var formatMeanings = map[string]string{
	"jsonl":        "JSON lines, one record each; the default, and what synoptic convert reads",
	"ecs":          "JSON lines in the Elastic Common Schema",
	"ocsf":         "JSON lines in the Open Cybersecurity Schema Framework",
	"csv":          "a header, and a line per port (.csv)",
	"nmap-xml":     "one XML document, as nmap -oX writes it (.xml)",
	"grepable":     "a line per host, as nmap -oG writes it (.gnmap)",
	"masscan-json": "one JSON document, as masscan -oJ writes it",
	"masscan-list": "a line per port, as masscan -oL writes it",
	"pcapng":       "the reply behind each record, its verdict as a comment (.pcapng, .pcap)",
	"table":        "the table of the terminal",
	"list":         "ADDRESS:PORT, one a line",
}

var destinationMeanings = []entry{
	{"FILE", "a file, which is appended to; nmap-xml and masscan-json are rewritten"},
	{"-", "standard output"},
	{"syslog+tcp://HOST[:514]", "a syslog receiver (RFC 6587, octet counting)"},
	{"syslog+tls://HOST[:6514]", "the same over TLS (RFC 5425)"},
	{"unix:PATH", "a Unix socket that takes lines"},
	{"hec+https://HOST[:8088]", "Splunk's HTTP Event Collector"},
	{"elastic+https://HOST[:9200]", "the _bulk API of Elasticsearch and OpenSearch"},
}

// outputSections say what can stand behind -o.
func outputSections() []section {
	formats := section{title: "Outputs", text: "-o [FORMAT:]DEST writes records to DEST; repeated ones write at the same time. Without FORMAT the ending of the file decides, and any other destination gets JSON lines. The formats:"}
	for _, f := range allFormats() {
		formats.entries = append(formats.entries, entry{f, formatMeanings[f]})
	}
	options := section{title: "URL options", text: "After the URL of a receiver, as in hec+https://splunk.example:8088?index=network&ack=true. Secrets do not belong there."}
	for _, o := range dest.URLOptions() {
		options.entries = append(options.entries, entry{o.Name, o.Meaning + ": " + strings.Join(o.Schemes, ", ")})
	}
	return []section{formats, {title: "Destinations", entries: destinationMeanings}, options}
}

// environmentSection says which variables count.
func environmentSection() section {
	return section{
		title: "Environment",
		text: "Every flag has a variable, SYNOPTIC_ and its name in capitals with _ for -: SYNOPTIC_RATE=50k is --rate 50k. Several values of a " +
			"flag that can be repeated are separated by white space; a switch is set by true. The command line takes precedence over the environment, the " +
			"environment over a profile; exclusions add up.",
		entries: []entry{
			{envHECToken, "the token for hec+https"},
			{envElasticKey, "the API key for elastic+https"},
			{envElasticUser + ", " + envElasticPassword, "the user for elastic+https, and the password"},
			{"NO_COLOR", "no colours, if not empty"},
			{"XDG_CONFIG_HOME", "where profiles are searched first (default ~/.config)"},
		},
	}
}

func profileSection() section {
	return section{
		title: "Profiles",
		text: "--profile NAME reads NAME.yaml in $XDG_CONFIG_HOME/synoptic (~/.config/synoptic) or /etc/synoptic; a name with a slash, or one that ends in " +
			".yaml or .yml, is a file. It has the names of flags and their values, one a line, and lists in brackets:",
		entries: []entry{
			{"ports: [22, 80, 443]", ""},
			{"rate: 50k", ""},
			{"exclude-file: [never.txt, printers.txt]", ""},
			{"verify: true", ""},
		},
	}
}

func exitSection() section {
	s := section{title: "Exit codes"}
	for _, c := range []struct {
		code    int
		meaning string
	}{
		{exitComplete, "complete"},
		{exitFailure, "something failed while scanning or converting"},
		{exitUsage, "refused before the first probe: the message says why, the hint how to fix it"},
		{exitStopped, "stopped before the end, by a signal or because the reader of standard output went away"},
		{exitCoverage, "evidence was lost for a part, or coverage is below --min-coverage"},
		{exitFound, "something was found that somebody has to look at: a violation of a policy; with --exit-code also changes, mismatches, rules that do nothing"},
	} {
		s.entries = append(s.entries, entry{fmt.Sprint(c.code), c.meaning})
	}
	return s
}

func signalSection() section {
	return section{title: "Signals", entries: []entry{
		{"SIGUSR1", "print how far the scan is, as Enter does on a terminal"},
		{"SIGINT, SIGTERM", "end the scan in order; a second one ends the program"},
		{"SIGHUP", "reopen the output files, after logrotate has renamed them; without any, end the scan"},
	}}
}

// scannersSection is the table of habits, an entry for each flag of another scanner.
func scannersSection() section {
	s := section{title: "Coming from other scanners", text: "What the flags of nmap, masscan, zmap, naabu and RustScan are called here. Where one is refused, the hint is the line to write."}
	for _, h := range habits {
		says := "synoptic always does that"
		if h.write != always && h.write != "" {
			says = shellLine(h.instead(""))
		}
		switch {
		case h.write == "":
			says = h.why
		case h.why != "":
			says += " (" + h.why + ")"
		}
		s.entries = append(s.entries, entry{strings.ReplaceAll(h.flags, " ", ", ") + " (" + h.of + ")", says})
	}
	return s
}

// topics are help texts that belong to no command.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "outputs", Short: "Formats, destinations and URL options of -o"},
		{Use: "profiles", Short: "Files of settings"},
		{Use: "environment", Short: "Environment variables"},
		{Use: "exit-codes", Short: "Exit codes and signals"},
		{Use: "other-scanners", Short: "Flags of nmap, masscan, zmap, naabu and RustScan, and ours"},
	}
}

// sectionsOf are what a help text has besides its flags.
func sectionsOf(cmd *cobra.Command) []section {
	switch cmd.Name() {
	case "scan", "convert", "diff":
		return slices.Concat(outputSections(), []section{profileSection(), environmentSection(), exitSection(), signalSection()})
	case "import", "export", "stats", "prune", "ack", "baseline", "history":
		return []section{environmentSection(), exitSection()}
	case "listeners":
		return []section{environmentSection(), exitSection()}
	case "check":
		return slices.Concat([]section{policySection()}, outputSections(), []section{profileSection(), environmentSection(), exitSection()})
	case "lint", "init":
		return []section{policySection(), environmentSection(), exitSection()}
	case "report":
		return []section{profileSection(), environmentSection(), exitSection()}
	case "ctl":
		return []section{ctlSection(), environmentSection(), exitSection()}
	case "outputs":
		return outputSections()
	case "profiles":
		return []section{profileSection()}
	case "environment":
		return []section{environmentSection()}
	case "exit-codes":
		return []section{exitSection(), signalSection()}
	case "other-scanners":
		return []section{scannersSection()}
	}
	return nil
}
