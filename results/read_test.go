package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

const testScan = "0123456789abcdef0123456789abcdef"

// fill draws every field of a record, those that come later too.
func fill(t *rapid.T, v reflect.Value, name string) {
	switch x := v.Addr().Interface().(type) {
	case *Time:
		*x = Time(time.Unix(0, rapid.Int64Range(0, 4e18).Draw(t, name)))
		return
	case *netip.Addr:
		*x = drawAddr(t, name)
		return
	case *time.Duration:
		*x = time.Duration(rapid.Int64Range(0, 1e15).Draw(t, name))
		return
	case *int64:
		*x = rapid.Int64Range(0, 4e18).Draw(t, name)
		return
	case *Suspect:
		*x = Suspect(rapid.Uint8Range(0, 3).Draw(t, name))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), v.Type().Field(i).Name)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "has "+name) {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), name)
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 4).Draw(t, "length of "+name); n > 0 || rapid.Bool().Draw(t, "empty "+name) {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i), name)
			}
		}
	case reflect.String:
		// Bytes that are no UTF-8 among them: file names may have such.
		v.SetString(rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, name))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, name))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, name))
	case reflect.Int:
		v.SetInt(int64(rapid.Int32Min(0).Draw(t, name)))
	case reflect.Uint16:
		v.SetUint(uint64(rapid.Uint16().Draw(t, name)))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, name))
	default:
		t.Fatalf("field %s: no way to draw a %s", name, v.Type())
	}
}

// draw appends a random record to a stream.
func draw(t *rapid.T, b []byte) []byte {
	var err error
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		var s ScanStart
		fill(t, reflect.ValueOf(&s).Elem(), "")
		s.ScanID = testScan
		b, err = s.AppendJSON(b)
	case 1:
		var s ScanEnd
		fill(t, reflect.ValueOf(&s).Elem(), "")
		s.ScanID = rapid.StringN(1, -1, -1).Draw(t, "scan")
		b, err = s.AppendJSON(b)
	case 2, 3:
		var h Host
		fill(t, reflect.ValueOf(&h).Elem(), "")
		b = h.AppendJSON(b, testScan)
	default:
		p := drawPort(t)
		b = p.AppendJSON(b, testScan)
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// rewrite reads a stream and writes it again. It returns the errors, with which it goes on as long as
// it can.
func rewrite(r *Reader) (b []byte, errs []error) {
	for into := new(Records); ; {
		err := r.Read(into)
		if errors.Is(err, io.EOF) {
			return b, errs
		}
		if err != nil {
			errs = append(errs, err)
			if _, ok := errors.AsType[*LineError](err); !ok {
				return b, errs
			}
			continue
		}
		var lines [][]byte
		switch {
		case into.Start != nil:
			line, err := into.Start.AppendJSON(nil)
			lines, errs = append(lines, line), append(errs, err)[:len(errs)]
		case into.End != nil:
			line, err := into.End.AppendJSON(nil)
			lines, errs = append(lines, line), append(errs, err)[:len(errs)]
		}
		for i := range into.Ports {
			lines = append(lines, into.Ports[i].AppendJSON(nil, into.ScanID))
		}
		for i := range into.Hosts {
			lines = append(lines, into.Hosts[i].AppendJSON(nil, into.ScanID))
		}
		for _, l := range lines {
			b = append(append(b, l...), '\n')
		}
	}
}

func differ(t testing.TB, got, want []byte) {
	t.Helper()
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			t.Fatalf("line %d:\ngot  %s\nwant %s", i+1, g[i], w[i])
		}
	}
	if len(g) != len(w) {
		t.Fatalf("%d lines, want %d", len(g), len(w))
	}
}

// Whatever the records are, they come back as they were, however the bytes trickle in.
func TestReadIsTheInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		for range rapid.IntRange(1, 12).Draw(t, "records") {
			stream = draw(t, stream)
		}
		var in io.Reader = bytes.NewReader(stream)
		if rapid.Bool().Draw(t, "in halves") {
			in = iotest.HalfReader(in)
		}
		got, errs := rewrite(NewReader(in))
		if len(errs) > 0 {
			t.Fatalf("%v\n%s", errs[0], stream)
		}
		if !bytes.Equal(got, stream) {
			t.Fatalf("\ngot  %s\nwant %s", got, stream)
		}
	})
}

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
		"scan_start":          {`{"v":1,"type":"scan_start","scan_id":"a","ports":"many"}`, `field "ports": a string is out of place`},
		"scan_start, no scan": {`{"v":1,"type":"scan_start"}`, `no field "scan_id"`},
		"host":                {`{"v":1,"type":"host","scan_id":"a","ip":"10.0.0.1","last":"2026-11-21T10:12:13Z"}`, `no field "first"`},
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

// A type that a newer program writes is counted and left out; what comes around it is whole.
func TestReadUnknownType(t *testing.T) {
	p := samplePort()
	good := string(p.AppendJSON(nil, testScan)) + "\n"
	r := NewReader(strings.NewReader(good + `{"v":1,"type":"service","scan_id":"x"}` + "\n" + good))
	got, errs := rewrite(r)
	if differ(t, got, []byte(good+good)); len(errs) > 0 || r.Unknown() != 1 {
		t.Errorf("errors %v, %d of unknown type", errs, r.Unknown())
	}
}

// A run ends where the scan changes, at ReadBatch, and where another line would have to be waited for.
func TestReadBatches(t *testing.T) {
	p := samplePort()
	var stream []byte
	for i := range 2*ReadBatch + 10 {
		scan := "a"
		if i >= ReadBatch+5 {
			scan = "b"
		}
		stream = append(p.AppendJSON(stream, scan), '\n')
	}
	r := NewReader(bytes.NewReader(stream))
	var got []string
	for into := new(Records); r.Read(into) == nil; {
		got = append(got, fmt.Sprint(into.ScanID, " ", into.Line, " ", len(into.Ports)))
	}
	if want := []string{"a 1 256", "a 257 5", "b 262 256", "b 518 5"}; strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("batches %v, want %v", got, want)
	}
	in, out := io.Pipe()
	defer in.Close()
	r = NewReader(in)
	go out.Write(stream[:len(p.AppendJSON(nil, "a"))+20]) // and no more
	var into Records
	if err := r.Read(&into); err != nil || len(into.Ports) != 1 {
		t.Errorf("%d ports, error %v", len(into.Ports), err)
	}
}

// Lines are counted on through everything, and a cut-off last line is seen.
func TestReadToTheEnd(t *testing.T) {
	p := samplePort()
	line := string(p.AppendJSON(nil, testScan))
	for name, c := range map[string]struct {
		in   io.Reader
		want string
	}{
		"no line end":   {strings.NewReader(line + "\n" + line), "[]"},
		"cut off":       {strings.NewReader(line + "\n" + line + "\n" + line[:100]), "[line 3: not valid JSON]"},
		"read error":    {io.MultiReader(strings.NewReader(line+"\n"+line+"\n"), iotest.ErrReader(io.ErrUnexpectedEOF)), "[unexpected EOF]"},
		"error in line": {io.MultiReader(strings.NewReader(line+"\n"+line+"\n"+line[:9]), iotest.ErrReader(io.ErrUnexpectedEOF)), "[line 3: not valid JSON unexpected EOF]"},
	} {
		got, errs := rewrite(NewReader(c.in))
		if fmt.Sprint(errs) != c.want || string(got) != line+"\n"+line+"\n" {
			t.Errorf("%s: errors %v, want %s; read %s", name, errs, c.want, got)
		}
	}
}

// Skim sees of every record the scan that Read says.
func TestSkim(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stream := draw(t, nil)
		var into Records
		if err := NewReader(bytes.NewReader(stream)).Read(&into); err != nil {
			t.Fatal(err)
		}
		id, err := NewReader(bytes.NewReader(stream)).Skim()
		if err != nil || id != into.ScanID {
			t.Fatalf("scan %q, error %v, want %q", id, err, into.ScanID)
		}
	})
}

// The lexer takes what encoding/json takes, and finds the same fields with the same values.
func sameFields(t *testing.T, line []byte) {
	var want map[string]any
	valid := json.Unmarshal(line, &want) == nil && bytes.HasPrefix(bytes.TrimLeft(line, " \t\r\n"), []byte("{"))
	got := map[string]any{}
	for l := (lexer{b: line}); ; {
		name, v, err := l.next()
		if (err != nil || name == nil) && valid != (err == nil) {
			t.Fatalf("encoding/json takes it: %v, the lexer says: %v: %q", valid, err, line)
		}
		if err != nil {
			return
		}
		if name == nil {
			break
		}
		var x any
		if err := json.Unmarshal(v.raw, &x); err != nil {
			t.Fatalf("value %q: %v", v.raw, err)
		}
		if s, ok := x.(string); ok {
			if text, err := v.text(); err != nil || string(text) != s {
				t.Fatalf("%q says %q, error %v, want %q", v.raw, text, err, s)
			}
		}
		got[string(name)] = x
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("\ngot  %v\nwant %v", got, want)
	}
}

// FuzzRead: nothing makes the reader fail but by an error, it takes nothing that is not JSON, and what
// it has understood is the same when it is written and read again.
func FuzzRead(f *testing.F) {
	p := samplePort()
	f.Add(p.AppendJSON(nil, testScan))
	p.Banner, p.Hostname, p.Suspect, p.Verified, p.Router = []byte("a\xff\""), "é\xff", 3, VerifyFalse, netip.MustParseAddr("2001:db8::1")
	f.Add(p.AppendJSON(nil, testScan))
	f.Add((&Host{Addr: p.Addr, Open: []uint16{1, 2}, HasRTT: true}).AppendJSON(nil, testScan))
	start, _ := (&ScanStart{ScanID: "s", Args: []string{"\xff"}, Scope: &Scope{}}).AppendJSON(nil)
	f.Add(start)
	end, _ := (&ScanEnd{ScanID: "s", MissedOpen: &Estimate{1, 2, 3}, Outputs: []Delivery{{}}}).AppendJSON(nil)
	f.Add(end)
	f.Add(bytes.Join([][]byte{start, p.AppendJSON(nil, "s"), end}, []byte("\n")))
	f.Add([]byte("{\"v\":1,\"\":\"\\ud800\",\"\\u0074ype\":\"x\",\"type\" : [[{}],1e5,-0,true] }\r\n"))
	f.Add([]byte(`{"v":01}{"v":2,"type":"port"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		for line := range bytes.Lines(in) {
			sameFields(t, line)
		}
		once, _ := rewrite(newReader(bytes.NewReader(in), 1<<12))
		twice, errs := rewrite(newReader(bytes.NewReader(once), 1<<16))
		if len(errs) > 0 || !bytes.Equal(once, twice) {
			t.Fatalf("errors %v\nonce  %s\ntwice %s", errs, once, twice)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	p := samplePort()
	var stream []byte
	for i := range 20_000 {
		p.Port, p.Time = uint16(i+1), p.Time+1000
		stream = append(p.AppendJSON(stream, testScan), '\n')
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for r, into := NewReader(bytes.NewReader(stream)), new(Records); r.Read(into) == nil; {
			n += len(into.Ports)
		}
	}
	b.SetBytes(int64(len(stream)))
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}
