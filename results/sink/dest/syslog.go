package dest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"synoptic/results/sink/batch"
)

// openSyslog delivers to syslog+tcp://HOST[:514] and syslog+tls://HOST[:6514] (RFC 5425): every event is
// the message of an RFC 5424 record, framed by octet counting (RFC 6587 section 3.4.1).
//
// Options: facility (a name of RFC 5424 section 6.2.1 or a number, local0 by default; the severity is
// informational), hostname, app (synoptic), resend (32M: bytes kept for a receiver that never confirms).
func openSyslog(u *url.URL, o Options) (Destination, error) { return openSyslogWithin(u, o, alertWait) }

func openSyslogWithin(u *url.URL, o Options, alertWait time.Duration) (Destination, error) {
	host, port := u.Hostname(), u.Port()
	if host == "" || strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		return nil, newError("", errors.New("this is not the address of a syslog receiver"), "give "+u.Scheme+"://HOST:PORT")
	}
	if port == "" {
		port = map[string]string{"syslog+tcp": "514", "syslog+tls": "6514"}[u.Scheme]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, newError("", fmt.Errorf("port %s", port), "give a port from 1 to 65535")
	}
	q, err := options(u)
	if err != nil {
		return nil, err
	}
	head, err := newHeader(q, o)
	if err != nil {
		return nil, err
	}
	keep, err := resendOption(q)
	if err != nil {
		return nil, err
	}
	d := syslogDialer{address: net.JoinHostPort(host, port)}
	if u.Scheme == "syslog+tls" {
		if d.tls, err = o.TLS.Config(host); err != nil {
			return nil, err
		}
	}
	s, err := newOneWay(keep, d.dial, head.frame)
	if err != nil {
		return nil, newError("", err, d.hint(err))
	}
	if d.tls != nil && s.conn != nil {
		select {
		case <-s.conn.gone:
			if err := tlsError(s.conn.ended()); s.conn.why != nil && IsPermanent(err) {
				s.Close()
				return nil, newError("", err, d.hint(err))
			}
		case <-time.After(alertWait):
		}
	}
	return s, nil
}

// syslogDialer connects to a receiver.
type syslogDialer struct {
	address string
	tls     *tls.Config
}

// alertWait is how long the first connection is watched for the alert of a receiver that refuses our certificate,
// or the lack of one: with TLS 1.3 that comes behind the handshake.
const alertWait = 100 * time.Millisecond

// dial connects. What an operator has to fix is *Permanent.
func (d *syslogDialer) dial(ctx context.Context) (*conn, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", d.address)
	if err != nil {
		err = fmt.Errorf("connect: %w", err)
		if unknownName(err) {
			err = &Permanent{err}
		}
		return nil, err
	}
	s := c.(*net.TCPConn)
	if err := s.SetWriteBuffer(sendBuffer); err != nil {
		s.Close()
		return nil, fmt.Errorf("set send buffer: %w", err)
	}
	if d.tls == nil {
		return newConn(s, s), nil
	}
	t := tls.Client(patient{s}, d.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		s.Close()
		return nil, tlsError(err)
	}
	return newConn(s, t), nil
}

func (d *syslogDialer) hint(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return nameHint
	}
	if d.tls != nil {
		return hintTLS(err)
	}
	return "see that the receiver listens there"
}

// header is what the records of a scan begin with (RFC 5424 section 6.2):
//
//	<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG
type header struct {
	pri  string // with the version
	tail string // HOSTNAME to PROCID

	second  int64  // of the timestamp that stamp holds
	stamp   []byte // up to the second
	escaped []byte
}

const severityInformational = 6

// facilities by their number; the names are those of syslog(3), and ntp to clock as receivers know them.
var facilities = strings.Fields("kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock local0 local1 local2 local3 local4 local5 local6 local7")

func newHeader(q url.Values, o Options) (*header, error) {
	facility, host, app := "local0", o.Hostname, "synoptic"
	if q.Has("facility") {
		facility = q.Get("facility")
	}
	number := slices.Index(facilities, facility)
	if number < 0 {
		n, err := strconv.ParseUint(facility, 10, 8)
		if err != nil || int(n) >= len(facilities) {
			return nil, newError("", fmt.Errorf("unknown facility %q", facility), "the facilities are "+strings.Join(facilities, ", ")+", or their numbers from 0")
		}
		number = int(n)
	}
	if !printable(host, 255) {
		host = "-" // NILVALUE
	}
	for _, option := range []struct {
		name  string
		value *string
		limit int
	}{{"hostname", &host, 255}, {"app", &app, 48}} {
		if !q.Has(option.name) {
			continue
		}
		if *option.value = q.Get(option.name); !printable(*option.value, option.limit) {
			return nil, newError("", fmt.Errorf("%s=%q", option.name, *option.value), fmt.Sprintf("give 1 to %d printable ASCII characters without a space", option.limit))
		}
	}
	return &header{
		pri:    fmt.Sprintf("<%d>1 ", number*8+severityInformational),
		tail:   fmt.Sprintf(" %s %s %d ", host, app, os.Getpid()),
		second: math.MinInt64,
	}, nil
}

// printable tells whether s is PRINTUSASCII of 1 to limit characters.
func printable(s string, limit int) bool {
	return s != "" && len(s) <= limit && strings.IndexFunc(s, func(r rune) bool { return r < 33 || r > 126 }) < 0
}

// stampLen is the length of 2006-01-02T15:04:05.000000Z.
const stampLen = 27

// frame appends the events of a batch, each as one record behind its length in octets and a space.
func (h *header) frame(dst []byte, b *batch.Batch) []byte {
	for i := range b.Events {
		event := bytes.TrimSuffix(b.Event(i), []byte{'\n'})
		id := messageID(event)
		event = h.ascii(event)
		dst = strconv.AppendInt(dst, int64(len(h.pri)+stampLen+len(h.tail)+len(id)+len(" - ")+len(event)), 10)
		dst = append(dst, ' ')
		dst = append(dst, h.pri...)
		dst = h.appendTime(dst, b.Events[i].Time)
		dst = append(dst, h.tail...)
		dst = append(dst, id...)
		dst = append(dst, " - "...) // no structured data
		dst = append(dst, event...)
	}
	return dst
}

// appendTime writes nanoseconds since the Unix epoch with the six digits that RFC 5424 allows.
func (h *header) appendTime(dst []byte, nano int64) []byte {
	t := time.Unix(0, nano).UTC()
	if s := t.Unix(); s != h.second {
		h.second, h.stamp = s, t.AppendFormat(h.stamp[:0], "2006-01-02T15:04:05.")
	}
	dst = append(dst, h.stamp...)
	micro := t.Nanosecond() / 1000
	for unit := 100000; unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+micro/unit%10))
	}
	return append(dst, 'Z')
}

var nilValue = []byte{'-'}

// messageID is the record type where an event begins with it, as the native format does, else NILVALUE.
func messageID(event []byte) []byte {
	rest, ok := bytes.CutPrefix(event, []byte(`{"v":1,"type":"`))
	if end := bytes.IndexByte(rest, '"'); ok && end > 0 && end <= 32 && !slices.ContainsFunc(rest[:end], func(c byte) bool { return c < 33 || c > 126 }) {
		return rest[:end] // 1 to 32 of PRINTUSASCII (RFC 5424 section 6)
	}
	return nilValue
}

// ascii escapes what is not ASCII, which stands in strings only. A message in UTF-8 would have to begin with a byte order
// mark (RFC 5424 section 6.4), which many receivers hand on, and which no JSON parser takes.
func (h *header) ascii(event []byte) []byte {
	at := slices.IndexFunc(event, func(c byte) bool { return c >= utf8.RuneSelf })
	if at < 0 {
		return event
	}
	h.escaped = append(h.escaped[:0], event[:at]...)
	for rest := event[at:]; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		rest = rest[n:]
		switch {
		case r < utf8.RuneSelf:
			h.escaped = append(h.escaped, byte(r))
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			h.escaped = fmt.Appendf(h.escaped, `\u%04x\u%04x`, hi, lo)
		default:
			h.escaped = fmt.Appendf(h.escaped, `\u%04x`, r)
		}
	}
	return h.escaped
}
