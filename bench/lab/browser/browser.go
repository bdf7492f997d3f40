// Package browser is a headless Chromium that opens files and tells what they do: call Start, Open, and Close in the end.
// It speaks the DevTools protocol over a pipe (--remote-debugging-pipe: JSON messages that end in a NUL byte, in by
// descriptor 3, out by 4), so it listens nowhere. Whatever it wants of the network goes to a proxy on loopback, which refuses and
// notes it.
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"synoptic/results/crash"
)

// Name is the program in the search path.
const Name = "chromium"

// Browser is a Chromium with one page.
type Browser struct {
	cmd     *exec.Cmd
	to      io.WriteCloser
	from    io.ReadCloser
	folder  string
	proxy   *http.Server
	session string

	mu      sync.Mutex
	last    int
	waiting map[int]chan answer
	page    *Page
	ended   chan struct{} // closed when it says nothing more
}

type answer struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// Page is what an opened page has done so far.
type Page struct {
	Requests []string // URLs, its own first
	Network  []string // that came as far as the proxy
	Console  []string // errors, violations of the policy, exceptions, and what the page said by itself
	Dialogs  []string // alert and the like
	loaded   chan struct{}
}

// Start starts the program, with a profile of its own that Close removes.
func Start(program string) (*Browser, error) {
	folder, err := os.MkdirTemp("", "browser")
	if err != nil {
		return nil, err
	}
	b := &Browser{folder: folder, waiting: map[int]chan answer{}, page: &Page{}, ended: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.proxy = &http.Server{Handler: http.HandlerFunc(b.refuse), ReadHeaderTimeout: 10 * time.Second}
	crash.Go(func() { _ = b.proxy.Serve(listener) }) // until Close
	childIn, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, childOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	b.to, b.from = to, from
	b.cmd = exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--user-data-dir="+folder, "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage",
		"--proxy-server=http://"+listener.Addr().String(), "--proxy-bypass-list=<-loopback>", "about:blank")
	b.cmd.ExtraFiles = []*os.File{childIn, childOut}
	err = b.cmd.Start()
	childIn.Close()
	childOut.Close()
	if err != nil {
		return nil, err
	}
	crash.Go(b.listen)
	if err := b.attach(); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close ends the program.
func (b *Browser) Close() {
	_ = b.call(time.Second, "Browser.close", nil, nil)
	b.to.Close()
	done := make(chan struct{})
	crash.Go(func() { _ = b.cmd.Wait(); close(done) })
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		_ = b.cmd.Process.Kill()
		<-done
	}
	b.from.Close()
	b.proxy.Close()
	_ = os.RemoveAll(b.folder)
}

func (b *Browser) refuse(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.page.Network = append(b.page.Network, r.Method+" "+r.Host+r.URL.Path)
	b.mu.Unlock()
	http.Error(w, "refused", http.StatusForbidden)
}

// attach takes the first page that there is.
func (b *Browser) attach() error {
	var targets struct {
		TargetInfos []struct{ TargetID, Type string }
	}
	for range 100 {
		if err := b.Call("Target.getTargets", nil, &targets); err != nil {
			return err
		}
		for _, t := range targets.TargetInfos {
			if t.Type != "page" {
				continue
			}
			var s struct{ SessionID string }
			if err := b.Call("Target.attachToTarget", map[string]any{"targetId": t.TargetID, "flatten": true}, &s); err != nil {
				return err
			}
			b.session = s.SessionID
			for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
				if err := b.Call(domain+".enable", nil, nil); err != nil {
					return err
				}
			}
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the browser has no page")
}

// Call calls a method of the protocol (https://chromedevtools.github.io/devtools-protocol/).
func (b *Browser) Call(method string, params, result any) error {
	return b.call(60*time.Second, method, params, result)
}

func (b *Browser) call(patience time.Duration, method string, params, result any) error {
	reply := make(chan answer, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.waiting[id] = reply
	message := map[string]any{"id": id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case a := <-reply:
		if a.Error != nil {
			return fmt.Errorf("%s: %s", method, a.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(a.Result, result)
	case <-b.ended:
		return fmt.Errorf("%s: the browser has ended", method)
	case <-time.After(patience):
		return fmt.Errorf("%s: no answer in %v", method, patience)
	}
}

func (b *Browser) listen() {
	defer close(b.ended)
	r := bufio.NewReaderSize(b.from, 1<<16)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var a answer
		if json.Unmarshal(text[:len(text)-1], &a) != nil {
			continue
		}
		b.mu.Lock()
		if reply := b.waiting[a.ID]; a.ID != 0 && reply != nil {
			delete(b.waiting, a.ID)
			reply <- a
		} else {
			b.page.note(&a)
		}
		b.mu.Unlock()
		if a.Method == "Page.javascriptDialogOpening" { // or the page would wait
			crash.Go(func() { _ = b.Call("Page.handleJavaScriptDialog", map[string]any{"accept": true}, nil) })
		}
	}
}

// note takes an event.
func (p *Page) note(a *answer) {
	var e struct {
		Message string
		Request struct{ URL string }
		Entry   struct{ Level, Text, URL string }
		Type    string
		Args    []struct{ Value any }

		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if json.Unmarshal(a.Params, &e) != nil {
		return
	}
	switch a.Method {
	case "Network.requestWillBeSent":
		p.Requests = append(p.Requests, e.Request.URL)
	case "Page.javascriptDialogOpening":
		p.Dialogs = append(p.Dialogs, e.Message)
	case "Log.entryAdded":
		p.Console = append(p.Console, e.Entry.Level+": "+e.Entry.Text)
	case "Runtime.consoleAPICalled":
		p.Console = append(p.Console, fmt.Sprint(e.Type, ": ", e.Args))
	case "Runtime.exceptionThrown":
		p.Console = append(p.Console, strings.TrimSpace(e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description))
	case "Page.loadEventFired":
		if p.loaded != nil {
			close(p.loaded)
			p.loaded = nil
		}
	}
}

// Open opens a URL, and waits until it has loaded.
func (b *Browser) Open(ctx context.Context, url string) error {
	loaded := make(chan struct{})
	b.mu.Lock()
	b.page = &Page{loaded: loaded}
	b.mu.Unlock()
	var went struct{ ErrorText string }
	if err := b.Call("Page.navigate", map[string]any{"url": url}, &went); err != nil {
		return err
	}
	if went.ErrorText != "" {
		return fmt.Errorf("%s: %s", url, went.ErrorText)
	}
	select {
	case <-loaded:
		return nil
	case <-b.ended:
		return errors.New("the browser has ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Seen is what the page has done so far.
func (b *Browser) Seen() Page {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := *b.page
	p.loaded = nil
	return p
}

// Eval gives the value of a JavaScript expression; of a promise, what becomes of it.
func (b *Browser) Eval(expression string, into any) error {
	var r struct {
		Result struct{ Value json.RawMessage }

		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := b.Call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r)
	switch {
	case err != nil:
		return err
	case r.ExceptionDetails != nil:
		return fmt.Errorf("%s %s", r.ExceptionDetails.Text, r.ExceptionDetails.Exception.Description)
	case into == nil:
		return nil
	}
	return json.Unmarshal(r.Result.Value, into)
}

// Look sets how the page is shown: its width and height in pixels, light or dark.
func (b *Browser) Look(width, height int, dark bool) error {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return errors.Join(
		b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil),
		b.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil))
}

// Screenshot is a PNG of the page as it is shown, or of all of it.
func (b *Browser) Screenshot(all bool) ([]byte, error) {
	var shot struct{ Data []byte }
	err := b.Call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": all}, &shot)
	return shot.Data, err
}

// Ready is an expression that waits until the page of a report shows its tables, or says that it cannot: 30 s at most.
const Ready = `new Promise((ready, fail) => {
	const begin = performance.now(), look = () => {
		const is = document.documentElement.dataset.ready;
		if (is === "yes") ready(true);
		else if (is) fail(new Error(document.querySelector("main").firstElementChild.textContent));
		else if (performance.now() - begin > 30000) fail(new Error("the page is not ready"));
		else setTimeout(look, 5);
	};
	look();
})`
