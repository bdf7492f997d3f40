package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"synoptic/bench/lab/testnet"
)

func recordSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile("../../docs/records.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("records", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("records")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What the program prints is what docs/records.schema.json promises, for every backend, every state
// and every kind of evidence that a network can give.
func TestRecordsFollowTheSchema(t *testing.T) {
	schema := recordSchema(t)
	prefix := netip.MustParsePrefix("10.77.0.0/27")
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24"), Alive: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/28")}})
	populate(t, n, netip.MustParsePrefix("10.77.0.0/28"))
	if err := n.Reject(testnet.Match{Port: 8080}, 13); err != nil {
		t.Fatal(err)
	}
	scope := t.TempDir() + "/scope"
	if err := os.WriteFile(scope, []byte("10.0.0.0/8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{}
	for _, extra := range [][]string{{"--backend", "afpacket", "--seed", "3", "--shard", "1/1"}, {"--backend", "connect", "--wait", "500ms"}, {"--scope", scope, "--lanes", "2"}} {
		o := synoptic(t, append([]string{"scan", prefix.String(), "-p", "80,443,8080,9", "--show", "all"}, extra...)...)
		followsSchema(t, schema, o.stdout, reasons)
	}
	for _, want := range []string{"syn-ack", "rst", "no-response", "no-arp", "icmp-admin-prohibited", "connect", "refused", "timeout"} {
		if !reasons[want] {
			t.Errorf("no record with reason %s was seen: the schema test lost its reach", want)
		}
	}
}

// followsSchema holds every record against the schema, and collects the reasons that they have.
func followsSchema(t *testing.T, schema *jsonschema.Schema, stdout string, reasons map[string]bool) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if err := schema.Validate(v); err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		reasons[r.Reason] = true
	}
}

func TestRecordsOfProgramsFollowTheSchema(t *testing.T) {
	eachBackendBeside(t, func(t *testing.T, b backend) {
		prefix := netip.MustParsePrefix("10.77.0.0/27")
		n := b.beside(t, testnet.Config{Gateway: true})
		populate(t, n, prefix)
		if err := n.Reject(testnet.Match{Port: 8080}, 13); err != nil {
			t.Fatal(err)
		}
		o := synoptic(t, b.scan(10_000, prefix.String(), "-p", "80,443,8080,9", "--show", "all", "--retries", "0", "--show-hosts")...)
		reasons := map[string]bool{}
		followsSchema(t, recordSchema(t), o.stdout, reasons)
		b.used(t, parseStream(t, o.stdout))
		for _, want := range []string{"syn-ack", "rst", "no-response", "icmp-admin-prohibited"} {
			if !reasons[want] {
				t.Errorf("no record with reason %s", want)
			}
		}
	}, xdp, ebpf)
}

// The schema is closed: a field that it does not know is an error, or the test above proves nothing.
func TestSchemaIsStrict(t *testing.T) {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"v":1,"type":"port","nonsense":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if recordSchema(t).Validate(v) == nil {
		t.Error("nonsense validates")
	}
}
