package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// says listens, and says the same to everybody who comes.
func says(t *testing.T, addr, words string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(words))
			conn.Close()
		}
	}()
}

// taggedRecord are the fields of a record of any type that this test looks at.
type taggedRecord struct {
	Type, IP, Service, Detected, Scanner string

	Port   int
	Source string `json:"service_source"`
	Tags   map[string]string
}

// Every record has the tags of the scan, those of an address its own too; the scan's records say who scans; a service is
// called by what its banner shows, else by what its number is known for. All of it goes from format to format.
func TestTagsAndServices(t *testing.T) {
	testnet.Apart(t)
	says(t, "127.0.0.1:2222", "SSH-2.0-OpenSSH_9.2p1\r\n")
	says(t, "127.0.0.1:8081", "")
	says(t, "127.0.0.2:21", "220 mail.example.com ESMTP Postfix\r\n")
	says(t, "127.0.0.2:443", "")
	file := filepath.Join(t.TempDir(), "networks.csv")
	if err := os.WriteFile(file, []byte("# ours\n127.0.0.0/8,zone=local,owner=soc\n127.0.0.2,owner=web\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout string
	stall.Judge(t, playsHere, func() error {
		o := synoptic(t, "scan", "127.0.0.1-127.0.0.2", "-p", "21,443,2222,8081", "--backend", "connect", "--verify", "--show-hosts", "--tag", "ticket=CHG-1", "--tag", "zone=any", "--tags-file", file)
		if o.code != 0 {
			t.Fatalf("exit %d: %s", o.code, o.stderr)
		}
		stdout = o.stdout
		if n := strings.Count(stdout, `"verified":true`); n != 4 {
			return fmt.Errorf("%d ports verified: %s", n, stdout)
		}
		return nil
	})
	followsSchema(t, recordSchema(t), stdout, map[string]bool{})
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(stdout) {
		var r taggedRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		ofScan := strings.HasPrefix(r.Type, "scan")
		if r.Tags["ticket"] != "CHG-1" || (ofScan || r.Type == "plan") != (r.Tags["zone"] == "any") || ofScan != (r.Scanner == hostname) {
			t.Errorf("tags or scanner: %s", line)
		}
		got = append(got, fmt.Sprintf("%s %s:%d %s %s/%s/%s", r.Type, r.IP, r.Port, r.Tags["owner"], r.Service, r.Source, r.Detected))
	}
	slices.Sort(got)
	want := []string{
		"host 127.0.0.1:0 soc //", "host 127.0.0.2:0 web //", "plan :0  //",
		"port 127.0.0.1:2222 soc ssh/banner/ssh", "port 127.0.0.1:8081 soc http-alt/common/",
		"port 127.0.0.2:21 web smtp/banner/smtp", "port 127.0.0.2:443 web https/iana/",
		"scan_end :0  //", "scan_start :0  //",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	equal(t, converted(t, stdout).stdout, stdout)
	if o := synoptic(t, "scan", "127.0.0.1", "-p", "2222", "--backend", "connect", "--tag", "ticket=CHG-2", "-o", file+".jsonl"); o.code != 0 {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	written, err := os.ReadFile(file + ".jsonl")
	if n := strings.Count(string(written), `"tags":{"ticket":"CHG-2"}`); err != nil || n != 5 || n != strings.Count(string(written), "\n") || !strings.Contains(string(written), `"type":"delivery"`) {
		t.Errorf("%d records with the tag, error %v: %s", n, err, written)
	}
	for format, words := range map[string][]string{
		"ecs": {
			`"labels":{"owner":"web","ticket":"CHG-1","zone":"local"}`, `"labels":{"ticket":"CHG-1","zone":"any"}`, fmt.Sprintf(`"hostname":%q`, hostname),
			`"service":"smtp","service_source":"banner","detected":"smtp"`,
		},
		"ocsf":         {`"tags":[{"name":"owner","value":"web"},{"name":"ticket","value":"CHG-1"},{"name":"zone","value":"local"}]`, `"tags":[{"name":"ticket","value":"CHG-1"},{"name":"zone","value":"any"}]`},
		"csv":          {",banner,ssh,", `,"{""owner"":""web"",""ticket"":""CHG-1"",""zone"":""local""}"` + "\n", ",common,,"},
		"nmap-xml":     {`<service name="smtp" method="probed" conf="10"/>`, `<service name="http-alt" method="table" conf="3"/>`},
		"grepable":     {"2222/open/tcp//ssh///", "8081/open/tcp//http-alt///"},
		"masscan-json": {`"service": {"name": "ssh", "banner": "SSH-2.0-`},
		"masscan-list": {"banner tcp 21 127.0.0.2 "},
	} {
		out := converted(t, stdout, "-o", format+":-").stdout
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("%s: no %s in\n%s", format, w, out)
			}
		}
	}
}
