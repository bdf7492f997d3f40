package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"synoptic/scan"
)

// Request is what is wanted of a scan.
type Request struct {
	Verb string   `json:"verb"` // one of Verbs
	Args []string `json:"args,omitempty"`
}

// The verbs.
const (
	VerbRate    = "rate"    // one argument, as scan's Rate is written, or RateAuto; without one it is told
	VerbPause   = "pause"   // nothing leaves any more
	VerbResume  = "resume"  // it goes on
	VerbExclude = "exclude" // addresses, prefixes, ranges, octet patterns
	VerbStatus  = "status"
	VerbNow     = "now" // of a monitor: addresses, prefixes, ADDRESS:PORT, which are asked at once
)

// RateAuto lets an automatic rate that was set go by the path again.
const RateAuto = "auto"

// Verbs are all of them.
var Verbs = []string{VerbRate, VerbPause, VerbResume, VerbExclude, VerbStatus, VerbNow}

// Answer is what came of a request. Of the fields behind Hint those are set that the verb is about.
type Answer struct {
	OK    bool   `json:"ok"`
	Verb  string `json:"verb,omitempty"`
	Error string `json:"error,omitempty"` // why nothing was changed, or what of it does not hold
	Hint  string `json:"hint,omitempty"`  // how to mend it

	*Rate
	*scan.Excluded
	Paused    *bool        `json:"paused,omitempty"`
	Status    *scan.Status `json:"status,omitempty"`
	Monitor   *Monitored   `json:"monitor,omitempty"`
	Requested *int         `json:"requested,omitempty"` // endpoints that are asked at once
}

// Rate is the answer to VerbRate, in probes per second.
type Rate struct {
	PPS   float64 `json:"rate"`            // that holds now
	Asked float64 `json:"asked,omitempty"` // where more was asked for than Max
	Min   float64 `json:"min_rate"`
	Max   float64 `json:"max_rate"`
}

// maxLine bounds a request, in bytes.
const maxLine = 64 << 10

// maxArgs bounds the words of a request.
const maxArgs = 1024

// ParseRequest reads a line. The error says in a line what is wrong with it, and has a Hint.
func ParseRequest(line []byte) (r Request, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Request{}, wrong(formHint, "this is no request: %s", reasonOf(err))
	}
	if rest := bytes.TrimSpace(line[d.InputOffset():]); len(rest) > 0 {
		return Request{}, wrong(formHint, "something follows the request: %s", short(string(rest)))
	}
	return r, r.check()
}

const formHint = `a request is a line such as {"verb":"rate","args":["20k"]}`

// reasonOf is what encoding/json says, without what it calls our types.
func reasonOf(err error) string {
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("a %s is no %s", wrongType.Value, map[string]string{"verb": "verb", "args": "list of words"}[strings.SplitN(wrongType.Field, ".", 2)[0]])
	}
	return short(strings.TrimPrefix(err.Error(), "json: "))
}

// check refuses what no scan can do.
func (r *Request) check() error {
	if len(r.Args) > maxArgs {
		return wrong("send them in several requests", "%d words, and %d are taken at a time", len(r.Args), maxArgs)
	}
	for _, word := range r.Args {
		if strings.TrimSpace(word) == "" {
			return wrong(formHint, "%s: an empty word", short(r.Verb))
		}
	}
	switch r.Verb {
	case VerbPause, VerbResume, VerbStatus:
		if len(r.Args) > 0 {
			return wrong("leave them out", "%s takes no words, and %q was given", r.Verb, short(r.Args[0]))
		}
	case VerbRate:
		if len(r.Args) > 1 {
			return wrong("give one, such as 20k", "rate takes one value, and %d were given", len(r.Args))
		}
	case VerbExclude:
		if len(r.Args) == 0 {
			return wrong("name addresses, prefixes or ranges", "exclude what?")
		}
	case VerbNow:
		if len(r.Args) == 0 {
			return wrong("name addresses, prefixes, or ADDRESS:PORT", "ask what now?")
		}
	case "":
		return wrong("verbs are "+strings.Join(Verbs, ", "), "no verb")
	default:
		return wrong("verbs are "+strings.Join(Verbs, ", "), "unknown verb %q", short(r.Verb))
	}
	return nil
}

// refusal is a request that nothing came of.
type refusal struct{ msg, hint string }

func (e *refusal) Error() string { return e.msg }

// Hint says how to mend it.
func (e *refusal) Hint() string { return e.hint }

func wrong(hint, format string, args ...any) error {
	return &refusal{fmt.Sprintf(format, args...), hint}
}

// short keeps what was sent from filling an answer.
func short(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return strings.ToValidUTF8(s, "�")
}
