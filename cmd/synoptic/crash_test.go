package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
	"synoptic/results/crash"
)

// panicEnv makes the test binary the program with a panic in it: the place and the value of one, each by its name.
const panicEnv = "SYNOPTIC_TEST_PANIC"

// panicSecret is in the environment of that program, and so known; leakyURL has another one, which nobody knows.
const (
	panicSecret = "pan-S3cr3t/Tok3n.of-a-length"
	urlSecret   = "url-S3cr3t.Tok3n-of-a-length"
)

// badly is an error that cannot even be said.
type badly struct{ secret string }

func (b badly) Error() string { panic(b.secret) }

// worded says itself.
type worded struct{ secret string }

func (w worded) String() string { return "told " + w.secret }

// values are what code panics with.
var values = map[string]any{
	"string":       "cannot handle " + panicSecret + "\x1b[2J",
	"error":        fmt.Errorf("post: %w", &url.Error{Op: "Post", URL: "https://h/?token=" + urlSecret, Err: errors.New("sent " + panicSecret)}),
	"user":         errors.New(`get "https://user:` + urlSecret + `@h/x": no such host`),
	"struct":       struct{ Token string }{urlSecret},
	"pointer":      &struct{ Token string }{urlSecret},
	"bytes":        []byte(panicSecret),
	"map":          map[string]string{urlSecret: panicSecret},
	"words":        worded{panicSecret},
	"bad error":    badly{panicSecret},
	"lines":        "first\n" + panicSecret + "\nlast",
	"base64":       fmt.Sprintf("%x and %q", panicSecret, panicSecret),
	"nothing":      nil, // a *runtime.PanicNilError
	"of a runtime": "",  // index out of range
}

// places are where it happens; running says that the scan is under way.
var places = map[string]func(bang func(), running func()){
	"goroutine":          func(bang, running func()) { crash.Go(func() { running(); bang() }) },
	"group":              func(bang, running func()) { new(sync.WaitGroup).Go(crash.Guarded(func() { running(); bang() })) },
	"timer":              func(bang, running func()) { time.AfterFunc(1, crash.Guarded(func() { running(); bang() })) },
	"end of a context":   func(bang, running func()) { context.AfterFunc(ended(), crash.Guarded(func() { running(); bang() })) },
	"before the scan":    func(bang, _ func()) { time.AfterFunc(time.Second, crash.Guarded(bang)) }, // the flags are read by then
	"several goroutines": func(bang, running func()) { crash.Go(func() { running(); crash.Go(bang); crash.Go(bang); bang() }) },
	"reader of records":  nil, // standard input
	"reader of targets":  nil, // the same, on the main goroutine
}

func ended() context.Context {
	ctx, end := context.WithCancel(context.Background())
	end()
	return ctx
}

// hurt is standard input that has some text, and then a bug.
type hurt struct {
	io.Reader
	bang func()
}

func (h *hurt) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if err == io.EOF {
		h.bang()
	}
	return n, err
}

// panicking is the program's main.
func panicking(plan string) int {
	place, kind, _ := strings.Cut(plan, "/")
	bang := func() { panic(values[kind]) }
	if kind == "of a runtime" {
		bang = func() { _ = os.Args[len(os.Args)+len(place)] }
	}
	stop := newStopper()
	in := &hurt{strings.NewReader(recordsBeforeABug()), bang}
	if place == "reader of targets" {
		in.Reader = strings.NewReader("127.0.0.1\n")
	}
	std := streams{in: in, out: os.Stdout, err: os.Stderr}
	if put := places[place]; put != nil {
		std.in = strings.NewReader("")
		if place == "before the scan" {
			std.in, _ = io.Pipe() // a list of targets that does not come
		}
		put(bang, func() {
			for !stop.scanning.Load() {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond)
		})
	}
	return guarded(stop, os.Args[1:], std)
}

// recordsBeforeABug are more than a reader takes at once.
func recordsBeforeABug() string {
	const id = "0198c1f2-0000-7000-8000-000000000001"
	var b strings.Builder
	fmt.Fprintf(&b, `{"v":1,"type":"scan_start","ts":"2026-01-01T00:00:00Z","scan_id":%q}`+"\n", id)
	for i := range 20_000 {
		fmt.Fprintf(&b, `{"v":1,"type":"port","ts":"2026-01-01T00:00:00Z","scan_id":%q,"ip":"10.0.%d.%d","port":80,"proto":"tcp","state":"open","reason":"syn-ack"}`+"\n", id, i>>8, i&255)
	}
	return b.String()
}

// A panic in any goroutine is a failure that the one logger tells of, in its format and without secrets. A scan that is
// under way ends in order, and says that it failed.
func TestPlantedPanics(t *testing.T) {
	t.Parallel()
	testnet.Apart(t) // scans loopback: of a namespace that holds nothing else
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	type planted struct{ place, kind, format string }
	var all []planted
	for kind := range values {
		all = append(all, planted{"goroutine", kind, "text"}, planted{"goroutine", kind, "json"})
	}
	for place := range places {
		all = append(all, planted{place, "error", "text"}, planted{place, "string", "json"})
	}
	for _, p := range all {
		testnet.Run(t, p.place+"/"+p.kind+"/"+p.format, func(t *testing.T) {
			t.Parallel()
			args := "scan 127.0.0.0/24 -p 1-200 --backend connect --rate 1k -o records.jsonl -o -"
			switch p.place {
			case "reader of records":
				args = "convert - -o records.jsonl -o -"
			case "reader of targets", "before the scan":
				args = "scan -i - -p 1 --backend connect -o records.jsonl -o -"
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, self, strings.Fields(args+" --log-format "+p.format)...)
			cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), panicEnv+"="+p.place+"/"+p.kind, hecVariable+panicSecret)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run() // the exit code says it
			if code := cmd.ProcessState.ExitCode(); code != exitFailure {
				t.Errorf("exit %d: %s", code, &stderr)
			}
			file, err := os.ReadFile(filepath.Join(cmd.Dir, "records.jsonl"))
			if err != nil && p.place != "reader of targets" && p.place != "before the scan" {
				t.Error(err)
			}
			said := stderr.String()
			for _, text := range []string{stdout.String(), said, string(file)} {
				for _, secret := range []string{panicSecret, urlSecret} {
					if found := leaksOf(secret, text); found != "" {
						t.Errorf("a secret leaves: %q", found)
					}
				}
				if strings.Contains(text, "\x1b") {
					t.Errorf("an escape sequence leaves: %q", text)
				}
			}
			checkPanicSaid(t, p.place, p.format, said)
			if strings.HasPrefix(args, "scan 127") {
				for _, records := range []string{stdout.String(), string(file)} {
					if s := parseStream(t, records); s.end.Complete || s.end.Error != crash.Err.Error() {
						t.Errorf("scan_end %+v", s.end)
					}
				}
			}
		})
	}
}

const hecVariable = envHECToken + "="

func checkPanicSaid(t *testing.T, place, format, said string) {
	t.Helper()
	const what = "internal error: "
	if format == "json" {
		var found bool
		for _, m := range messages(t, said) {
			if strings.HasPrefix(m["msg"].(string), what) {
				stack, _ := m["stack"].(string)
				found = m["level"] == "ERROR" && strings.Contains(stack, "goroutine ") && strings.Contains(stack, ".panicking.")
			}
		}
		if !found {
			t.Errorf("no message with a stack: %s", said)
		}
	} else if !strings.Contains(said, "synoptic: "+what) || !strings.Contains(said, "\nhint: ") || !strings.Contains(said, ".panicking.") {
		t.Errorf("stderr %s", said)
	}
	if strings.HasPrefix(said, "panic:") || strings.Contains(said, "\npanic: ") {
		t.Errorf("the runtime has said it: %s", said)
	}
	if other := place != "reader of targets"; strings.Contains(said, "synoptic/results/crash.guard(") != other {
		t.Errorf("the guard is in the stack: %v, want %v", !other, other)
	}
}

// Without a handler a panic is what it always was.
func TestNoHandler(t *testing.T) {
	defer func() {
		if recover() != "x" {
			t.Error("the panic is gone")
		}
	}()
	crash.Guarded(func() { panic("x") })()
}

// What becomes of the goroutine's own work, and of a function that leaves by runtime.Goexit or has no panic.
func TestGuarded(t *testing.T) {
	var got []any
	crash.Handle(func(value any, stack []byte) { got = append(got, value, bytes.Contains(stack, []byte("TestGuarded"))) })
	defer crash.Handle(nil)
	var deferred int
	crash.Guarded(func() { deferred++ })()
	crash.Guarded(func() { defer func() { deferred++ }(); panic("x") })()
	crash.Guarded(func() { defer func() { _ = recover() }(); panic("caught by itself") })()
	if fmt.Sprint(got) != "[x true]" || deferred != 2 {
		t.Errorf("handled %v, %d", got, deferred)
	}
}

// Nothing that we write starts a goroutine whose panic would go past the logger.
func TestEveryGoroutineIsGuarded(t *testing.T) {
	files, starts := 0, 0
	for _, room := range []string{"cmd/synoptic", "ratelimit", "rawsock", "results", "scan"} {
		err := filepath.WalkDir(filepath.Join("..", "..", filepath.FromSlash(room)), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			if d.Name() == "crash.go" && filepath.Base(filepath.Dir(path)) == "crash" { // which starts them
				return nil
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			files++
			n, bare := unguarded(file)
			starts += n
			for _, at := range bare {
				t.Errorf("%v: a goroutine without a guard: see package crash", set.Position(at))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 200 || starts < 30 {
		t.Errorf("%d goroutines are started in %d files: the test looks at the wrong ones", starts, files)
	}
	const bare = `package x
func f() {
	go g()
	go func() {}()
	wg.Go(g)
	wg.Go(func() { crash.Go(g) })
	time.AfterFunc(1, g)
	context.AfterFunc(ctx, cancel)
	crash.Go(g)
	wg.Go(crash.Guarded(g))
	time.AfterFunc(1, crash.Guarded(func() {}))
}`
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", bare, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n, bare := unguarded(file); n != 10 || len(bare) != 6 {
		t.Errorf("%d starts, %d of them bare", n, len(bare))
	}
}

// unguarded counts what starts goroutines, and tells where one has no guard.
func unguarded(file *ast.File) (starts int, bare []token.Pos) {
	selects := func(e ast.Expr, from, name string) bool {
		s, ok := e.(*ast.SelectorExpr)
		if !ok || s.Sel.Name != name {
			return false
		}
		x, ok := s.X.(*ast.Ident)
		return from == "" || ok && x.Name == from
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			starts, bare = starts+1, append(bare, n.Pos())
		case *ast.CallExpr:
			if selects(n.Fun, "crash", "Go") {
				starts++
				break
			}
			if !selects(n.Fun, "", "Go") && !selects(n.Fun, "", "AfterFunc") || len(n.Args) == 0 {
				break
			}
			starts++
			if f, ok := n.Args[len(n.Args)-1].(*ast.CallExpr); !ok || !selects(f.Fun, "crash", "Guarded") {
				bare = append(bare, n.Pos())
			}
		}
		return true
	})
	return starts, bare
}
