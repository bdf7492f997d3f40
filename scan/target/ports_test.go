package target

import (
	"encoding/csv"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustPorts(t testing.TB, spec string) *Ports {
	t.Helper()
	p, err := ParsePorts(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParsePorts(t *testing.T) {
	for _, c := range []struct{ spec, want string }{
		{"80", "80"},
		{"22,80,8000-8100", "22,80,8000-8100"},
		{"8000-8100,22,80", "22,80,8000-8100"},
		{"-", "1-65535"},
		{"-100", "1-100"},
		{"60000-", "60000-65535"},
		{"65535", "65535"},
		{" 22 ,\t80 , 8000 - 8002 ", "22,80,8000-8002"},
		{"80,80,79-81,82", "79-82"},
		{"1,2", "1,2"},
		{"80-80", "80"},
		{"http", "80"},
		{"HTTPS,ssh", "22,443"},
		{"www", "80"},
		{"http-alt", "591,8008,8080"},
		{"x11", "6000-6063"},
		{"cl/1,sql*net,whois++", "63,66,172"},
		{"etherNET/ip-1", "2222"},
	} {
		if got := mustPorts(t, c.spec).String(); got != c.want {
			t.Errorf("%q: %s, want %s", c.spec, got, c.want)
		}
	}
}

func TestParsePortsErrors(t *testing.T) {
	for _, c := range []struct{ spec, want, hint string }{
		{"", "no ports given", "22,80"},
		{" \t", "no ports given", "22,80"},
		{",", "empty element in the list of ports", "22,80"},
		{"80,", "empty element in the list of ports", "22,80"},
		{"80,,81", "empty element in the list of ports", "22,80"},
		{"0", `"0": port 0 cannot be scanned`, "1-65535"},
		{"0-10", `"0-10": port 0 cannot be scanned`, "1-65535"},
		{"65536", `"65536": port 65536 is above 65535`, "1-65535"},
		{"80-65536", `"80-65536": port 65536 is above 65535`, "1-65535"},
		{"99999999999999999999999", "port 99999999999999999999999 is above 65535", "1-65535"},
		{"0080", `"0080": port 0080 has a leading zero`, "octal"},
		{"22,010-20", `"010-20": port 010 has a leading zero`, "octal"},
		{"1-020", `"1-020": port 020 has a leading zero`, "octal"},
		{"90-80", `"90-80": port range is reversed`, "write 80-90"},
		{"--", `"--": neither a port, a range nor a service name`, "ranges"},
		{"1-2-3", `"1-2-3": neither a port, a range nor a service name`, "ranges"},
		{"80 81", `"80 81": neither a port, a range nor a service name`, "80,81"},
		{"htpps", `"htpps": no TCP service of this name`, `did you mean "https"?`},
		{"nosuchservice", `"nosuchservice": no TCP service of this name`, "ports are numbers"},
		{"+80", `"+80": no TCP service of this name`, "ports are numbers"},
		{strings.Repeat("x", 200), strings.Repeat("x", 80) + "…", "ports are numbers"},
	} {
		p, err := ParsePorts(c.spec)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, error %v, want %q", c.spec, p, err, c.want)
			continue
		}
		if h := hintOf(t, err); !strings.Contains(h, c.hint) {
			t.Errorf("%q: hint %q, want %q", c.spec, h, c.hint)
		}
	}
}

// hintOf finds the hint the way the command does.
func hintOf(t testing.TB, err error) string {
	t.Helper()
	var h interface{ Hint() string }
	if !errors.As(err, &h) {
		t.Errorf("%v has no hint", err)
		return ""
	}
	return h.Hint()
}

func TestPortsAgainstSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Uint16Range(1, 65535), 1, 200).Draw(t, "ports")
		if rapid.Bool().Draw(t, "dense") {
			for i := range list {
				list[i] = list[i]%90 + 1
			}
		}
		spec := ""
		for _, p := range list {
			spec += strconv.Itoa(int(p)) + ","
		}
		p, err := ParsePorts(spec[:len(spec)-1])
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(list)
		list = slices.Compact(list)
		if !slices.Equal(slices.Collect(p.All()), list) || p.Len() != len(list) {
			t.Fatalf("ports %v, want %v", p, list)
		}
		stride := rapid.IntRange(1, 97).Draw(t, "stride")
		for port := 0; port < 65536; port += stride {
			want, in := slices.BinarySearch(list, uint16(port))
			got, ok := p.Index(uint16(port))
			if ok != in || p.Contains(uint16(port)) != in || in && (got != want || p.At(got) != uint16(port)) {
				t.Fatalf("Index(%d) = %d, %v, want %d, %v", port, got, ok, want, in)
			}
		}
		again, err := ParsePorts(p.String())
		if err != nil || !slices.Equal(again.list, p.list) {
			t.Fatalf("%q read back: %v, %v", p, again, err)
		}
	})
}

// The quick reader of the registry must agree with encoding/csv on every row.
func TestServicesMatchRegistry(t *testing.T) {
	f, err := os.Open("iana-tcp-services.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows = rows[1:]
	first := map[int]string{}
	ports := map[string][]uint16{}
	for _, row := range rows {
		from, to, isRange := strings.Cut(row[0], "-")
		if !isRange {
			to = from
		}
		lo, err1 := strconv.Atoi(from)
		hi, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil {
			t.Fatalf("row %q", row)
		}
		name := strings.ToLower(row[1])
		for p := lo; p <= hi; p++ {
			if _, have := first[p]; !have {
				first[p] = row[1]
			}
			ports[name] = append(ports[name], uint16(p))
		}
	}
	if len(rows) != len(loadRegistry().rows) || len(rows) < 6000 {
		t.Errorf("%d rows read, the file has %d", len(loadRegistry().rows), len(rows))
	}
	for p := range 65536 {
		if got := Service(uint16(p)); got != first[p] && !Everyday(uint16(p)) {
			t.Errorf("Service(%d) = %q, want %q", p, got, first[p])
		}
	}
	for _, s := range []struct {
		name string
		port uint16
	}{{"nomad", 4646}, {"nessus", 8834}} { // names of the registry that something else is known by
		ports[s.name] = append(ports[s.name], s.port)
	}
	for name, want := range ports {
		if got := mustPorts(t, name).list; !slices.Equal(got, slices.Compact(slices.Sorted(slices.Values(want)))) {
			t.Errorf("ParsePorts(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestTopPorts(t *testing.T) {
	list := loadTopPorts()
	if len(list) < 1000 || NumTopPorts() != len(list) {
		t.Fatalf("%d ports, want at least 1000", len(list))
	}
	seen := map[uint16]bool{}
	for _, p := range list {
		if seen[p] {
			t.Errorf("port %d stands twice", p)
		}
		seen[p] = true
	}
	for _, row := range loadRegistry().rows {
		for p := row.first; p <= row.last && p < 1024; p++ {
			if !seen[p] {
				t.Errorf("system port %d (%s) is not ranked", p, row.name)
			}
		}
	}
	for _, n := range []int{1, 10, 100, 1000, len(list)} {
		p, err := TopPorts(n)
		if err != nil || p.Len() != n {
			t.Fatalf("TopPorts(%d): %v, %v", n, p, err)
		}
		for _, port := range list[:n] {
			if !p.Contains(port) {
				t.Errorf("TopPorts(%d) lacks %d", n, port)
			}
		}
	}
	if p, _ := TopPorts(3); p.String() != "22,80,443" {
		t.Errorf("top 3: %v", p)
	}
	for _, n := range []int{-1, 0, len(list) + 1} {
		_, err := TopPorts(n)
		if err == nil || !strings.Contains(err.Error(), "the list has 1 to "+strconv.Itoa(len(list))) || hintOf(t, err) == "" {
			t.Errorf("TopPorts(%d): %v", n, err)
		}
	}
}
