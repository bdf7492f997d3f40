package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"synoptic/results/sink/dest"
	"synoptic/scan/plan"
)

// What can be wrong with a value whichever flag it was given to.
var (
	errEmpty = errors.New("is empty (an unset variable?)")
	errTwice = errors.New("is given twice")
)

// once is the value of a flag that holds one: given twice, the second would win over the first without a word. A
// switch may be given again, for it says the same.
type once struct {
	pflag.Value
	flag  *pflag.Flag
	given string
	have  bool
}

// Set refuses a second value, and says of one that is no number, duration or switch what is wanted.
func (o *once) Set(s string) error {
	if o.have && (o.Type() != "bool" || s != o.given) {
		return errTwice
	}
	if strings.TrimSpace(s) == "" {
		return errEmpty
	}
	err := o.Value.Set(s)
	if readOtherwise(o.Type(), s) {
		err = strconv.ErrSyntax
	}
	if err != nil {
		if kind := o.wants(); kind != "" {
			hint := otherwise(o.Type(), s)
			if hint == "" {
				about := flagEntry(o.flag)
				hint = strings.TrimSpace(about.name) + ": " + about.meaning
			}
			return usage(hint, "%s", kind)
		}
		return err
	}
	o.have, o.given = true, s
	return nil
}

// readOtherwise tells a number that strconv takes for another one than it looks, or in a notation that no other value here is
// written in: 0100, which is 64 to it, 0x64, 1_00.
func readOtherwise(kind, s string) bool {
	digits := strings.TrimLeft(strings.TrimSpace(s), "+-")
	switch kind {
	case "int", "int64", "uint", "uint64", "uint16", "count":
		return len(digits) > 1 && digits[0] == '0' || strings.Contains(digits, "_")
	case "float64":
		return strings.ContainsAny(digits, "xX_")
	}
	return false
}

// wanted says what a flag takes, where its type does not say enough.
var wanted = map[string]string{
	"retries":       "a number from 0 to 9",
	"top-ports":     "a number of ports, such as 100",
	"top":           "a number of ports, such as 100",
	"seed":          "a number from 0 to 9007199254740991", // 2^53-1: what JSON holds exactly
	"source-port":   "a port from 1 to 65520",
	"target-recall": "a share between 0 and 1, such as 0.999",
	"min-coverage":  "a share from 0 to 1, such as 0.99",
	"batch":         fmt.Sprintf("a number from 1 to %d", plan.MaxBatch),
	"lanes":         fmt.Sprintf("a number from 1 to %d", plan.MaxLanes),
}

// wants is what the flag takes, or "" where the value itself says what is wrong with it.
func (o *once) wants() string {
	if kind := wanted[o.flag.Name]; kind != "" {
		return kind
	}
	switch o.Type() {
	case "bool":
		return "true or false"
	case "duration":
		return "a duration with its unit, such as 2s, 500ms or 1m30s"
	case "float64":
		return "a number, such as 0.5"
	case "int", "int64", "uint", "uint64", "uint16", "count":
		return "a whole number"
	}
	return ""
}

// otherwise guesses how a value was meant that its type does not take, and says how to write that.
func otherwise(kind, s string) string {
	bare := strings.TrimSpace(s)
	switch kind {
	case "duration":
		unit := strings.TrimLeft(bare, "0123456789.")
		number := strings.TrimSuffix(bare, unit)
		short := map[string]string{
			"": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "S": "s", "min": "m", "mins": "m", "minute": "m", "minutes": "m", "M": "m",
			"hour": "h", "hours": "h", "hr": "h", "H": "h", "msec": "ms", "millis": "ms", "milliseconds": "ms",
		}[strings.TrimSpace(unit)]
		if _, err := time.ParseDuration(number + short); err == nil && short != "" {
			return "write " + number + short
		}
	case "float64":
		if number, ok := strings.CutSuffix(bare, "%"); ok {
			if n, err := strconv.ParseFloat(number, 64); err == nil {
				return "write " + strconv.FormatFloat(n/100, 'g', 6, 64)
			}
		}
		if number := strings.Replace(bare, ",", ".", 1); number != bare {
			if _, err := strconv.ParseFloat(number, 64); err == nil {
				return "write " + number
			}
		}
	case "bool":
		return "a switch needs no value: write it, or leave it out"
	default:
		number := strings.TrimLeft(strings.NewReplacer(",", "", "_", "", "'", "").Replace(bare), "0")
		if _, err := strconv.ParseUint(number, 10, 64); err == nil && number != bare {
			return "write " + number
		}
	}
	return ""
}

// adds is a flag's value that can be given again and again, each time adding to it.
type adds interface{ adds() }

func (*words) adds() {}

// onceEach makes of every flag of every command one that is given once, unless its values add up.
func onceEach(root *cobra.Command) {
	for _, cmd := range append(commandsBelow(root), root) {
		cmd.InitDefaultHelpFlag()
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			switch f.Value.(type) {
			case *once, adds, pflag.SliceValue:
			default:
				f.Value = &once{Value: f.Value, flag: f}
			}
		})
	}
}

// flagError says what is wrong with a flag, by the name that it was given by: that of the flag, of a variable, or of
// a line of a profile.
func flagError(hint string) func(*cobra.Command, error) error {
	return func(_ *cobra.Command, err error) error {
		if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
			return badValue("--"+bad.GetFlag().Name, bad.GetValue(), bad.Unwrap())
		}
		if none, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
			name := "--" + none.GetFlag().Name
			return usage("write "+name+" "+placeholder(none.GetFlag()), "%s needs a value", name)
		}
		if _, ok := errors.AsType[*usageError](err); ok {
			return err
		}
		return usage(hint, "%v", err)
	}
}

// badValue is the error of a value that was given by a name.
func badValue(name, value string, cause error) error {
	switch {
	case errors.Is(cause, errEmpty):
		return usage("give a value, or leave it out", "%s %v", name, errEmpty)
	case errors.Is(cause, errTwice):
		return usage("give it once", "%s %v", name, errTwice)
	}
	if e, ok := errors.AsType[*usageError](cause); ok && strings.Contains(e.msg, strconv.Quote(value)) {
		return usage(e.hint, "%s: %s", name, e.msg)
	} else if ok {
		return usage(e.hint, "%s %s: %s", name, dest.Redact(value), e.msg)
	}
	return usage("see synoptic scan --help", "%s: %v", name, cause)
}
