package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A port says the same in any JSON: other order, spaces, escapes, fields of a newer program.
func TestReadAnyJSON(t *testing.T) {
	p := samplePort()
	p.Banner, p.Suspect, p.Verified = []byte("\xffhi \"\\\x00"), Win0NoOpts, VerifyTrue
	line := p.AppendJSON(nil, testScan)
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil {
		t.Fatal(err)
	}
	fields["newer"], fields["more"], fields["iface"] = map[string]any{"a": []any{"]}\"", 1.5e3, nil}}, nil, "eth0"
	sorted, err := json.MarshalIndent(fields, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	odd := strings.ReplaceAll(string(sorted), "\n", "\t")
	odd = strings.ReplaceAll(odd, `"eth0"`, `"\u0065th0"`)
	odd = strings.ReplaceAll(odd, `"reason"`, `"re\u0061son"`)
	got, errs := rewrite(NewReader(strings.NewReader("\n \n" + odd + " \r\n")))
	if len(errs) > 0 {
		t.Fatalf("%v: %s", errs, odd)
	}
	differ(t, got, append(line, '\n'))
}

// What is no record is told by its line, and the others come through.
func TestReadOddLines(t *testing.T) {
	p := samplePort()
	good := string(p.AppendJSON(nil, testScan))
	change := func(from, to string) string {
		line := strings.Replace(good, from, to, 1)
		if line == good {
			t.Fatalf("%s is not in %s", from, good)
		}
		return line
	}
	for name, c := range map[string]struct{ line, want string }{
		"torn":                {good[:len(good)/2], "not valid JSON"},
		"torn at the end":     {good[:len(good)-1], "not valid JSON"},
		"two in one":          {good[:50] + good, "is not a time of RFC 3339"},
		"more behind":         {good + "}", "not valid JSON"},
		"garbage":             {"\x00\x01\xff", "not a JSON object"},
		"no object":           {"[1]", "not a JSON object"},
		"no record":           {`{"a":1}`, `no "v" and "type"`},
		"empty object":        {`{}`, `no "v" and "type"`},
		"no version":          {change(`"v":1,`, ""), `no "v" and "type"`},
		"version 0":           {change(`"v":1,`, `"v":0,`), `no "v" and "type"`},
		"version below":       {change(`"v":1,`, `"v":-1,`), `field "v": -1 is not a whole number`},
		"newer":               {change(`"v":1,`, `"v":2,`), "schema version 2, and this program knows up to 1"},
		"too long":            {change(`"https"`, `"`+strings.Repeat("s", MaxLine)+`"`), "longer than 1048576 bytes"},
		"no address":          {change(`"ip":`, `"pi":`), `no field "ip"`},
		"null address":        {change(`"10.77.3.4"`, `null`), `no field "ip"`},
		"no time":             {change(`"ts":`, `"st":`), `no field "ts"`},
		"no scan":             {change(`"scan_id":`, `"di":`), `no field "scan_id"`},
		"empty scan":          {change(testScan, ``), `field "scan_id": it is empty`},
		"bad address":         {change("10.77.3.4", "10.77.3.256"), `field "ip": "10.77.3.256" is not an address`},
		"leading zero":        {change("10.77.3.4", "10.77.03.4"), "is not an address"},
		"three parts":         {change("10.77.3.4", "10.77.3"), "is not an address"},
		"five parts":          {change("10.77.3.4", "10.77.3.4.5"), "is not an address"},
		"empty part":          {change("10.77.3.4", "10.77..4"), "is not an address"},
		"address as a number": {change(`"10.77.3.4"`, `10`), "10 is not a string"},
		"port above":          {change(":443", ":65536"), `field "port": 65536 is above 65535`},
		"port 0":              {change(":443", ":0"), "0 is no port"},
		"port as a fraction":  {change(":443", ":443.0"), "not a whole number"},
		"port with zeros":     {change(":443", ":0443"), "not valid JSON"},
		"port of 20 digits":   {change(":443", ":99999999999999999999"), "64 bits"},
		"other protocol":      {change(`"tcp"`, `"udp"`), `"udp" is not "tcp"`},
		"unknown reason":      {change(`"syn-ack"`, `"rumour"`), `"rumour" is not known`},
		"state and reason":    {change(`"open"`, `"closed"`), `state "closed" does not go with reason "syn-ack"`},
		"ttl above":           {change(`"ttl":64`, `"ttl":256`), `field "ttl": 256 is above 255`},
		"time of no calendar": {change("2026-11-21", "2026-02-30"), "is not a time"},
		"time without Z":      {change(`789Z"`, `789X"`), "is not a time"},
		"year 9999":           {change("2026-", "9999-"), "year 9999 is out of range"},
		"escaped wrongly":     {change(`"https"`, `"\x"`), "not valid JSON"},
		"control character":   {change(`"https"`, "\"\t\""), "not valid JSON"},
		"banner":              {change(`"https"`, `"https","banner":"€"`), "does not stand for a byte"},
		"suspect":             {change(`"https"`, `"https","suspect":["me"]`), `"me" is not known`},
		"suspect as a word":   {change(`"https"`, `"https","suspect":"me"`), "not a list"},
		"verified":            {change(`"https"`, `"https","verified":1`), "neither true nor false"},
		"long name":           {change(`"https"`, `"`+strings.Repeat("s", maxName+1)+`"`), `field "service": it is longer than 300 bytes`},
		"long name, escaped":  {change(`"https"`, `"`+strings.Repeat(`\u0001`, maxName/6+1)+`"`), `field "service": it is longer than 300 bytes`},
		"open port 0":         {`{"v":1,"type":"host","scan_id":"a","ip":"10.0.0.1","open_ports":[22,0]}`, `field "open_ports": 0 is no port`},
		"scan_start":          {`{"v":1,"type":"scan_start","scan_id":"a","ports":"many"}`, `field "ports": a string is out of place`},
		"scan_start, no scan": {`{"v":1,"type":"scan_start"}`, `no field "scan_id"`},
		"host":                {`{"v":1,"type":"host","scan_id":"a","ip":"10.0.0.1","last":"2026-11-21T10:12:13Z"}`, `no field "first"`},
		"event":               {`{"v":1,"type":"event","ts":"2026-11-21T10:12:13Z","scan_id":"a"}`, `no field "event"`},
		"event, no time":      {`{"v":1,"type":"event","scan_id":"a","event":"lost"}`, `no field "ts"`},
		"unknown event":       {`{"v":1,"type":"event","ts":"2026-11-21T10:12:13Z","scan_id":"a","event":"party"}`, `field "event": "party" is not known`},
		"nameless event":      {`{"v":1,"type":"event","ts":"2026-11-21T10:12:13Z","scan_id":"a","event":""}`, `field "event": "" is not known`},
		"bad prefix":          {`{"v":1,"type":"event","prefix":"10.0.0.0/33"}`, `field "prefix": "10.0.0.0/33" is not a prefix`},
		"bad MAC":             {`{"v":1,"type":"event","mac":"02:00:5e"}`, `no field "ts"`},
		"worse MAC":           {`{"v":1,"type":"event","old_mac":"0200:5e"}`, `field "old_mac": "0200:5e" is not a MAC address`},
		"long MAC":            {`{"v":1,"type":"event","mac":"00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13:14"}`, `is not a MAC address`},
		"rate of an event":    {`{"v":1,"type":"event","rate_pps":1.5}`, `field "rate_pps": 1.5 is not a whole number`},
		"again below":         {`{"v":1,"type":"event","again":-1}`, `field "again": -1 is not a whole number`},
	} {
		t.Run(name, func(t *testing.T) {
			stream := good + "\n" + c.line + "\n" + good + "\n"
			got, errs := rewrite(NewReader(strings.NewReader(stream)))
			line := &LineError{}
			if len(errs) != 1 || !errors.As(errs[0], &line) || line.Line != 2 || !strings.Contains(errs[0].Error(), c.want) || len(errs[0].Error()) > 200 {
				t.Errorf("errors %v, want one in line 2 with %q", errs, c.want)
			}
			differ(t, got, []byte(good+"\n"+good+"\n"))
			_, newer := errors.AsType[*VersionError](errors.Join(errs...))
			if newer != (name == "newer") {
				t.Error("a *VersionError is for newer versions")
			}
		})
	}
}

// Somebody else's records may list more than our lines have room for; what was left out is still counted.
func TestReadMoreThanHasRoom(t *testing.T) {
	ports, names := make([]string, 0, 3*1000), make([]string, 1000)
	for p := 1000; p > 0; p-- {
		ports = append(ports, strconv.Itoa(p), strconv.Itoa(p), strconv.Itoa(1001-p))
	}
	for i := range names {
		names[i] = fmt.Sprintf(`"host-%d.example.net"`, i)
	}
	for name, c := range map[string]struct{ line, want string }{
		"open ports":          {fmt.Sprintf(`"open_ports":[%s],"open":1000`, strings.Join(ports, ",")), `,394,395],"open":1000,`},
		"not counted":         {fmt.Sprintf(`"open_ports":[%s]`, strings.Join(ports, ",")), `"open_ports":[1,2,3,`},
		"not counted, either": {`"open_ports":[80,22,80]`, `"open_ports":[22,80],"open":2,`},
		"null":                {`"open_ports":null`, `"open_ports":[],"open":0,`},
		"names":               {fmt.Sprintf(`"hostname":"host-0.example.net","hostnames":[%s],"hostnames_left_out":7`, strings.Join(names, ",")), `"host-31.example.net"],"hostnames_left_out":975,`},
	} {
		line := `{"v":1,"type":"host","ip":"10.0.0.1","scan_id":"a","first":"2026-11-21T10:12:13Z","last":"2026-11-21T10:12:13Z",` + c.line + "}\n"
		got, errs := rewrite(NewReader(strings.NewReader(line)))
		if len(errs) > 0 || len(got) > 4096 || !strings.Contains(string(got), c.want) || name == "not counted" && !strings.Contains(string(got), `"open":1000,`) {
			t.Errorf("%s: %v, %d bytes: %s", name, errs, len(got), got)
		}
	}
	p := samplePort()
	p.Hostnames = &Hostnames{List: make([]string, 1000)}
	for i := range p.Hostnames.List {
		p.Hostnames.List[i] = "host-" + strconv.Itoa(i)
	}
	p.Banner = bytes.Repeat([]byte{0}, 10_000)
	got, errs := rewrite(NewReader(bytes.NewReader(append(p.AppendJSON(nil, testScan), '\n'))))
	if len(errs) > 0 || len(got) > 4096 || bytes.Count(got, []byte(`\u0000`)) != MaxBanner || !bytes.Contains(got, []byte(`"hostnames_left_out":9`)) {
		t.Errorf("%v, %d bytes: %s", errs, len(got), got)
	}
}

// Times are told right in any notation, one after the other in any order.
func TestReadTimes(t *testing.T) {
	p := samplePort()
	line := string(p.AppendJSON(nil, testScan))
	texts := []string{
		"2026-11-21T10:12:13.123456789Z", "2026-11-21T10:12:13.0000+01:00", "2026-11-21T10:12:13.000000001Z", "2026-11-21T10:12:13Z",
		"2026-11-21T10:12:13.5-00:30", "2026-11-21T10:12:14.000000000Z", "2026-11-21T10:12:13.999999999Z", "1969-12-31T23:59:59.000000001Z", "1969-12-31T23:59:59.500000000Z",
	}
	var stream strings.Builder
	for _, text := range texts {
		stream.WriteString(strings.Replace(line, texts[0], text, 1) + "\n")
	}
	var into Records
	if err := NewReader(strings.NewReader(stream.String())).Read(&into); err != nil || len(into.Ports) != len(texts) {
		t.Fatalf("%d ports, error %v", len(into.Ports), err)
	}
	for i, text := range texts {
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || into.Ports[i].Time != want.UnixNano() {
			t.Errorf("%s is read as %v, error %v", text, time.Unix(0, into.Ports[i].Time).UTC(), err)
		}
	}
}

// An ID of a scan that is longer than any of ours would stand in every line that is written.
func TestLongScanID(t *testing.T) {
	for length, ok := range map[int]bool{1: true, 32: true, maxScanID: true, maxScanID + 1: false, 5000: false} {
		for _, kind := range []string{
			`"type":"scan_start","args":[]`, `"type":"scan_end"`, `"type":"delivery"`,
			`"type":"port","ts":"2026-11-22T10:12:13.123456789Z","ip":"10.0.0.1","port":22,"reason":"syn-ack"`,
		} {
			line := `{"v":1,` + kind + `,"scan_id":"` + strings.Repeat("a", length) + `"}` + "\n"
			if err := NewReader(strings.NewReader(line)).Read(new(Records)); (err == nil) != ok {
				t.Errorf("%d bytes in %.30s: %v", length, kind, err)
			}
		}
	}
}
