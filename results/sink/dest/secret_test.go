package dest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"synoptic/results/sink/dest"
)

func TestSecretDoesNotShow(t *testing.T) {
	o := dest.Options{HECToken: secret, ElasticAPIKey: secret, ElasticPassword: secret}
	var all bytes.Buffer
	for _, v := range []any{o, &o, o.HECToken, []dest.Secret{secret}, map[string]dest.Secret{"x": secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3s"} {
			fmt.Fprintf(&all, verb+"\n", v)
		}
		if data, err := json.Marshal(v); err == nil {
			all.Write(data)
		}
		slog.New(slog.NewTextHandler(&all, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&all, nil)).Info("json", "v", v)
	}
	fmt.Fprint(&all, o.HECToken.String())
	for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), secret[:8]} {
		if strings.Contains(all.String(), form) {
			t.Errorf("%q is in\n%s", form, all.String())
		}
	}
	if !strings.Contains(all.String(), "[secret]") {
		t.Error("nothing stands in its place")
	}
}

func TestScrub(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("synoptic:" + secret))
	for _, text := range []string{
		"bad token " + secret, strings.ToUpper(secret) + "!", "Authorization: Splunk " + secret,
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret)), "Basic " + basic,
		`{"said":"` + strings.ReplaceAll(secret, "/", "%2F") + `"}`, secret + secret, strings.Repeat("x", 295) + secret,
		"\xff\xfeİ" + secret, "Splunk\n" + secret,
	} {
		got := dest.Scrub(text, secret, "synoptic:"+secret)
		for _, form := range []string{secret, "s3cr3t", base64.StdEncoding.EncodeToString([]byte(secret))[:20], basic[:20]} {
			if strings.Contains(strings.ToLower(got), strings.ToLower(form)) {
				t.Errorf("%q leaves %q", text, got)
			}
		}
		if strings.ContainsAny(got, "\r\n") || len(got) > 310 {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if got := dest.Scrub("all is\twell ", secret, ""); got != "all is well" {
		t.Errorf("%q", got)
	}
}

func TestRedact(t *testing.T) {
	for word, want := range map[string]string{
		"10.0.0.0/8":                                "10.0.0.0/8",
		"jsonl:/a/b@c?d":                            "jsonl:/a/b@c?d",
		"hec+https://h:1/p?index=i&ack=true":        "hec+https://h:1/p?index=i&ack=true",
		"ecs:hec+https://u:p@h:1/p?index=i&token=t": "ecs:hec+https://…@h:1/p?index=i&…",
		"--output=elastic+https://u:p/w?x#y@h/i":    "--output=elastic+https://…@h/i",
		"https://h/?t":                              "https://h/?…",
		"hec+https://h#t":                           "hec+https://h#…",
		"-o=hec+https://h:secret":                   "-o=hec+https://…",
		"syslog+tcp://h?facility=kern&app=a&x":      "syslog+tcp://h?facility=kern&app=a&…",
		// Without the slashes.
		"hec+https:TOKEN@host":              "hec+https:…",
		"HEC+https:TOKEN@host":              "HEC+https:…",
		"ecs:hec+https:TOKEN@host/?x=://":   "ecs:hec+https:…",
		"--output=elastic+https:/u:TOKEN@h": "--output=elastic+https:…",
		"-osyslog+tls:TOKEN":                "-osyslog+tls:…",
		"unix:/x?token=TOKEN":               "unix:/x?…",
		"unix:/x@y?resend=64M&k=http://a@b": "unix:/x@y?resend=64M&…",
		"ecs:unix:/x#TOKEN":                 "ecs:unix:/x#…",
		"unix:TOKEN@/x":                     "unix:…",
		"http://unix:TOKEN@h":               "http://…@h",
	} {
		if got := dest.Redact(word); got != want {
			t.Errorf("%s becomes %s, want %s", word, got, want)
		}
	}
}

// A receiver that repeats what it was sent does not get the secret into errors and dead letters.
func TestEchoingReceiver(t *testing.T) {
	echo := func(r *http.Request) string {
		v, _ := json.Marshal(r.Header.Get("Authorization"))
		return "you sent " + strings.Trim(string(v), `"`)
	}
	for scheme, rest := range map[string]string{"hec+https": "", "elastic+https": "/logs-synoptic"} {
		s := newHECStub(t, false).stub
		if rest != "" {
			s = newElasticStub(t).stub
		}
		d := s.open(scheme, rest)
		b := encoded(t, 1)
		for _, answer := range []func(w http.ResponseWriter, r *http.Request){
			func(w http.ResponseWriter, r *http.Request) { say(w, 500, echo(r)) },
			func(w http.ResponseWriter, r *http.Request) { say(w, 400, `{"text":"`+echo(r)+`","code":6}`) },
			func(w http.ResponseWriter, r *http.Request) {
				say(w, 500, `{"error":{"type":"x","reason":"`+echo(r)+`"}}`)
			},
			func(w http.ResponseWriter, r *http.Request) {
				say(w, 200, `{"items":[{"create":{"_id":"`+b.Events[0].ID.String()+`","status":400,"error":{"type":"x","reason":"`+echo(r)+`"}}}]}`)
			},
			func(w http.ResponseWriter, r *http.Request) {
				conn, rw, _ := http.NewResponseController(w).Hijack()
				rw.WriteString("HTTP/1.1 " + secret + " no\r\n\r\n")
				rw.Flush()
				conn.Close()
			},
		} {
			s.fault = func(_ int, w http.ResponseWriter, r *http.Request, _ []byte) bool { answer(w, r); return true }
			out, err := d.Deliver(t.Context(), b)
			said := fmt.Sprint(out.Dead, err)
			if err == nil && len(out.Dead) == 0 || strings.Contains(said, secret) || strings.Contains(said, secret[:12]) {
				t.Errorf("%s: %s", scheme, said)
			}
		}
	}
}
