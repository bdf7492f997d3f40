// Package screen is what a person sees of a scan: New makes a View, which is the sink of the table on standard output,
// and shows on standard error the plan (Begin), one live progress line (Follow), the open ports by host and by port
// (Report) and the summary (Finish). Where both are the same terminal, the progress line is taken away before a row is
// written, and drawn again after. Where nobody looks, a line at the beginning, one a minute and one at the end take the
// place of all that.
package screen

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/scan"
	"synoptic/scan/plan"
)

// View is the screen of one scan. It is a results.Sink.
type View struct {
	Config
	person bool // standard error is a terminal, and text is wanted there
	live   bool // a line there can be drawn over
	colour bool // standard output takes colours
	log    *slog.Logger
	text   io.Writer // Err, clean

	plan       *plan.Plan    // once it has begun
	delivering atomic.Bool   // the scan is over, and outputs are waited for
	following  atomic.Bool   // a scan, and not preparing or ending it
	enough     bool          // who reads the records has gone
	asked      chan struct{} // somebody wants a status line
	names      names         // that are being resolved
	found      found         // open ports, for the report

	mu       sync.Mutex
	progress string // the line that stands now, or ""
	rows     bytes.Buffer
	table    table
	hosts    bool // summaries of hosts have been shown
}

// Config says where a View is seen, and by whom.
type Config struct {
	Out, Err *os.File
	Quiet    bool                         // no plan, no progress, no summary: warnings only
	Verbose  bool                         // the plan has what matters to who works on the program, too
	JSON     bool                         // messages are for a log collector
	Logger   func(io.Writer) *slog.Logger // makes the logger of messages
	Flags    func(hint string) string     // writes flags where a hint names fields
	Clean    func(io.Writer) io.Writer    // takes secrets out of what is written; nil: nothing
}

// HintKey is the attribute of a message that says how to fix it.
const HintKey = "hint"

// New looks at what the files are.
func New(c Config) *View {
	v := &View{Config: c, text: c.Err, asked: make(chan struct{}, 1)}
	if c.Clean != nil {
		v.text = c.Clean(c.Err)
	}
	v.person = !c.Quiet && !c.JSON && term.IsTerminal(int(c.Err.Fd()))
	v.live = v.person && obeys(os.Getenv)
	v.colour = term.IsTerminal(int(c.Out.Fd())) && obeys(os.Getenv) && os.Getenv("NO_COLOR") == ""
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
		return a.text.Write(p)
	}
	fmt.Fprint(a.Err, eraseLine)
	n, err := a.text.Write(p)
	fmt.Fprint(a.Err, a.progress)
	return n, err
}

// say writes a line on standard error that is no message of the program.
func (v *View) say(line string) {
	columns := 0
	if v.person {
		columns = columnsOf(v.Err)
	}
	fmt.Fprintln(aside{v}, wrap(Printable(line), columns, 2))
}

// note writes a line for who reads them afterwards, with what goes wrong between them.
func (v *View) note(line string) { v.say("synoptic: " + line) }

// Say writes a line for who waits, where a summary is wanted, too.
func (v *View) Say(line string) {
	switch {
	case v.Quiet:
	case v.JSON:
		v.log.Info(line)
	default:
		v.Clear()
		v.note(line)
	}
}

// hint writes how to fix what the lines before say, with flags where it names fields.
func (v *View) hint(text string) {
	if text != "" {
		v.say("hint: " + v.Flags(text))
	}
}

// Begin says what is going to happen: to a person all of it, elsewhere a line, and in any case what may surprise.
func (v *View) Begin(p *plan.Plan) {
	v.plan = p
	v.following.Store(true)
	if v.person {
		v.found.begin(p)
	}
	v.table.begin(p)
	switch {
	case v.person:
		WritePlan(aside{v}, p, PlanWords{v.Flags, v.Verbose, columnsOf(v.Err)})
	case v.Quiet:
	case v.JSON:
		logPlan(v.log, p, v.Flags)
	default:
		v.note(beginWords(p))
	}
	if v.person {
		return // the plan has it
	}
	for i, taken := range p.Asked.Targets.Taken {
		if v.Quiet || i == takenShown {
			break
		}
		v.log.Warn(taken.Text + " taken as " + taken.As)
	}
	for _, w := range p.Warnings {
		v.log.Warn(v.Flags(w))
	}
	if p.Choice.Fallback {
		v.log.Warn("scanning by connect(): "+p.Choice.Reason, HintKey, v.Flags(p.Choice.Hint))
	}
	if len(p.Broadcast) > 0 {
		v.log.Warn("broadcast addresses left out: " + joinAddrs(p.Broadcast))
	}
}

// Instead says that the planned backend turned out not to work when it was opened.
func (v *View) Instead(planned string, c plan.Choice) {
	v.log.Warn(fmt.Sprintf("scanned by %s instead of %s: %s", c.Backend, planned, c.Reason),
		"backend", c.Backend, HintKey, v.Flags(c.Hint))
}

// beginWords are the plan in a line.
func beginWords(p *plan.Plan) string {
	return fmt.Sprintf("scanning %s by %s at %s: %s", targetWords(p), p.Choice.Backend, atRate(p), durationWords(p))
}

// atRate is the rate that is gone at.
func atRate(p *plan.Plan) string {
	if p.Auto {
		return "up to " + perSecond(p.Reach())
	}
	return perSecond(p.Reach())
}

// Ask has a status line written soon.
func (v *View) Ask() {
	if !v.following.Load() {
		v.names.tell(v)
		return
	}
	select {
	case v.asked <- struct{}{}:
	default:
	}
}

// Delivering says that the scan is over, and outputs are waited for.
func (v *View) Delivering() { v.delivering.Store(true) }

// Enough says that the reader of the records has gone: who has seen enough wants no rest.
func (v *View) Enough() { v.enough = true }

// Follow shows how the scan goes until the function it returns is called.
func (v *View) Follow(sc *scan.Scan, outputs results.Deliverer) (stop func()) {
	f := &follower{view: v, progress: sc.Progress, outputs: outputs.Deliveries}
	done, ended := make(chan struct{}), make(chan struct{})
	f.begin(time.Now())
	crash.Go(func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				f.look(now)
			case <-v.asked:
				f.status(time.Now())
			}
		}
	})
	return func() {
		v.following.Store(false)
		close(done)
		<-ended
		v.Clear()
	}
}

const eraseLine = "\r\x1b[K" // ECMA-48 EL: erase to the end of the line

// Clear takes the progress line away.
func (v *View) Clear() { v.draw("") }

// draw puts up the progress line, or takes it away.
func (v *View) draw(line string) {
	if !v.live {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if columns := columnsOf(v.Err); columns > 1 {
		line = shorten(line, columns-1) // a wrapped line could not be erased
	}
	if line != v.progress {
		fmt.Fprint(v.Err, eraseLine+line)
	}
	v.progress = line
}
