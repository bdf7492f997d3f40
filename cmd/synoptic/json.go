package main

import (
	"io"
	"slices"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results/sink"
	"synoptic/scan/plan"
)

// registerJSON gives a command --json; more is what else there is to say of it.
func registerJSON(fl *pflag.FlagSet, wanted *bool, more string) {
	fl.BoolVar(wanted, "json", false, "write JSON lines on a terminal, too"+more)
}

// jsonTo has an output of JSON lines on standard output, where --json asks for one and there is none.
func (f *outputFlags) jsonTo(wanted bool) {
	lines := func(spec string) bool {
		name, _ := sink.Split(spec)
		return toStdout(spec) && (name == "" || name == "jsonl")
	}
	if wanted && !slices.ContainsFunc(f.outputs, lines) {
		f.outputs = append(f.outputs, "-")
	}
}

// writePlan shows what a scan would do.
func (f *scanFlags) writePlan(std streams, p *plan.Plan) error {
	if f.json {
		return writeJSONLine(std.text, p)
	}
	screen.WritePlan(cleaned{std.text}, p, screen.PlanWords{Flags: withFlags, Verbose: f.verbose, Columns: screen.Columns(std.out)})
	f.settings.write(cleaned{std.text})
	return nil
}

// writeYAMLAsJSON writes what a document of YAML says as a line of JSON.
func writeYAMLAsJSON(w io.Writer, document []byte) error {
	var v any
	if err := yaml.Unmarshal(document, &v); err != nil {
		return err
	}
	return writeJSONLine(w, v)
}
