package results

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"reflect"
	"slices"
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
	case *Tags:
		*x = drawTags(t)
		return
	case *MAC:
		*x = MAC(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, name))
		return
	case *netip.Prefix:
		a := drawAddr(t, name)
		*x = netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits of "+name))
		return
	case *ChangeKind:
		*x = ChangeKind(rapid.Uint8Range(1, NumChangeKinds-1).Draw(t, name))
		return
	case *Severity:
		*x = Severity(rapid.Uint8Range(uint8(SeverityInfo), uint8(numSeverities)-1).Draw(t, name))
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
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), name)
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
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Uint8().Draw(t, name)))
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
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		var s ScanStart
		fill(t, reflect.ValueOf(&s).Elem(), "")
		s.ScanID = testScan
		b, err = s.AppendJSON(b)
	case 8:
		var r DeliveryReport
		fill(t, reflect.ValueOf(&r).Elem(), "")
		r.ScanID = testScan
		b, err = r.AppendJSON(b)
	case 9:
		b, err = drawNotice(t).AppendJSON(b)
	case 1:
		var s ScanEnd
		fill(t, reflect.ValueOf(&s).Elem(), "")
		s.ScanID = rapid.StringN(1, -1, maxScanID).Draw(t, "scan")
		b, err = s.AppendJSON(b)
	case 4:
		e := drawEvent(t)
		b = e.AppendJSON(b, testScan)
	case 2, 3:
		var h Host
		fill(t, reflect.ValueOf(&h).Elem(), "")
		h.Open = ports(h.Open)
		h.OpenCount = max(h.OpenCount, len(h.Open))
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

// drawNotice draws a notice of any kind.
func drawNotice(t *rapid.T) Notice {
	n, scanID := notices[rapid.SampledFrom(slices.Sorted(maps.Keys(notices))).Draw(t, "notice")]()
	fill(t, reflect.ValueOf(n).Elem(), "")
	*scanID = testScan
	if v, ok := n.(*Violation); ok {
		v.Status = rapid.SampledFrom([]string{ViolationOpened, ViolationOngoing, ViolationClosed}).Draw(t, "status")
	}
	return n
}

// ports are as a record lists them.
func ports(drawn []uint16) []uint16 {
	slices.Sort(drawn)
	drawn = slices.Compact(drawn)
	return slices.DeleteFunc(drawn, func(p uint16) bool { return p == 0 })
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
		case into.Report != nil:
			line, err := into.Report.AppendJSON(nil)
			lines, errs = append(lines, line), append(errs, err)[:len(errs)]
		}
		for i := range into.Ports {
			lines = append(lines, into.Ports[i].AppendJSON(nil, into.ScanID))
		}
		for i := range into.Events {
			lines = append(lines, into.Events[i].AppendJSON(nil, into.ScanID))
		}
		for i := range into.Hosts {
			lines = append(lines, into.Hosts[i].AppendJSON(nil, into.ScanID))
		}
		for _, n := range into.Notices {
			line, err := n.AppendJSON(nil)
			lines, errs = append(lines, line), append(errs, err)[:len(errs)]
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
