// Package screen is what a person sees of a scan: New makes a View, which is the sink of the table on standard output,
// and shows on standard error the plan (Begin), one live progress line (Follow) and the summary (Finish). Where both are
// the same terminal, the progress line is taken away before a row is written, and drawn again after.
package screen

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/term"

	"synoptic/scan/plan"
)

// View is the screen of one scan. It is a results.Sink.
type View struct {
	out, err *os.File
	quiet    bool
	live     bool // standard error is a terminal: a line can be drawn over
	log      *slog.Logger
	flags    func(string) string
	text     io.Writer // err, clean

	delivering atomic.Bool // the scan is over, and outputs are waited for

	mu       sync.Mutex
	progress string // the line that stands now, or ""
	rows     bytes.Buffer
	header   bool
	colour   bool
}

// Config says where a View is seen, and by whom.
type Config struct {
	Out, Err *os.File
	Quiet    bool                         // no plan, no progress, no summary
	JSON     bool                         // messages are for a log collector
	Logger   func(io.Writer) *slog.Logger // makes the logger of messages
	Flags    func(hint string) string     // writes flags where a hint names fields
	Clean    func(io.Writer) io.Writer    // takes secrets out of what is written
}

// HintKey is the attribute of a message that says how to fix it.
const HintKey = "hint"

// New looks at what the files are.
func New(c Config) *View {
	v := &View{
		out: c.Out, err: c.Err, quiet: c.Quiet, flags: c.Flags, text: c.Clean(c.Err),
		live:   !c.Quiet && !c.JSON && term.IsTerminal(int(c.Err.Fd())),
		colour: os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(c.Out.Fd())),
	}
	v.log = c.Logger(aside{v})
	return v
}

// Log is for messages: they may come at any time, and the progress line makes way.
func (v *View) Log() *slog.Logger { return v.log }

// aside is standard error with the progress line out of the way: messages may come at any time.
type aside struct{ *View }

func (a aside) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.progress == "" {
		return a.err.Write(p)
	}
	fmt.Fprint(a.err, eraseLine)
	n, err := a.err.Write(p)
	fmt.Fprint(a.err, a.progress)
	return n, err
}

// Begin says what is going to happen: on a terminal all of it, elsewhere what may surprise.
func (v *View) Begin(p *plan.Plan) {
	switch {
	case v.quiet:
		return
	case v.live:
		WritePlan(v.text, p, v.flags)
		return
	}
	logPlan(v.log, p, v.flags)
	if p.Choice.Fallback {
		v.log.Warn("scanning by connect(): "+p.Choice.Reason, HintKey, v.flags(p.Choice.Hint))
	}
	if len(p.Broadcast) > 0 {
		v.log.Warn("broadcast addresses left out: " + joinAddrs(p.Broadcast))
	}
}

// Instead says that the planned backend turned out not to work when it was opened.
func (v *View) Instead(planned string, c plan.Choice) {
	if v.quiet {
		return
	}
	v.log.Warn(fmt.Sprintf("scanned by %s instead of %s: %s", c.Backend, planned, c.Reason),
		"backend", c.Backend, HintKey, v.flags(c.Hint))
}
