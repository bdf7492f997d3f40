package dest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// elastic is the bulk API of Elasticsearch or OpenSearch: elastic+https://HOST[:9200][/PREFIX]/INDEX,
// where INDEX may be a data stream. Source: Elasticsearch reference, "Bulk API". VictoriaLogs has one, too, at
// /insert/elasticsearch, and is told by options which fields hold the time and the message and name the stream (its
// documentation, "HTTP parameters").
type elastic struct{ *poster }

// elasticLimit bounds a request, in bytes. The reference names 5 MB as a start, and 100 MB are refused; a
// batch, its request and the answer taken apart are some five times the limit in memory.
const elasticLimit = 2 << 20

func openElastic(u *url.URL, o Options) (Destination, error) {
	base, query, err := parseReceiver(u, "9200")
	if err != nil {
		return nil, err
	}
	index := path.Base(base.Path)
	if base.Path == "" || strings.ToLower(index) != index || strings.HasPrefix(index, "-") || strings.HasPrefix(index, "_") ||
		strings.ContainsAny(index, "\\*?\"<>| ,#:+") {
		return nil, newError("", errors.New("no name of an index or data stream in the URL"), "write "+u.Scheme+"://HOST:9200/INDEX, with the name in lower case")
	}
	authorization, err := elasticAuthorization(o)
	if err != nil {
		return nil, err
	}
	base.Path, base.RawQuery = base.Path+"/_bulk", query.Encode()
	p, err := newPoster("Elasticsearch", base, o, authorization)
	if err != nil {
		return nil, err
	}
	p.limit = elasticLimit
	said := func(a *answer) string { return parseElasticError(a) }
	if err := p.check("application/x-ndjson", "check the API key, or the user and the password, and what they are allowed to", said); err != nil {
		p.Close()
		return nil, err
	}
	return &elastic{p}, nil
}

// elasticAuthorization is the header's value, by API key or by user and password (RFC 7617).
func elasticAuthorization(o Options) (header string, err error) {
	key, user, password := string(o.ElasticAPIKey), o.ElasticUser, string(o.ElasticPassword)
	switch {
	case key != "" && (user != "" || password != ""):
		return "", newError("ElasticAPIKey", errors.New("both an API key and a user or password for Elasticsearch"), "give one of them")
	case key != "":
		return "ApiKey " + key, nil
	case user != "" && password != "":
		if strings.Contains(user, ":") {
			return "", newError("ElasticUser", errors.New("a colon in the user name for Elasticsearch"), "basic authentication cannot carry it: choose another user")
		}
		return basic(user, password), nil
	case user != "" || password != "":
		return "", newError("ElasticUser", errors.New("a user without a password for Elasticsearch, or the reverse"), "set SYNOPTIC_ELASTIC_USER and SYNOPTIC_ELASTIC_PASSWORD, or give ElasticUser and ElasticPassword")
	}
	return "", newError("ElasticAPIKey", errors.New("no API key for Elasticsearch"), "set SYNOPTIC_ELASTIC_API_KEY, or give a file with the key to ElasticAPIKey; for OpenSearch give ElasticUser and ElasticPassword")
}

// Deliver posts the batch as one bulk request, and looks at the answer for every event.
func (e *elastic) Deliver(ctx context.Context, b *batch.Batch) (Outcome, error) {
	size := func(i int) int { return len(b.Event(i)) + elasticAction }
	return e.deliver(ctx, b, size, func(c chunk) (verdict, error) { return e.send(ctx, b, c) })
}

// Limit is for Joiner.
func (e *elastic) Limit() (bytes, each int) { return e.limit, elasticAction }

// elasticAction is what an action takes with its line end, in bytes.
const elasticAction = len(`{"create":{"_id":""}}`+"\n") + 2*len(results.EventID{})

// appendElastic appends the action and the document, whose ID is the event's: one that is sent twice is
// there once. create is the one action that data streams know. An event without an ID gets one from the
// receiver.
func appendElastic(body []byte, b *batch.Batch, i int) []byte {
	if id := b.Events[i].ID; id != (results.EventID{}) {
		body = append(body, `{"create":{"_id":"`...)
		body = append(id.AppendTo(body), `"}}`...)
	} else {
		body = append(body, `{"create":{}}`...)
	}
	body = append(body, '\n')
	return append(append(body, bytes.TrimRight(b.Event(i), "\r\n")...), '\n')
}

// bulkAnswer is what matters of the answer to a bulk request.
type bulkAnswer struct {
	Items []map[string]struct {
		ID     string       `json:"_id"`
		Status int          `json:"status"`
		Error  elasticError `json:"error"`
	} `json:"items"`
}

// elasticError is why a request or an event is refused: an object, or a mere string from what stands
// in front of the cluster.
type elasticError struct{ Type, Reason string }

func (e *elasticError) UnmarshalJSON(data []byte) error {
	var full struct{ Type, Reason string }
	if json.Unmarshal(data, &full) == nil {
		*e = full
		return nil
	}
	return json.Unmarshal(data, &e.Reason)
}

func (e elasticError) String() string {
	return strings.TrimPrefix(e.Type+": "+e.Reason, ": ")
}

// parseElasticError is the reason in an answer that refuses the whole request.
func parseElasticError(a *answer) string {
	var said struct{ Error elasticError }
	if json.Unmarshal(a.body, &said) != nil || said.Error == (elasticError{}) {
		return string(a.body)
	}
	return said.Error.String()
}

func (e *elastic) send(ctx context.Context, b *batch.Batch, c chunk) (verdict, error) {
	body := c.body(b, elasticAction)
	for i := c.lo; i < c.hi; i++ {
		body = appendElastic(body, b, i)
	}
	a, err := e.post(ctx, e.url, "application/x-ndjson", body)
	switch {
	case err != nil:
		return verdict{}, err
	case a.status == http.StatusRequestEntityTooLarge:
		return e.tooLarge(c, len(body)), nil
	case a.status != http.StatusOK:
		return verdict{}, e.refused(a, parseElasticError(a))
	}
	var said bulkAnswer
	if err := json.Unmarshal(a.body, &said); err != nil || len(said.Items) != c.len() {
		return verdict{}, e.refused(a, fmt.Sprintf("an answer that does not cover the %d events sent", c.len()))
	}
	return e.judge(b, c, a, &said)
}

// judge goes through the answer event by event: the items stand in the order of the request (Elasticsearch reference,
// "Bulk API": "returned in the order submitted"), so that one without an _id is known by its place, as VictoriaLogs
// answers. One with the _id of another event is the error. Where none is taken and none is dead the error says why.
func (e *elastic) judge(b *batch.Batch, c chunk, a *answer, said *bulkAnswer) (v verdict, err error) {
	for n, item := range said.Items {
		i := c.lo + n
		create, ok := item["create"]
		if id := b.Events[i].ID; !ok || id != (results.EventID{}) && create.ID != "" && create.ID != id.String() {
			return verdict{}, e.refused(a, "an answer about other events than were sent")
		}
		switch s := create.Status; {
		case s >= 200 && s < 300:
		case s == http.StatusConflict: // it is there already, from an earlier try
		// What time or an operator can fix: a full queue, a shard that is away, a missing privilege, a
		// blocked or missing index.
		case s == http.StatusTooManyRequests || s >= 500 || s == http.StatusUnauthorized || s == http.StatusForbidden ||
			s == http.StatusNotFound || s == http.StatusRequestTimeout || s < 200 || s >= 300 && s < 400:
			v.retry = append(v.retry, i)
			if v.why == nil || s == http.StatusTooManyRequests && !isBusy(v.why) {
				v.why = e.refused(&answer{status: s, after: a.after}, create.Error.String())
			}
		default:
			v.dead = append(v.dead, Rejection{i, e.scrub.Words(fmt.Sprintf("%d %s", s, create.Error))})
		}
	}
	if len(v.retry) == c.len() {
		return verdict{}, v.why
	}
	return v, nil
}
