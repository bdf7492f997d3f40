package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"synoptic/scan/target"
)

func newPortsCommand(std streams) *cobra.Command {
	top, line, asJSON := defaultTopPorts, false, false
	var s settings
	cmd := &cobra.Command{
		Use:   "ports [flags] [LIST]",
		Short: "List the ports that a scan probes",
		Long: `Lists the ports that synoptic scan probes without -p, or with --top-ports N,
the most important first. They are ranked by how much an open port matters to
the owner of a network, not by how often it is open. With a LIST, as for -p,
it lists the ports of that.`,
		Example: `  synoptic ports --top 100
  synoptic ports http,8000-8010
  synoptic ports --top 100 --line`,
		Args: func(_ *cobra.Command, words []string) error {
			if len(words) > 1 {
				return usage("separate ports with commas: "+strings.Join(words, ","), "one list of ports is wanted, and %d were given", len(words))
			}
			return nil
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error { return s.fill(cmd, lookupEnv) },
		RunE: func(cmd *cobra.Command, words []string) error {
			if len(words) == 1 && cmd.Flags().Changed("top") {
				return usage("give one of them", "a list and --top are both given")
			}
			if line && asJSON {
				return usage("give one of them", "--line and --json are both given")
			}
			return listPorts(std.text, words, top, line, asJSON)
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic ports --help"))
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.IntVar(&top, "top", defaultTopPorts, "list the `N` most important ports")
	fl.BoolVar(&line, "line", false, "write one line, as -p takes it")
	fl.BoolVar(&asJSON, "json", false, "write a line of JSON for each")
	cmd.ValidArgsFunction = listed(services)
	_ = cmd.RegisterFlagCompletionFunc("top", fixed("10", "100", "1000")) // the flag is there
	return cmd
}

// listPorts writes a table of ports and their services, or a line.
func listPorts(w io.Writer, words []string, top int, line, asJSON bool) error {
	ports, err := target.TopPorts(top)
	switch {
	case len(words) == 1:
		if ports, err = target.ParsePorts(words[0]); err != nil {
			return err
		}
	case err != nil:
		return usage("for every port: synoptic ports -- -", "--top %d: the list has 1 to %d ports", top, target.NumTopPorts())
	}
	if line {
		_, err := fmt.Fprintln(w, ports)
		return err
	}
	var b strings.Builder
	row := func(port uint16) {
		if asJSON {
			err = cmp.Or(err, writeJSONLine(&b, portJSON{port, target.Service(port)}))
			return
		}
		b.WriteString(strings.TrimRight(fmt.Sprintf("%5d  %s", port, target.Service(port)), " ") + "\n")
	}
	if len(words) == 0 {
		for _, port := range target.Ranking()[:top] {
			row(port)
		}
	} else {
		for port := range ports.All() {
			row(port)
		}
	}
	if err == nil {
		_, err = io.WriteString(w, b.String())
	}
	return err
}

type portJSON struct {
	Port    uint16 `json:"port"`
	Service string `json:"service,omitempty"`
}

func (f *scanFlags) parsePorts(topPortsGiven bool) (*target.Ports, error) {
	switch {
	case len(f.ports) > 0 && topPortsGiven:
		return nil, usage("give one of them", "--ports and --top-ports are both given")
	case len(f.ports) > 0:
		p, err := target.ParsePorts(strings.Join(f.ports, ","))
		if err != nil {
			return nil, fmt.Errorf("--ports: %w", err)
		}
		return p, nil
	case topPortsGiven:
		p, err := target.TopPorts(f.topPorts)
		if err != nil {
			return nil, fmt.Errorf("--top-ports: %w", err)
		}
		return p, nil
	}
	return target.TopPorts(defaultTopPorts)
}
