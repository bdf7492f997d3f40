package results_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"synoptic/results"
	"synoptic/results/tags"
)

// tagFiles are opened by their names.
type tagFiles map[string]string

func (f tagFiles) open(name string) (io.ReadCloser, error) {
	text, ok := f[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// loadTags makes a table of one file, and of tags of the scan.
func loadTags(text string, scan ...string) (*tags.Table, error) {
	return tags.Load(tags.Config{Tags: scan, TagsFiles: []string{"net.csv"}, Open: tagFiles{"net.csv": text}.open})
}

const network = `# zone and owner of our networks
10.0.0.0/8,zone=internal,owner=network-team

  10.20.0.0/16 , zone=dmz , site=north
10.20.3.7,"owner=web team, shift 2"
2001:db8::/32,zone=lab,,
10.20.3.7/32,ticket=#123
`

// Of an address each prefix that it is in adds its tags, and for each key the longest prefix wins; tags of the scan are as
// of a prefix that all is in.
func TestTagsTable(t *testing.T) {
	table, err := loadTags(network, "scan=nightly", "owner=soc")
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"10.0.0.0":             `{"owner":"network-team","scan":"nightly","zone":"internal"}`,
		"10.255.255.255":       `{"owner":"network-team","scan":"nightly","zone":"internal"}`,
		"10.19.255.255":        `{"owner":"network-team","scan":"nightly","zone":"internal"}`,
		"10.20.0.0":            `{"owner":"network-team","scan":"nightly","site":"north","zone":"dmz"}`,
		"10.20.3.6":            `{"owner":"network-team","scan":"nightly","site":"north","zone":"dmz"}`,
		"10.20.3.7":            `{"owner":"web team, shift 2","scan":"nightly","site":"north","ticket":"#123","zone":"dmz"}`,
		"::ffff:10.20.3.7":     `{"owner":"web team, shift 2","scan":"nightly","site":"north","ticket":"#123","zone":"dmz"}`,
		"10.20.3.8":            `{"owner":"network-team","scan":"nightly","site":"north","zone":"dmz"}`,
		"10.21.0.0":            `{"owner":"network-team","scan":"nightly","zone":"internal"}`,
		"11.0.0.0":             `{"owner":"soc","scan":"nightly"}`,
		"9.255.255.255":        `{"owner":"soc","scan":"nightly"}`,
		"0.0.0.0":              `{"owner":"soc","scan":"nightly"}`,
		"255.255.255.255":      `{"owner":"soc","scan":"nightly"}`,
		"::":                   `{"owner":"soc","scan":"nightly"}`,
		"2001:db8::7":          `{"owner":"soc","scan":"nightly","zone":"lab"}`,
		"2001:db8::7%eth0":     `{"owner":"soc","scan":"nightly","zone":"lab"}`,
		"2001:db9::":           `{"owner":"soc","scan":"nightly"}`,
		"ffff::1":              `{"owner":"soc","scan":"nightly"}`,
		"2001:db7:ffff::ffff":  `{"owner":"soc","scan":"nightly"}`,
		"2001:db8:ffff:f::f:f": `{"owner":"soc","scan":"nightly","zone":"lab"}`,
	} {
		if got := table.Of(netip.MustParseAddr(addr)); string(got) != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := table.Scan(); got != `{"owner":"soc","scan":"nightly"}` {
		t.Errorf("the scan has %s", got)
	}
	var none tags.Table
	if none.Of(netip.MustParseAddr("10.0.0.1")) != "" || none.Scan() != "" {
		t.Error("nothing was said, and there are tags")
	}
}

// What holds to the last address of a family does not go over into the other, and a whole family can have tags.
func TestTagsTableAtTheEdges(t *testing.T) {
	for text, want := range map[string][4]string{ // of 0.0.0.0, 255.255.255.255, ::, and the last of IPv6
		"0.0.0.0/0,a=4":                      {"4", "4", "", ""},
		"::/0,a=6":                           {"", "", "6", "6"},
		"0.0.0.0/0,a=4\n::/0,a=6":            {"4", "4", "6", "6"},
		"255.255.255.255,a=4":                {"", "4", "", ""},
		"128.0.0.0/1,a=4\n8000::/1,a=6":      {"", "4", "", "6"},
		"::,a=6":                             {"", "", "6", ""},
		"0.0.0.0,a=4\nffff:ffff::/32,a=6":    {"4", "", "", "6"},
		"0.0.0.0/0,a=4\n255.0.0.0/8,a=5":     {"4", "5", "", ""},
		"0.0.0.0/0,a=4\n0.0.0.0,a=5":         {"5", "4", "", ""},
		"::/0,a=6\n255.255.255.255/32,a=4":   {"", "4", "6", "6"},
		"192.0.2.0/24,a=1\n2001:db8::/32,a=": {"refused"},
	} {
		table, err := loadTags(text)
		if want[0] == "refused" {
			if err == nil {
				t.Errorf("%q is taken", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for i, addr := range []string{"0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
			wanted := ""
			if want[i] != "" {
				wanted = fmt.Sprintf(`{"a":%q}`, want[i])
			}
			if got := table.Of(netip.MustParseAddr(addr)); string(got) != wanted {
				t.Errorf("%q: %s has %q, want %q", text, addr, got, wanted)
			}
		}
	}
}

// slowTags asks every prefix, the shortest first.
func slowTags(prefixes map[netip.Prefix][]results.Tag, a netip.Addr) results.Tags {
	byKey := map[string]string{}
	for _, p := range slices.SortedFunc(maps.Keys(prefixes), func(x, y netip.Prefix) int { return cmp.Compare(x.Bits(), y.Bits()) }) {
		for _, tag := range prefixes[p] {
			if p.Contains(a) {
				byKey[tag.Key] = tag.Value
			}
		}
	}
	var all []results.Tag
	for key, value := range byKey {
		all = append(all, results.Tag{Key: key, Value: value})
	}
	t, err := results.MakeTags(all)
	if err != nil {
		panic(err)
	}
	return t
}

// The table says of every address what asking each prefix says, in whatever order the lines are.
func TestTagsTableIsTheLongestPrefix(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		prefixes := map[netip.Prefix][]results.Tag{}
		var lines []string
		var edges []netip.Addr
		for range 1 + r.IntN(40) {
			a := netip.AddrFrom4([4]byte{10, byte(r.IntN(4)), byte(r.IntN(4)), byte(r.IntN(256))})
			bits := 7 + r.IntN(26)
			if r.IntN(3) == 0 {
				a = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(r.IntN(4)), 15: byte(r.IntN(4))})
				bits = 31 + r.IntN(98)
			}
			p := netip.PrefixFrom(a, bits).Masked()
			if prefixes[p] != nil {
				continue
			}
			line := p.String()
			for k := range 1 + r.IntN(3) {
				tag := results.Tag{Key: fmt.Sprint("k", k+r.IntN(3)), Value: fmt.Sprint(r.IntN(100))}
				if slices.ContainsFunc(prefixes[p], func(t results.Tag) bool { return t.Key == tag.Key }) {
					continue
				}
				prefixes[p] = append(prefixes[p], tag)
				line += "," + tag.Key + "=" + tag.Value
			}
			lines = append(lines, line)
			edges = append(edges, p.Addr(), p.Addr().Prev(), a)
		}
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		table, err := loadTags(strings.Join(lines, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range edges {
			for range 3 {
				if a.IsValid() {
					if got, want := table.Of(a), slowTags(prefixes, a); got != want {
						t.Fatalf("%v has %s, want %s:\n%s", a, got, want, strings.Join(lines, "\n"))
					}
					a = a.Next()
				}
			}
		}
	}
}

// What cannot be meant is refused with file, line and a way out.
func TestLoadTagsRefuses(t *testing.T) {
	long := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("key%d=%s", i, strings.Repeat("v", 40)))
		}
		return all
	}
	for text, want := range map[string]string{
		"":                                        "net.csv: it has no tags",
		"# nothing\n\n":                           "net.csv: it has no tags",
		"10.0.0.0/8":                              "net.csv:1: 10.0.0.0/8 has no tag behind it",
		"10.0.0.0/8,,":                            "net.csv:1: 10.0.0.0/8 has no tag behind it",
		"cidr,owner":                              `net.csv:1: "cidr" is neither a prefix nor an address`,
		"10.0.0.0/8;owner=x":                      `net.csv:1: "10.0.0.0/8;owner=x" is neither`,
		"10.0.0.0/8 owner=x":                      `net.csv:1: "10.0.0.0/8 owner=x" is neither`,
		"10.0.0.0/8\towner=x":                     "is neither a prefix nor an address",
		"# a\n10.0.0.1-10.0.0.9,a=b":              `net.csv:2: "10.0.0.1-10.0.0.9" is neither`,
		"10.0.0.*,a=b":                            "is neither a prefix nor an address",
		"10.0.0.0/08,a=b":                         "is neither a prefix nor an address",
		"10.0.0.0/33,a=b":                         "is neither a prefix nor an address",
		"010.0.0.0/8,a=b":                         "is neither a prefix nor an address",
		"fe80::1%eth0,a=b":                        "is neither a prefix nor an address",
		"lb.example,a=b":                          "is neither a prefix nor an address",
		"10.0.0.1:443,a=b":                        "is neither a prefix nor an address",
		",a=b":                                    `net.csv:1: "" is neither a prefix nor an address`,
		"10.1.2.3/8,a=b":                          "net.csv:1: 10.1.2.3/8 has bits behind its length: write 10.0.0.0/8, or 10.1.2.3 alone",
		"::ffff:10.0.0.0/104,a=b":                 "IPv4 in IPv6",
		"10.0.0.1,a=b\n10.0.0.2,owner":            `net.csv:2: "owner": it has no =`,
		"10.0.0.1,owner=":                         `"owner=": it has no value`,
		"10.0.0.1,a.b=c":                          "no key has",
		"10.0.0.1,a=b # mine":                     "net.csv:1: \"a=b # mine\": a comment has its own line",
		"10.0.0.1,a=1,a=2":                        `net.csv:1: "a": it has two values`,
		"10.0.0.1,a=1\n\n10.0.0.1,a=2":            `net.csv:3: 10.0.0.1/32 is in net.csv:1, too: "a": it has two values, "1" and "2"`,
		"10.0.0.1,\"a=b":                          "net.csv:1: extraneous or missing \" in quoted-field",
		"10.0.0.1,a=\"b\"":                        "net.csv:1: bare \" in non-quoted-field",
		"10.0.0.1,a=b\r10.0.0.2,a\r":              `net.csv:2: "a": it has no =`,
		"#c\r10.0.0.2,a\r":                        `net.csv:2: "a": it has no =`,
		"\xff\xfe1\x000\x00":                      `net.csv:1: "10" is neither a prefix nor an address`,
		"\x1f\x8b\x08":                            "net.csv: the file is compressed by gzip, and damaged or cut off",
		"10.0.0.1,a=\xe9":                         "net.csv:1: it is not UTF-8",
		"10.0.0.1,a=" + "x\x00":                   "control character",
		"10.0.0.1," + strings.Repeat("x", 70e3):   "net.csv:1: a line of more than 65536 bytes",
		"10.0.0.1," + strings.Join(long(13), ","): "the tags of a record take",
		"10.0.0.0/8," + strings.Join(long(4), ",") + "\n10.0.0.1,b=" + strings.Repeat("x", 200): "net.csv:2: with what the prefixes around it and the scan add: the tags of a record take",
		"10.0.0.1,a=b\n10.0.0.2,=": "net.csv:2: \"=\": it has no key",
	} {
		_, err := loadTags(text)
		e, ok := errors.AsType[*tags.Error](err)
		if !ok || !strings.Contains(err.Error(), want) || e.Field() != "TagsFiles" || len(err.Error()) > 300 {
			t.Errorf("%.60q: error %v, want one with %q", text, err, want)
			continue
		}
		if hintOf(err) == "" {
			t.Errorf("%.60q: no hint with %v", text, err)
		}
	}
	for _, c := range []tags.Config{
		{TagsFiles: []string{"missing.csv"}}, {TagsFiles: []string{"a.csv", "a.csv"}}, {Tags: []string{"a"}}, {Tags: []string{"a=1", "a=2"}}, {Tags: long(20)},
	} {
		c.Open = tagFiles{"a.csv": "10.0.0.1,a=b"}.open
		_, err := tags.Load(c)
		e, ok := errors.AsType[*tags.Error](err)
		if !ok || hintOf(err) == "" || (e.Field() == "Tags") != (len(c.Tags) > 0) {
			t.Errorf("%+v: error %v, hint %q", c, err, hintOf(err))
		}
	}
}

// hintOf is the first that an error or one below it has.
func hintOf(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		if h, ok := err.(interface{ Hint() string }); ok && h.Hint() != "" {
			return h.Hint()
		}
	}
	return ""
}

// Forms that programs save are read as meant, and several files add up.
func TestLoadTagsTakes(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1,a=b": `{"a":"b"}`, "#\r10.0.0.1,a=b\r#": `{"a":"b"}`, "\xff\xfe1\x000\x00.\x000\x00.\x000\x00.\x001\x00,\x00a\x00=\x00\xe9\x00": `{"a":"é"}`, "10.0.0.1,a=b\r\n": `{"a":"b"}`, "\ufeff10.0.0.1,a=b\n": `{"a":"b"}`, "\"10.0.0.0/24\",\"a=b, c\"\n": `{"a":"b, c"}`, "10.0.0.1,a=b,,,": `{"a":"b"}`,
		"  # x\n10.0.0.1 ,\ta=b\t": `{"a":"b"}`, `10.0.0.1,"a=say ""x"""`: `{"a":"say \"x\""}`, "10.0.0.1,a=b\n10.0.0.1,a=b": `{"a":"b"}`, "10.0.0.1,a=b\n10.0.0.0/31,c=d": `{"a":"b","c":"d"}`,
		"10.0.0.1,a=#b": `{"a":"#b"}`, "10.0.0.1/32,a=é": `{"a":"é"}`, "0.0.0.0/0,a=b\n::/0,a=c": `{"a":"b"}`,
	} {
		table, err := loadTags(text)
		if err != nil || string(table.Of(netip.MustParseAddr("10.0.0.1"))) != want {
			t.Errorf("%q: error %v", text, err)
			continue
		}
	}
	table, err := tags.Load(tags.Config{TagsFiles: []string{"a", "b"}, Open: tagFiles{"a": "10.0.0.0/8,zone=x", "b": "10.0.0.0/8,owner=y\n10.0.0.1,zone=z"}.open})
	if err != nil || table.Of(netip.MustParseAddr("10.0.0.1")) != `{"owner":"y","zone":"z"}` || table.Of(netip.MustParseAddr("10.0.0.2")) != `{"owner":"y","zone":"x"}` {
		t.Errorf("error %v", err)
	}
}

// A file cannot make the table larger than its bounds, whatever is nested in it.
func TestLoadTagsIsBounded(t *testing.T) {
	var nested, many strings.Builder
	nested.WriteString("10.0.0.0/8,a=" + strings.Repeat("x", 200) + "\n")
	for i := range 100 {
		fmt.Fprintf(&nested, "10.0.0.%d,k=%d\n", i, i) // each some 10 bytes, and 220 with what is around it
		fmt.Fprintf(&many, "10.0.0.%d,k=v\n", i)
	}
	for text, want := range map[string]string{nested.String(): "net.csv:", many.String(): "net.csv:51: more than 50 prefixes"} {
		c := tags.Config{TagsFiles: []string{"net.csv"}, Open: tagFiles{"net.csv": text}.open, MaxText: 10_000, MaxPrefixes: 50}
		if strings.HasPrefix(text, "10.0.0.0/8") {
			c.MaxPrefixes = 1000
		}
		_, err := tags.Load(c)
		if err == nil || !strings.HasPrefix(err.Error(), want) || hintOf(err) == "" {
			t.Errorf("error %v", err)
		}
	}
}

// FuzzLoadTags: no file does harm, and what it says of an address it says again when it is written down.
func FuzzLoadTags(f *testing.F) {
	for _, text := range []string{network, "", "#", "10.0.0.1,a=b\n10.0.0.0/31,a=c\n", "::/0,a=b\n0.0.0.0/0,c=d", "10.0.0.1,\"a=b\"\"\"\r\n", "\xff\xfe", "255.255.255.255,a=b", "10.0.0.1,a=\r"} {
		f.Add(text, "10.20.3.7")
	}
	f.Fuzz(func(t *testing.T, text, addr string) {
		table, err := loadTags(text)
		if err != nil {
			if _, ok := errors.AsType[*tags.Error](err); !ok {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		a, err := netip.ParseAddr(addr)
		if err != nil {
			return
		}
		said := table.Of(a)
		if len(said) > results.MaxTagsLen {
			t.Fatalf("%d bytes of tags", len(said))
		}
		var again []results.Tag
		for key, value := range said.All() {
			again = append(again, results.Tag{Key: key, Value: value})
		}
		if twice, err := results.MakeTags(again); err != nil || twice != said {
			t.Fatalf("%s came back as %s, error %v", said, twice, err)
		}
	})
}
