package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
)

// planting is a secret in a place where one can come from. SECRET stands for it, RECEIVER for the address of a
// receiver, FORWARDER for that of a proxy, PORT for an open port.
type planting struct {
	name   string
	args   string
	env    string            // NAME=value, in words
	file   string            // content of the file "f"
	says   func(*said) error // what the receiver does with a request; nil: it takes it
	subj   string            // of the receiver's certificate
	want   string            // on standard error, to show that the case is the one that is meant
	status string            // is in the answer of synoptic ctl, which is asked until then
}

// said is a request to the receiver, and the connection to answer it on.
type said struct {
	net.Conn
	auth string // the value of the header that has the secret
	n    int    // requests before, of all connections
}

func (s *said) raw(text string, args ...any) error {
	_, err := fmt.Fprintf(s, text, args...)
	return err
}

func (s *said) answer(status, body string, headers ...string) error {
	return s.raw("HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s", status, len(body), strings.Join(headers, ""), body)
}

const took = "HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n" + `{"text":"Success","code":0}`

func (s *said) take() error { return s.raw(took) }

// hangUp answers and ends the connection.
func (s *said) hangUp(err error) error { s.Close(); return err }

const (
	hecTo = "scan 127.0.0.1 -p PORT --backend connect -o hec+https://RECEIVER --ca-file ca.pem"
	// No request to this host itself goes by a proxy.
	farTo     = "scan 127.0.0.1 -p PORT --backend connect -o hec+https://receiver.example:8088"
	hecSecret = "SYNOPTIC_HEC_TOKEN=SECRET"
	dry       = " --backend connect -p 1 --dry-run"
)

var plantings = []planting{
	// The command line.
	{name: "flag that does not exist", args: "scan 10.0.0.1 --hec-token SECRET", want: "unknown flag"},
	{name: "the same with =", args: "scan 10.0.0.1 --hec-token=SECRET", want: "unknown flag"},
	{name: "password flag", args: "scan 10.0.0.1 --elastic-password SECRET", want: "unknown flag"},
	{name: "flags without scan", args: "--api-token SECRET 10.0.0.1", want: "hint: "},
	{name: "command that does not exist", args: "scna --password=SECRET 10.0.0.1", want: "hint: "},
	{name: "URL without scan", args: "-o hec+https://u:SECRET@h 10.0.0.1", want: "hint: "},
	{name: "user and password", args: "scan 127.0.0.1 -p PORT --backend connect -o elastic+https://RECEIVER/i --elastic-user u:SECRET", env: "SYNOPTIC_ELASTIC_PASSWORD=other-pass", want: "a colon in the user name"},
	{name: "user and password with =", args: "scan 127.0.0.1 -p PORT --backend connect --elastic-user=u:SECRET -o records.jsonl", want: "a colon in the user name"},
	{name: "user and password, dry run", args: "scan 127.0.0.1 --elastic-user u:SECRET" + dry},
	{name: "user information", args: "scan 127.0.0.1 -p 1 --backend connect -o hec+https://u:SECRET@h", want: "hint: "},
	{name: "user alone", args: "scan 127.0.0.1 -p 1 --backend connect -o elastic+https://SECRET@h/i", want: "user information"},
	{name: "parameter", args: "scan 127.0.0.1 -p 1 --backend connect -o hec+https://h/?token=SECRET", want: "a URL with a secret"},
	{name: "unknown parameter", args: "scan 127.0.0.1 -p 1 --backend connect -o syslog+tcp://h?x=SECRET", want: " in the URL"},
	{name: "fragment", args: "scan 127.0.0.1 -p 1 --backend connect -o hec+https://h/#SECRET", want: "hint: "},
	{name: "port", args: "scan 127.0.0.1 -p 1 --backend connect -o hec+https://h:SECRET", want: "not a URL"},
	{name: "no slashes", args: "scan 127.0.0.1 -p 1 --backend connect -o hec+https:SECRET@h", want: "hint: "},
	{name: "socket", args: "scan 127.0.0.1 -p 1 --backend connect -o unix:/x?token=SECRET", want: "hint: "},
	{name: "format that takes no messages", args: "scan 127.0.0.1 -p 1 --backend connect -o nmap-xml:syslog+tls://u:SECRET@h", want: "hint: "},
	{name: "convert to packets", args: "convert -o pcapng:hec+https://u:SECRET@h", want: "hint: "},
	{name: "URL as a target", args: "scan https://u:SECRET@h/", want: "a URL is not a target"},
	{name: "URL as a file of targets", args: "scan -i https://u:SECRET@h/list", want: "hint: "},
	{name: "URL as a port", args: "scan 10.0.0.1 -p https://u:SECRET@h/", want: "hint: "},
	// The environment.
	{name: "token of two lines", args: "scan 127.0.0.1 -p 1 --backend connect -o hec+https://RECEIVER", env: "SYNOPTIC_HEC_TOKEN=SECRET\nmore", want: "more than one line"},
	{name: "user with a password in the environment", args: "scan 127.0.0.1 -p 1 --backend connect -o elastic+https://RECEIVER/i", env: "SYNOPTIC_ELASTIC_USER=u:SECRET SYNOPTIC_ELASTIC_PASSWORD=other-pass", want: "a colon in the user name"},
	{name: "password in the environment", args: "scan 127.0.0.1 -p PORT --backend connect -o elastic+https://RECEIVER/i --elastic-user u --ca-file ca.pem", env: "SYNOPTIC_ELASTIC_PASSWORD=SECRET",
		says: func(s *said) error { return s.answer("403 Forbidden", `{"error":"`+plainBasic(s.auth)+`"}`) }, want: "403 Forbidden: [secret]"},
	{name: "token in a name of a file too", args: "scan 127.0.0.1 -p 1 --backend connect -o ./no/SECRET/x", env: hecSecret, want: "hint: "},
	{name: "proxy that is away", args: farTo, env: "SYNOPTIC_HEC_TOKEN=another-token HTTPS_PROXY=http://u:SECRET@127.0.0.1:1", want: "refused"},
	{name: "proxy that repeats its password", args: farTo, env: "SYNOPTIC_HEC_TOKEN=another-token HTTPS_PROXY=http://u:SECRET@FORWARDER", want: "[secret]"},
	{name: "proxy that is no URL", args: farTo, env: "SYNOPTIC_HEC_TOKEN=another-token HTTPS_PROXY=http://u:SECRET@[h"},
	// Files.
	{name: "file of two tokens", args: "scan 127.0.0.1 -p 1 --backend connect -o hec+https://RECEIVER --hec-token-file f", file: "SECRET\nmore\n", want: "more than one line"},
	{name: "targets from a file of passwords", args: "scan -i f" + dry, file: "# users\nsvc:SECRET:1:1::/:/bin/sh\n", want: `"svc:…"`},
	{name: "targets from a file of hashes", args: "scan -i f" + dry, file: "svc:$6$SECRET\n", want: "hint: "},
	{name: "exclusions from a file of variables", args: "scan 10.0.0.1 --exclude-file f" + dry, file: "export $TOKEN=SECRET\n", want: "hint: "},
	{name: "scope from a file of variables", args: "scan 10.0.0.1 --scope f" + dry, file: "{token:SECRET}\n", want: "hint: "},
	{name: "token as authority", args: "scan 127.0.0.1 -p 1 --backend connect -o hec+https://RECEIVER --ca-file f", env: "SYNOPTIC_HEC_TOKEN=another-token", file: "SECRET\n", want: "no certificate in it"},
	{name: "token as key", args: "scan 127.0.0.1 -p 1 --backend connect -o syslog+tls://RECEIVER --client-cert ca.pem --client-key f", file: "-----BEGIN SECRET-----\nSECRET\n", want: "client certificate"},
	{name: "records from a file of tokens", args: "convert f -o records.jsonl", file: "SECRET\n{\"token\":\"SECRET\"}\n", want: "not understood"},
	// Receivers.
	{name: "bytes behind an answer", args: hecTo, env: hecSecret, want: "Unsolicited response",
		says: func(s *said) error {
			if s.n > 0 {
				return s.take()
			}
			return s.raw(took+"HTTP/1.1 200 OK\r\nAuthorization: %s\r\n\r\n\x1b[2J", s.auth)
		}},
	{name: "bytes behind an answer, as JSON", args: hecTo + " --log-format json", env: hecSecret, want: `"msg":"Unsolicited response`,
		says: func(s *said) error {
			if s.n > 0 {
				return s.take()
			}
			return s.raw(took+"you sent %q", s.auth)
		}},
	{name: "redirect", args: hecTo, env: hecSecret, want: "a redirect is not followed",
		says: func(s *said) error {
			return s.answer("302 Found", s.auth, "Location: https://"+strings.TrimPrefix(s.auth, "Splunk ")+"@h/\r\n")
		}},
	{name: "redirect to nowhere", args: hecTo, env: hecSecret,
		says: func(s *said) error { return s.answer("302 Found", "", "Location: https://%zz/"+s.auth+"\r\n") }},
	{name: "status line", args: hecTo, env: hecSecret, says: func(s *said) error { return s.hangUp(s.raw("HTTP/1.1 %s\r\n\r\n", s.auth)) }},
	{name: "no HTTP", args: hecTo, env: hecSecret, says: func(s *said) error { return s.hangUp(s.raw("%s\r\n\r\n", s.auth)) }},
	{name: "header line", args: hecTo, env: hecSecret, says: func(s *said) error { return s.hangUp(s.raw("HTTP/1.1 200 OK\r\n%s\r\n\r\n", s.auth)) }},
	{name: "transfer encoding", args: hecTo, env: hecSecret,
		says: func(s *said) error {
			return s.hangUp(s.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n", s.auth))
		}},
	{name: "length", args: hecTo, env: hecSecret,
		says: func(s *said) error { return s.hangUp(s.raw("HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", s.auth)) }},
	{name: "chunk", args: hecTo, env: hecSecret,
		says: func(s *said) error {
			return s.hangUp(s.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n", s.auth))
		}},
	{name: "retry after", args: hecTo, env: hecSecret, says: func(s *said) error { return s.answer("503 "+s.auth, s.auth, "Retry-After: "+s.auth+"\r\n") }},
	{name: "status", args: hecTo + " --control s --metrics a.prom", env: hecSecret, status: `"queued":4`, says: func(s *said) error { return s.answer("503 "+s.auth, s.auth) }},
	{name: "first half", args: hecTo, env: hecSecret, want: "[secret]",
		says: func(s *said) error {
			return s.answer("401 Unauthorized", "your "+s.auth[:len(s.auth)*3/4]+"*** is wrong")
		}},
	{name: "base64 of more", args: hecTo, env: hecSecret, want: "[secret]",
		says: func(s *said) error {
			return s.answer("403 Forbidden", base64.StdEncoding.EncodeToString([]byte("x"+s.auth+"yz")))
		}},
	{name: "quoted twice", args: hecTo + " --log-format json", env: hecSecret, want: "[secret]",
		says: func(s *said) error { return s.answer("403 Forbidden", fmt.Sprintf("%q", fmt.Sprintf("%q", s.auth))) }},
	{name: "dead letter", args: hecTo, env: hecSecret, want: "refused",
		says: func(s *said) error {
			return s.answer("400 Bad Request", `{"text":"\u001b]0;`+s.auth+`\u0007","code":6}`)
		}},
	{name: "subject of a certificate", args: strings.ReplaceAll(hecTo, " --ca-file ca.pem", ""), env: hecSecret, subj: "SECRET", want: "certificate"},
	{name: "name of a certificate", args: hecTo, env: hecSecret, subj: "secret.SECRET.example", want: "certificate"},
	{name: "name of a syslog receiver's certificate", args: "scan 127.0.0.1 -p PORT --backend connect -o syslog+tls://RECEIVER --ca-file ca.pem", env: hecSecret, subj: "SECRET", want: "certificate"},
}

// plainBasic is user and password of a header.
func plainBasic(header string) string {
	plain, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(header, "Basic "))
	return string(plain)
}

// planted is the secret of a case.
func planted(i int) string { return fmt.Sprintf("p%02d-S3cr3t/Tok3n.%02d-of-a-length", i, i) }

// A secret that comes from anywhere gets nowhere but to its receiver, in the header that is for it.
func TestPlantedSecrets(t *testing.T) {
	t.Parallel()
	testnet.Apart(t) // scans loopback: of a namespace that holds nothing else
	if len(plantings) < 30 {
		t.Errorf("%d plantings", len(plantings))
	}
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { open.Close() }) // after the subtests, which run in parallel
	_, port, _ := net.SplitHostPort(open.Addr().String())
	path := program(t)
	for i, p := range plantings {
		testnet.Run(t, p.name, func(t *testing.T) {
			t.Parallel()
			secret := planted(i)
			if p.subj != "" || strings.Contains(p.env, "PROXY=") {
				secret = strings.ReplaceAll(secret, "/", "") // as a name can be, and the password of a URL
			}
			r := newBlunt(t, strings.ReplaceAll(p.subj, "SECRET", secret), p.says)
			fill := strings.NewReplacer("SECRET", secret, "RECEIVER", r.address, "FORWARDER", r.proxy, "PORT", port).Replace
			dir := t.TempDir()
			writeTo(t, filepath.Join(dir, "ca.pem"), r.authority, 0o600)
			if p.file != "" {
				writeTo(t, filepath.Join(dir, "f"), fill(p.file), 0o600)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, path, strings.Fields(fill(p.args))...)
			cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "NO_PROXY=", "no_proxy="), strings.Split(fill(p.env), " ")...)
			cmd.Stdin = strings.NewReader("")
			var stdout, stderr lockedBuffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			// It may wait for a receiver that never takes anything: told to stop once it has said what it has to.
			ended := make(chan struct{})
			go func() { _ = cmd.Wait(); close(ended) }()
			var asked []byte
			for waiting := true; waiting; {
				select {
				case <-ended:
					waiting = false
				case <-time.After(20 * time.Millisecond):
					if p.status != "" && !strings.Contains(string(asked), p.status) {
						asked, _ = exec.CommandContext(ctx, path, "ctl", filepath.Join(dir, "s"), "status").CombinedOutput()
					} else if strings.Contains(stderr.String(), " wait: ") {
						_ = cmd.Process.Signal(os.Interrupt)
					}
				}
			}
			if ctx.Err() != nil {
				t.Fatalf("it goes on: %s%s", stderr.String(), asked)
			}
			if !strings.Contains(strings.ReplaceAll(stderr.String(), `"hint":"`, "hint: "), p.want) {
				t.Errorf("stderr lacks %q: %s", p.want, stderr.String())
			}
			everything := map[string]string{"standard output": stdout.String(), "standard error": stderr.String(), "what the receiver got": r.got(), "the status": string(asked)}
			names, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if data, err := os.ReadFile(name); err == nil && filepath.Base(name) != "f" && filepath.Base(name) != "ca.pem" {
					everything[name] = name + string(data)
				}
			}
			for where, text := range everything {
				if found := leaksOf(secret, text); found != "" {
					t.Errorf("the secret is in %s: %q", where, found)
				}
				if strings.Contains(text, "\x1b") {
					t.Errorf("an escape sequence is in %s: %q", where, text)
				}
			}
		})
	}
}

// leaksOf is where a secret, or the greater part of it, stands in text in a form that it is likely to have taken.
func leaksOf(secret, text string) string {
	text = strings.ToLower(text)
	half := secret[:len(secret)*2/3]
	forms := []string{half, strings.ReplaceAll(half, "/", "%2f"), fmt.Sprintf("%x", half), "s3cr3t", strings.ReplaceAll(half, "/", "")}
	for before := range 3 {
		form := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + half))
		forms = append(forms, form[4:len(form)-4])
	}
	for _, form := range forms {
		if i := strings.Index(text, strings.ToLower(form)); i >= 0 {
			return text[max(0, i-60):min(len(text), i+80)]
		}
	}
	return ""
}

// blunt is a receiver over TLS that says what it likes, and a proxy that repeats the password it is given.
type blunt struct {
	address, proxy, authority string

	mu    sync.Mutex
	n     int
	bytes bytes.Buffer // of all requests, but the values of Authorization
}

func newBlunt(t *testing.T, subject string, says func(*said) error) *blunt {
	t.Helper()
	r := &blunt{}
	var cert tls.Certificate
	cert, r.authority = selfSigned(t, subject)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address, r.proxy = "localhost:"+portOf(l), proxy.Addr().String()
	if says == nil {
		says = func(s *said) error { return s.take() }
	}
	t.Cleanup(func() { l.Close(); proxy.Close() })
	go accept(l, func(c net.Conn) { r.serve(c, "Authorization", says) })
	go accept(proxy, func(c net.Conn) {
		r.serve(c, "Proxy-Authorization", func(s *said) error {
			return s.hangUp(s.answer("407 "+plainBasic(s.auth)+" "+s.auth, ""))
		})
	})
	return r
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

func (r *blunt) serve(c net.Conn, header string, says func(*said) error) {
	in := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		s := &said{Conn: c, auth: req.Header.Get(header)}
		req.Header.Del(header)
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		s.n = r.n
		r.n++
		fmt.Fprintf(&r.bytes, "%s %s %v\n%s\n", req.Method, req.URL, req.Header, body)
		r.mu.Unlock()
		if says(s) != nil {
			return
		}
	}
}

func (r *blunt) got() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes.String()
}

// selfSigned is a certificate for localhost, or for another name that is also its subject.
func selfSigned(t *testing.T, subject string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	if subject != "" {
		template.Subject.CommonName, template.DNSNames = subject+"\x1b[31m", []string{subject}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
