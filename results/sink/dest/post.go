package dest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"synoptic/results/crash"
	"synoptic/results/sink/batch"
)

// poster makes the requests of a destination that is an HTTP API, over TLS and with a secret.
//
//	batch ─▶ chunks of no more than limit bytes ─▶ POST ─▶ answer ─▶ taken, dead, or a smaller chunk again
//
// A proxy is used where the environment names one (HTTPS_PROXY, NO_PROXY). Redirects are not followed:
// the secret is for this host only.
type poster struct {
	what    string // of receiver, for errors
	url     string // that batches go to
	client  *http.Client
	header  http.Header // of every request; it holds the secret
	scrub   *Scrubber
	limit   int    // bytes of a request's body; a receiver that finds it too large lowers it
	sent    []bool // of the events of the batch at hand: in a request that may have reached the receiver
	reached bool   // the last request may have
	offline error  // why the receiver could not be asked at opening; nil where it was
	closing context.Context
	close   context.CancelFunc
	sleep   func(context.Context, time.Duration) error
	now     func() time.Time
}

const (
	// requestTimeout is for one request with its answer: above the minute that Elasticsearch's own
	// timeout for a shard takes by default.
	requestTimeout = 75 * time.Second
	// checkTimeout is for the check at opening.
	checkTimeout = 3 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 16 << 20
	// maxRetryAfter bounds what a receiver can ask for.
	maxRetryAfter = 5 * time.Minute
)

// newPoster is for a receiver at base, with the value of the Authorization header.
func newPoster(what string, base *url.URL, o Options, authorization string) (*poster, error) {
	config, err := o.TLS.Config("")
	if err != nil {
		return nil, err
	}
	p := &poster{
		what: what, url: base.String(), scrub: NewScrubber(o.Secrets()...),
		header: http.Header{"Authorization": {authorization}, "User-Agent": {"synoptic/" + o.Version}},
		now:    time.Now, sleep: sleep,
		client: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
				TLSClientConfig:     config,
				TLSHandshakeTimeout: 10 * time.Second,
				MaxIdleConns:        2,
				IdleConnTimeout:     90 * time.Second,
				DisableCompression:  true, // of answers, which are short
			},
		},
	}
	p.closing, p.close = context.WithCancel(context.Background())
	return p, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// answer is what a receiver has said.
type answer struct {
	status int
	after  time.Duration // Retry-After; 0 where there is none
	body   []byte
}

// post sends body to the URL and reads the answer, whatever its status. It returns soon after ctx has
// ended or Close was called.
func (p *poster) post(ctx context.Context, to, contentType string, body []byte) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	defer context.AfterFunc(p.closing, crash.Guarded(cancel))()
	var wrote atomic.Bool // by net/http's own goroutine
	defer func() { p.reached = p.reached || wrote.Load() }()
	var handshake atomic.Pointer[error]
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders:     func() { wrote.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { handshake.Store(&err) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, p.failed(err)
	}
	for name, values := range p.header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := p.client.Do(req)
	if why := handshake.Load(); err != nil && why != nil && *why != nil && lastingTLS(*why) {
		return nil, &handshakeError{p.failed(explainTLS(*why)), *why}
	} else if err != nil {
		return nil, p.failed(err)
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, after: p.retryAfter(resp.Header.Get("Retry-After"))}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, p.failed(fmt.Errorf("answer broken off: %w", err))
	case len(a.body) > maxAnswer:
		return nil, p.failed(fmt.Errorf("answer of more than %d bytes", maxAnswer))
	}
	return a, nil
}

// handshakeError is a request that was not made because the TLS handshake failed, as it would again.
type handshakeError struct {
	error
	cause error
}

func (e *handshakeError) Unwrap() []error { return []error{e.error, e.cause} }

// failed is an error on the way to the receiver or back. Its text may quote what the receiver sent.
func (p *poster) failed(err error) error {
	cause := err
	if u, ok := errors.AsType[*url.Error](err); ok {
		cause = u.Err // the URL is known from the output's name
	}
	return &scrubbed{p.what + ": " + p.scrub.Words(cause.Error()), err}
}

// retryAfter reads RFC 9110 section 10.2.3: seconds, or a date.
func (p *poster) retryAfter(v string) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(p.now())
	}
	return min(max(d, 0), maxRetryAfter)
}

// refused is the error for an answer that is no success; said is what the receiver gives as the reason.
func (p *poster) refused(a *answer, said string) error {
	text := fmt.Sprintf("%s: %d %s", p.what, a.status, http.StatusText(a.status))
	if said = p.scrub.Words(said); said != "" {
		text += ": " + said
	}
	err := &scrubbed{text: strings.ReplaceAll(text, "  ", " ")}
	if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
		return &Busy{Err: err, After: a.after}
	}
	return err
}

// unauthorized tells a refusal of who we are from other answers.
func (a *answer) unauthorized() bool {
	return a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
}

// check asks once, with an empty body, before anything is scanned: the receiver looks at who we are
// before it misses the data, and takes nothing. Only what waiting does not fix is an error: a
// certificate that does not verify, a secret that is refused, a path where nothing takes records.
func (p *poster) check(contentType, hint string, said func(*answer) string) error {
	ctx, cancel := context.WithTimeout(p.closing, checkTimeout)
	defer cancel()
	a, err := p.post(ctx, p.url, contentType, nil)
	_, lasting := errors.AsType[*handshakeError](err)
	switch {
	case lasting && unverified(err):
		return newError("CAFile", err, caHint)
	case lasting:
		return newError("", err, hintTLS(err))
	case err != nil && unknownName(err):
		return newError("", err, nameHint)
	case err != nil: // down, which may pass
		p.offline = err
		return nil
	case a.unauthorized():
		return newError("", p.refused(a, said(a)), hint)
	case a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed:
		return newError("", p.refused(a, said(a)), "check the path of the URL: nothing takes records there")
	case a.status >= 300 && a.status < 400:
		return newError("", p.refused(a, "a redirect is not followed, for the secret is for this host only"), "give the URL that it leads to")
	}
	return nil
}

// Unreachable is for Reacher.
func (p *poster) Unreachable() error { return p.offline }

// chunk is the events [lo, hi) of a batch.
type chunk struct{ lo, hi int }

func (c chunk) len() int { return c.hi - c.lo }

// body is an empty request with room for a chunk, of which every event takes so many bytes besides its
// own. It is new for every request: net/http may read an old one still when the answer is there.
func (c chunk) body(b *batch.Batch, besides int) []byte {
	begin := 0
	if c.lo > 0 {
		begin = b.Events[c.lo-1].End
	}
	return make([]byte, 0, b.Events[c.hi-1].End-begin+c.len()*besides)
}

// halves are what to send instead of a chunk that was too much.
func (c chunk) halves() []chunk {
	mid := c.lo + c.len()/2
	return []chunk{{c.lo, mid}, {mid, c.hi}}
}

// verdict is what became of a chunk. What is in none of the lists was taken.
type verdict struct {
	retry []int
	why   error // of retry
	dead  []Rejection
	again []chunk // to be sent at once, in smaller pieces
}

// deliver sends a batch in chunks. An error before anything is settled is the batch's; one that comes
// later makes the rest the events to retry, so that what is settled is not sent again.
func (p *poster) deliver(ctx context.Context, b *batch.Batch, size func(event int) int, send func(chunk) (verdict, error)) (Outcome, error) {
	var out Outcome
	if len(p.sent) != len(b.Events) { // those of the batch before have all been taken
		p.sent = append(p.sent[:0], make([]bool, len(b.Events))...)
	}
	todo := p.chunks(b, size)
	for settled := false; len(todo) > 0; {
		c := todo[0]
		p.reached = false
		v, err := send(c)
		out.Resent += p.resent(b, c)
		if err != nil && !settled {
			return Outcome{Resent: out.Resent}, err
		}
		if err != nil {
			for _, rest := range todo {
				for i := rest.lo; i < rest.hi; i++ {
					out.Retry = append(out.Retry, i)
				}
			}
			out.because(err)
			break
		}
		var left int
		for _, a := range v.again {
			left += a.len()
		}
		settled = settled || left+len(v.retry) < c.len()
		out.Retry, out.Dead = append(out.Retry, v.retry...), append(out.Dead, v.dead...)
		if len(v.retry) > 0 {
			out.because(v.why)
		}
		todo = append(v.again, todo[1:]...)
	}
	for n, i := range out.Retry { // ascending: this is how they come again
		p.sent[n] = p.sent[i]
	}
	p.sent = p.sent[:len(out.Retry)]
	return out, nil
}

// resent counts the records of a chunk that may have reached the receiver, where it was not the first time.
func (p *poster) resent(b *batch.Batch, c chunk) (records uint64) {
	if !p.reached {
		return 0
	}
	for i := c.lo; i < c.hi; i++ {
		if p.sent[i] {
			records += uint64(b.Events[i].Records)
		}
		p.sent[i] = true
	}
	return records
}

// chunks divides a batch so that no body is above the limit, unless one event alone is.
func (p *poster) chunks(b *batch.Batch, size func(event int) int) (all []chunk) {
	var lo, sum int
	for i := range b.Events {
		n := size(i)
		if sum += n; sum > p.limit && i > lo {
			all = append(all, chunk{lo, i})
			lo, sum = i, n
		}
	}
	if lo < len(b.Events) {
		all = append(all, chunk{lo, len(b.Events)})
	}
	return all
}

// tooLarge is the verdict on a chunk that was answered 413, with a body of so many bytes: half of it
// next time, down to one event, which is dead then.
func (p *poster) tooLarge(c chunk, body int) verdict {
	if c.len() == 1 {
		return verdict{dead: []Rejection{{c.lo, fmt.Sprintf("413 Content Too Large: a request of %d bytes", body)}}}
	}
	p.limit = max(min(p.limit, body/2), batch.Size/16)
	return verdict{again: c.halves()}
}

// Sync has nothing to do: an answer says that the events are taken.
func (p *poster) Sync(context.Context) (Outcome, error) { return Outcome{}, nil }

// Confirms is for Confirmer.
func (p *poster) Confirms() {}

// Reopen has nothing to do.
func (p *poster) Reopen() error { return nil }

// Close breaks off what is under way.
func (p *poster) Close() error {
	p.close()
	p.client.CloseIdleConnections()
	return nil
}

// parseReceiver takes the URL of a destination apart: the https URL without options, and these. The
// errors show nothing of the URL, which may hold a secret.
func parseReceiver(u *url.URL, port string) (*url.URL, url.Values, error) {
	switch {
	case strings.Contains(u.Path, "@"): // of a password with a slash in it
		return nil, nil, errUser
	case u.Hostname() == "" || u.Opaque != "":
		return nil, nil, newError("", errors.New("no host in the URL"), "write "+u.Scheme+"://HOST:"+port+"/…")
	case u.Fragment != "":
		return nil, nil, newError("", errors.New("a fragment (#) in the URL"), "leave it out")
	}
	q, err := options(u)
	if err != nil {
		return nil, nil, err
	}
	base := &url.URL{Scheme: "https", Host: u.Host, Path: strings.TrimSuffix(u.Path, "/")}
	if u.Port() == "" {
		base.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return base, q, nil
}
