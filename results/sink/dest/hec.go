package dest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"synoptic/results/sink/batch"
)

// hec is a Splunk HTTP Event Collector: hec+https://HOST[:8088][/PREFIX][?sourcetype=…&index=…&ack=true].
// Facts: Splunk, "Format events for HTTP Event Collector", "Troubleshoot HTTP Event Collector" (the
// codes) and "About HTTP Event Collector Indexer Acknowledgment".
type hec struct {
	*poster
	before, after []byte // around the time of an event: its envelope, up to the event itself
	ack           string // the URL that tells what is indexed; "" where a 200 is enough
}

const (
	hecPath = "/services/collector"
	// hecLimit is below the 1,000,000 bytes that max_content_length of Splunk's limits.conf was in old
	// versions.
	hecLimit = 800_000
	// hecSourcetype is one for all records: Splunk takes the fields of a JSON event by itself.
	hecSourcetype = "synoptic:json"

	// An indexer may hold events for over two minutes before they count as indexed
	// (github.com/splunk/kafka-connect-splunk, issue 122): not before ackDeadline are they sent again.
	ackDeadline = 5 * time.Minute
	ackPauseMin = 50 * time.Millisecond
	ackPauseMax = 5 * time.Second
)

func openHEC(u *url.URL, o Options) (Destination, error) {
	base, query, err := parseReceiver(u, "8088")
	if err != nil {
		return nil, err
	}
	if o.HECToken == "" {
		return nil, newError("HECToken", errors.New("no token for the HTTP Event Collector"), "set SYNOPTIC_HEC_TOKEN, or give a file with the token to HECToken")
	}
	ack := query.Get("ack")
	if ack != "" && ack != "true" && ack != "false" {
		return nil, newError("", errors.New("ack is neither true nor false"), "write ?ack=true to wait until events are indexed")
	}
	// What documentation gives as the whole path is taken for that; everything else is a prefix.
	if base.Path = strings.TrimSuffix(base.Path, "/event"); !strings.HasSuffix(base.Path, hecPath) {
		base.Path += hecPath
	}
	p, err := newPoster("HTTP Event Collector", base, o, "Splunk "+string(o.HECToken))
	if err != nil {
		return nil, err
	}
	p.limit = hecLimit
	h := &hec{poster: p, before: []byte(`{"time":`), after: hecEnvelope(o.Hostname, query)}
	if ack == "true" {
		h.ack = p.url + "/ack"
		p.header.Set("X-Splunk-Request-Channel", newChannel())
	}
	said := func(a *answer) string { return parseHEC(a).Text }
	if err := p.check("application/json", "check the token in SYNOPTIC_HEC_TOKEN or HECToken, and that it is enabled in Splunk", said); err != nil {
		p.Close()
		return nil, err
	}
	return h, nil
}

// hecEnvelope is what stands between an event's time and the event itself.
func hecEnvelope(host string, query url.Values) []byte {
	envelope := []byte{}
	field := func(name, value string) {
		if value != "" {
			v, _ := json.Marshal(value) // of a string: cannot fail
			envelope = append(append(append(envelope, `,"`...), name+`":`...), v...)
		}
	}
	sourcetype := query.Get("sourcetype")
	if sourcetype == "" {
		sourcetype = hecSourcetype
	}
	field("host", host)
	field("source", "synoptic")
	field("sourcetype", sourcetype)
	field("index", query.Get("index"))
	return append(envelope, `,"event":`...)
}

// newChannel draws a version 4 UUID (RFC 9562 section 5.4), as Splunk wants a channel named.
func newChannel() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: crypto/rand, Go 1.24
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// hecAnswer is what the collector says.
type hecAnswer struct {
	Text    string  `json:"text"`
	Code    *int    `json:"code"`
	Invalid *int    `json:"invalid-event-number"`
	AckID   *uint64 `json:"ackId"`
}

func parseHEC(a *answer) (h hecAnswer) {
	if json.Unmarshal(a.body, &h) != nil {
		return hecAnswer{Text: string(a.body)}
	}
	return h
}

// Deliver posts the batch: events as JSON objects one behind the other. Where acknowledgement is asked
// for it returns when all of them are indexed.
func (h *hec) Deliver(ctx context.Context, b *batch.Batch) (Outcome, error) {
	size := func(i int) int { return len(b.Event(i)) + h.besides() }
	return h.deliver(ctx, b, size, func(c chunk) (verdict, error) { return h.send(ctx, b, c) })
}

// Limit is for Joiner.
func (h *hec) Limit() (bytes, each int) { return h.limit, h.besides() }

// besides is what an event's envelope takes, in bytes.
func (h *hec) besides() int { return len(h.before) + len("1795255933.123") + len(h.after) + len("}\n") }

// appendEvent appends one event in its envelope. Splunk knows no time before 1970.
func (h *hec) appendEvent(body []byte, b *batch.Batch, i int) []byte {
	ms := max(b.Events[i].Time, 0) / int64(time.Millisecond)
	body = append(body, h.before...)
	body = strconv.AppendInt(body, ms/1000, 10)
	body = append(body, '.', byte('0'+ms/100%10), byte('0'+ms/10%10), byte('0'+ms%10))
	body = append(body, h.after...)
	body = append(body, bytes.TrimRight(b.Event(i), "\r\n")...)
	return append(body, '}', '\n')
}

func (h *hec) send(ctx context.Context, b *batch.Batch, c chunk) (verdict, error) {
	body := c.body(b, h.besides())
	for i := c.lo; i < c.hi; i++ {
		body = h.appendEvent(body, b, i)
	}
	a, err := h.post(ctx, h.url, "application/json", body)
	if err != nil {
		return verdict{}, err
	}
	said := parseHEC(a)
	switch {
	case a.status == http.StatusRequestEntityTooLarge:
		return h.tooLarge(c, len(body)), nil
	case a.status == http.StatusBadRequest && said.Code != nil && aboutAnEvent(*said.Code):
		return h.invalid(c, a, said), nil
	// 24 and 25 say that the queue or the acknowledgements will be full soon: the events are taken.
	case a.status != http.StatusOK || said.Code == nil || *said.Code != 0 && *said.Code != 24 && *said.Code != 25:
		return verdict{}, h.refused(a, said.Text)
	case h.ack == "":
		return verdict{}, nil
	case said.AckID == nil:
		// The events are taken; to send them again until the setting is changed would only add copies.
		return verdict{}, &Permanent{h.refused(a, "no ackId: enable indexer acknowledgement for the token, or leave ack=true out")}
	}
	return verdict{}, h.indexed(ctx, *said.AckID)
}

// aboutAnEvent tells codes about what an event holds from codes about the request and its settings,
// which are no reason to give up an event: a wrong index (7) can be mended in Splunk.
func aboutAnEvent(code int) bool {
	switch code {
	case 5, 6, 12, 13, 15: // no data, invalid data format, event field missing, blank, indexed fields
		return true
	}
	return false
}

// invalid is the verdict where the collector names the event that it cannot take. Those before it are
// indexed, those behind it are not (github.com/moby/moby, issue 35862). The number counts from 0, but for
// some codes from 1 (a single event that is refused may be number 1): so the event before it is
// suspected too, each is sent alone, and only an event that is refused alone is dead. Nothing
// acknowledges what was indexed before an error, so with acknowledgement all is sent again.
func (h *hec) invalid(c chunk, a *answer, said hecAnswer) verdict {
	if c.len() == 1 {
		return verdict{dead: []Rejection{{c.lo, h.scrub.Words(fmt.Sprintf("%d code %d: %s", a.status, *said.Code, said.Text))}}}
	}
	if said.Invalid == nil || *said.Invalid < 0 || *said.Invalid > c.len() {
		return verdict{again: c.halves()}
	}
	second := c.lo + min(*said.Invalid, c.len()-1)
	first := max(second-1, c.lo)
	var again []chunk
	for _, part := range []chunk{{c.lo, first}, {first, second}, {second, second + 1}, {second + 1, c.hi}} {
		if taken := part.lo == c.lo && part.hi == first && h.ack == ""; part.len() > 0 && !taken {
			again = append(again, part)
		}
	}
	return verdict{again: again}
}

// indexed waits until the collector says that a request's events are indexed.
func (h *hec) indexed(ctx context.Context, id uint64) error {
	question := fmt.Appendf(nil, `{"acks":[%d]}`, id)
	deadline := h.now().Add(ackDeadline)
	for pause := ackPauseMin; ; pause = min(2*pause, ackPauseMax) {
		if err := h.sleep(ctx, pause); err != nil {
			return err
		}
		if h.closing.Err() != nil {
			return h.closing.Err()
		}
		a, err := h.post(ctx, h.ack, "application/json", question)
		var why error
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			why = err
		case a.status == http.StatusBadRequest || a.status == http.StatusNotFound || a.unauthorized():
			// The channel is gone, or never was: nothing will be said any more.
			return h.refused(a, parseHEC(a).Text)
		case a.status != http.StatusOK:
			why = h.refused(a, parseHEC(a).Text)
		default:
			var said struct {
				Acks map[string]bool `json:"acks"`
			}
			if json.Unmarshal(a.body, &said) == nil && said.Acks[strconv.FormatUint(id, 10)] {
				return nil
			}
			why = &scrubbed{text: h.what + ": events are not acknowledged"}
		}
		if !h.now().Before(deadline) {
			return fmt.Errorf("after %v: %w", ackDeadline, why)
		}
	}
}
