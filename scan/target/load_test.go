package target

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

// files is an Open over a map from name to content.
type files map[string]string

func (f files) open(name string) (io.ReadCloser, error) {
	text, ok := f[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// names is a Resolve over a map; a name that is not in it does not exist.
type names map[string]string

func (n names) resolve(_ context.Context, host string) ([]netip.Addr, error) {
	text, ok := n[strings.TrimSuffix(host, ".")]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var list []netip.Addr
	for word := range strings.FieldsSeq(text) {
		list = append(list, netip.MustParseAddr(word))
	}
	return list, nil
}

// namesText is what the first names of the addresses look like.
func namesText(n *Names) string {
	first := map[netip.Addr]string{}
	if n != nil {
		for a, names := range n.of {
			first[a] = names.all[0]
		}
	}
	return fmt.Sprint(first)
}

// probes lists a small space.
func probes(s *Space) string {
	var list []string
	for i := range s.Len() {
		list = append(list, netip.AddrPortFrom(s.At(i)).String())
	}
	return strings.Join(list, " ")
}

var testNames = names{
	"one":  "10.0.0.1",
	"two":  "2001:db8::2 10.0.0.2 10.0.0.2 ::ffff:10.0.0.2",
	"bad":  "224.0.0.1",
	"zone": "fe80::1%eth0",
	"none": "",
}

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		files  files
		stdin  string
		want   string
		names  string
		gone   uint64
	}{
		{name: "words", config: Config{Targets: []string{"10.0.0.2", "10.0.0.1-2", "2001:db8::1"}},
			want: "10.0.0.1:80 10.0.0.2:80 [2001:db8::1]:80"},
		{name: "file with everything a file may have",
			config: Config{TargetFiles: []string{"list"}},
			files:  files{"list": "\ufeff10.0.0.1\r\n# comment\r\n\r\n  10.0.0.2\t10.0.0.3#again\r\n10.0.0.4,10.0.0.6\n10.0.0.9"},
			want:   "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80 10.0.0.6:80 10.0.0.9:80"},
		{name: "standard input", config: Config{TargetFiles: []string{"-"}}, stdin: "10.0.0.1\n", want: "10.0.0.1:80"},
		{name: "exclusions", config: Config{Targets: []string{"10.0.0.0/29"}, Exclude: []string{"10.0.0.0,2-4", "10.0.0.6/31,10.0.0.200"}},
			want: "10.0.0.1:80 10.0.0.5:80", gone: 6},
		{name: "exclusion files", config: Config{Targets: []string{"10.0.0.0/30"}, ExcludeFiles: []string{"not", "-"}},
			files: files{"not": "10.0.0.0\n"}, stdin: "10.0.0.3", want: "10.0.0.1:80 10.0.0.2:80", gone: 2},
		{name: "excluding IPv6 leaves IPv4", config: Config{Targets: []string{"10.0.0.1", "2001:db8::/126"}, Exclude: []string{"::/0"}},
			want: "10.0.0.1:80", gone: 4},
		{name: "pairs", config: Config{Targets: []string{"10.0.0.9:443", "10.0.0.1", "[2001:db8::1]:22", "10.0.0.1:80", "10.0.0.8:443"}},
			want: "10.0.0.1:80 [2001:db8::1]:22 10.0.0.8:443 10.0.0.9:443"},
		{name: "pairs and exclusions", config: Config{Targets: []string{"10.0.0.1:443", "10.0.0.2:443", "10.0.0.2:22"}, Exclude: []string{"10.0.0.2"}},
			want: "10.0.0.1:443", gone: 1},
		{name: "names", config: Config{Targets: []string{"one", "two", "two:22"}},
			want:  "10.0.0.1:80 10.0.0.2:80 [2001:db8::2]:80 10.0.0.2:22 [2001:db8::2]:22",
			names: "map[10.0.0.1:one 10.0.0.2:two 2001:db8::2:two]"},
		{name: "exclusion of a resolved address", config: Config{Targets: []string{"two"}, Exclude: []string{"10.0.0.2"}},
			want: "[2001:db8::2]:80", names: "map[2001:db8::2:two]", gone: 1},
		{name: "exclusion by name", config: Config{Targets: []string{"10.0.0.1-3"}, Exclude: []string{"one,two"}},
			want: "10.0.0.3:80", gone: 2},
		{name: "refused addresses excluded", config: Config{Targets: []string{"223.255.255.255-224.0.0.9", "0.0.0.0-1.0.0.0"}, Exclude: []string{"224.0.0.0/4,0.0.0.0/8"}},
			want: "1.0.0.0:80 223.255.255.255:80", gone: 10 + 1<<24},
		{name: "refused name excluded", config: Config{Targets: []string{"bad", "one"}, Exclude: []string{"224.0.0.0/4"}},
			want: "10.0.0.1:80", names: "map[10.0.0.1:one]", gone: 1},
		{name: "scope", config: Config{Targets: []string{"10.0.0.1", "10.0.1.1"}, ScopeFiles: []string{"scope"}, Exclude: []string{"10.0.1.0/24"}},
			files: files{"scope": "10.0.0.0/24 # the lab\n2001:db8::/32\n"}, want: "10.0.0.1:80", gone: 1},
		{name: "far too many, then excluded", config: Config{Targets: []string{"2001:db8::/32", "10.0.0.1"}, Exclude: []string{"2001:db8::1-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"}},
			want: "10.0.0.1:80 [2001:db8::]:80", gone: math.MaxUint64},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Ports = mustPorts(t, "80")
			c.config.Open = c.files.open
			c.config.Resolve = testNames.resolve
			c.config.Stdin = strings.NewReader(c.stdin)
			got, err := Load(t.Context(), c.config)
			if err != nil {
				t.Fatal(err)
			}
			if p := probes(got.Space); p != c.want {
				t.Errorf("probes %s\nwant   %s", p, c.want)
			}
			if c.names == "" {
				c.names = "map[]"
			}
			if n := namesText(got.Names); n != c.names {
				t.Errorf("names %s, want %s", n, c.names)
			}
			if got.Excluded != c.gone {
				t.Errorf("%d excluded, want %d", got.Excluded, c.gone)
			}
			if text := c.files["scope"]; text != "" {
				sum := sha256.Sum256([]byte(text))
				want := Scope{"scope", hex.EncodeToString(sum[:]), math.MaxUint64}
				if got.Scope == nil || *got.Scope != want {
					t.Errorf("scope %+v, want %+v", got.Scope, want)
				}
			} else if got.Scope != nil {
				t.Errorf("scope %+v without a file", got.Scope)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		files  files
		want   string // the whole message
		hint   string // part of the hint
	}{
		{"nothing", Config{}, nil, "no targets", "a target is"},
		{"empty file", Config{TargetFiles: []string{"f"}}, files{"f": "# only a comment\n"}, "f holds no targets (1 line, 1 comment)", "a target is"},
		{"bad word", Config{Targets: []string{"10.0.0.300"}}, nil, `"10.0.0.300": not an address, octet 300 is above 255`, "0-255"},
		{"bad line", Config{TargetFiles: []string{"targets.txt"}}, files{"targets.txt": "\n# x\r\n10.0.0.1 10.0.0.300\n"},
			`targets.txt:3: "10.0.0.300": not an address, octet 300 is above 255`, "0-255"},
		{"bad line of standard input", Config{TargetFiles: []string{"-"}}, nil, `standard input:2: "300.0.0.1": not an address, octet 300 is above 255`, "0-255"},
		{"standard input twice", Config{TargetFiles: []string{"-"}, ExcludeFiles: []string{"-"}}, nil,
			"TargetFiles: standard input was already read by ExcludeFiles", `only one file can be "-"`},
		{"no such file", Config{TargetFiles: []string{"missing"}}, nil, "TargetFiles: open missing: file does not exist", "check the name"},
		{"UTF-16", Config{TargetFiles: []string{"f"}}, files{"f": "\xff\xfe1\x000\x00"}, `f:1: "10": not an address, it has 1 of the 4 octets`, "Ports 10"},
		{"archive", Config{TargetFiles: []string{"f"}}, files{"f": "PK\x03\x04"}, "f: the file is a zip archive, as spreadsheets and documents are too", "unpacked"},
		{"no text", Config{TargetFiles: []string{"f"}}, files{"f": "10.0.0.1\n10.0.0.2\x00\n"}, "f:2: a zero byte: this is no text", "UTF-8"},
		{"long line", Config{TargetFiles: []string{"f"}}, files{"f": "10.0.0.1\n" + strings.Repeat(" ", maxLine+1)},
			"f:2: line longer than 1048576 bytes: bufio.Scanner: token too long", "one target per line"},

		{"bad exclusion", Config{Targets: []string{"10.0.0.1"}, Exclude: []string{"10.0.0.2,10.0.0.256"}}, nil,
			`Exclude: "10.0.0.256": not an address, octet 256 is above 255`, "0-255"},
		{"exclusion with port", Config{Targets: []string{"10.0.0.1"}, ExcludeFiles: []string{"f"}}, files{"f": "10.0.0.1:80"},
			`f:1: "10.0.0.1:80": an exclusion has no port`, "every port"},
		{"all excluded", Config{Targets: []string{"10.0.0.1", "10.0.0.9:443"}, Exclude: []string{"10.0.0.0/8"}}, nil,
			"no targets left: the exclusions cover every one", "Exclude and ExcludeFiles"},

		{"multicast", Config{Targets: []string{"224.0.0.5"}}, nil, `"224.0.0.5": this is a multicast address (RFC 5771)`, "leave it out"},
		{"multicast in a file", Config{TargetFiles: []string{"f"}}, files{"f": "10.0.0.1\n239.1.0.0/16"},
			`f:2: "239.1.0.0/16": it contains 239.1.0.0, a multicast address (RFC 5771)`, "leave it out"},
		{"IPv6 multicast", Config{Targets: []string{"ff02::1"}}, nil, `"ff02::1": this is a multicast address (RFC 4291)`, "leave it out"},
		{"multicast pair", Config{Targets: []string{"224.0.0.5:80"}}, nil, `"224.0.0.5:80": it contains 224.0.0.5, a multicast address (RFC 5771)`, "leave it out"},
		{"broadcast", Config{Targets: []string{"255.255.255.255"}}, nil, `"255.255.255.255": this is the limited broadcast address (RFC 919)`, "leave it out"},
		{"unspecified", Config{Targets: []string{"0.0.0.0"}}, nil, `"0.0.0.0": this is a "this network" address (RFC 791)`, "leave it out"},
		{"unspecified IPv6", Config{Targets: []string{"::"}}, nil, `"::": this is the unspecified address (RFC 4291)`, "leave it out"},
		{"class E", Config{Targets: []string{"240.0.0.1"}}, nil, `"240.0.0.1": this is a reserved class E address (RFC 1112)`, "leave it out"},
		{"all of IPv4", Config{Targets: []string{"0.0.0.0/0"}}, nil,
			"targets cover the wide public network 1.0.0.0/8 and neither a scope nor an exclusion is given", "ScopeFiles FILE"},
		{"all of IPv4 with an exclusion", Config{Targets: []string{"0.0.0.0/0"}, Exclude: []string{"10.0.0.1"}}, nil,
			`"0.0.0.0/0": it contains 0.0.0.0, a "this network" address (RFC 791)`, "exclude it: Exclude 0.0.0.0/8,224.0.0.0/4,240.0.0.0/4"},
		{"all of IPv4, in part excluded", Config{Targets: []string{"*.*.*.*"}, Exclude: []string{"0.0.0.0/8,224.0.0.0/4"}}, nil,
			`"*.*.*.*": it contains 240.0.0.0, a reserved class E address (RFC 1112)`, "exclude it: Exclude 240.0.0.0/4"},
		{"pattern into multicast", Config{Targets: []string{"223-224.0.0.1"}}, nil,
			`"223-224.0.0.1": it contains 224.0.0.1, a multicast address (RFC 5771)`, "exclude it: Exclude 224.0.0.0/4"},

		{"zone", Config{Targets: []string{"fe80::1%eth0"}}, nil, `"fe80::1%eth0": addresses with a zone are not supported`, "link-local"},
		{"IPv6 too large", Config{TargetFiles: []string{"f"}}, files{"f": "2001:db8::/64\n"}, `f:1: "2001:db8::/64": more than 2^48 addresses`, "known addresses"},
		{"too large together", Config{Targets: []string{"2001:db8::/80", "10.0.0.1"}}, nil, "more than 2^48 addresses", "known addresses"},
		{"too many probes", Config{Targets: []string{"2001:db8::/80", "10.0.0.1:9"}}, nil, "more than 2^48 probes", "fewer ports"},

		{"unknown host", Config{TargetFiles: []string{"f"}, Strict: true}, files{"f": "one\nnope\n"}, `f:2: "nope": cannot resolve: no such name`, "check the spelling"},
		{"unknown excluded host", Config{Targets: []string{"one"}, Exclude: []string{"nope"}}, nil, `Exclude: "nope": cannot resolve: no such name`, "check the spelling"},
		{"unknown excluded hosts", Config{Targets: []string{"one"}, Exclude: []string{"nope"}, ExcludeFiles: []string{"f"}}, files{"f": "one\nnope\nnone\n"},
			"Exclude: \"nope\": cannot resolve: no such name\nf:3: \"none\": the name has no address", "check the spelling"},
		{"host without address", Config{Targets: []string{"none"}}, nil, `"none": the name has no address`, "give the address"},
		{"host with zone", Config{Targets: []string{"zone"}}, nil, `"zone": resolves to fe80::1%eth0, which cannot be a target`, "give the address"},
		{"host of multicast", Config{Targets: []string{"bad"}}, nil, `"bad": it resolves to 224.0.0.1, a multicast address (RFC 5771)`, "leave it out"},

		{"outside the scope", Config{TargetFiles: []string{"f"}, ScopeFiles: []string{"s"}}, files{"s": "10.0.0.0/24", "f": "10.0.0.7\n10.0.0.0/23"},
			`f:2: "10.0.0.0/23": it contains 10.0.1.0, outside the scope s`, "authorizes"},
		{"address outside the scope", Config{Targets: []string{"10.0.1.0"}, ScopeFiles: []string{"s"}}, files{"s": "10.0.0.0/24"},
			`"10.0.1.0": this is outside the scope s`, "authorizes"},
		{"pair outside the scope", Config{Targets: []string{"[2001:db8::1]:80"}, ScopeFiles: []string{"s"}}, files{"s": "10.0.0.0/24"},
			`"[2001:db8::1]:80": it contains 2001:db8::1, outside the scope s`, "authorizes"},
		{"host outside the scope", Config{Targets: []string{"two"}, ScopeFiles: []string{"s"}}, files{"s": "10.0.0.0/24"},
			`"two": it resolves to 2001:db8::2, outside the scope s`, "authorizes"},
		{"multicast in the scope", Config{Targets: []string{"224.0.0.1"}, ScopeFiles: []string{"s"}}, files{"s": "0.0.0.0/0"},
			`"224.0.0.1": this is a multicast address (RFC 5771)`, "leave it out"},
		{"empty scope", Config{Targets: []string{"10.0.0.1"}, ScopeFiles: []string{"s"}}, files{"s": "#\n"}, "s holds no authorized addresses (1 line, 1 comment)", "list the networks"},
		{"empty exclusions", Config{Targets: []string{"10.0.0.1"}, ExcludeFiles: []string{"x"}}, files{"x": ""}, "x holds no exclusions (0 lines, 0 comments)", "right file"},
		{"no scope file", Config{Targets: []string{"10.0.0.1"}, ScopeFiles: []string{"s"}}, nil, "ScopeFiles: open s: file does not exist", "check the name"},
		{"scope with a name", Config{Targets: []string{"10.0.0.1"}, ScopeFiles: []string{"s"}}, files{"s": "10.0.0.1\none\n"}, `s:2: "one": a scope file holds addresses, not host names`, "authorization"},
		{"scope with a port", Config{Targets: []string{"10.0.0.1"}, ScopeFiles: []string{"s"}}, files{"s": "10.0.0.1:80\n"}, `s:1: "10.0.0.1:80": a scope has no ports`, "leave the port out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Ports = mustPorts(t, "80")
			c.config.Open = c.files.open
			c.config.Resolve = testNames.resolve
			c.config.Stdin = strings.NewReader("10.0.0.1\n300.0.0.1\n")
			if c.name == "standard input twice" {
				c.config.Stdin = strings.NewReader("10.0.0.1\n")
			}
			_, err := Load(t.Context(), c.config)
			if err == nil || err.Error() != c.want {
				t.Fatalf("error %v\nwant  %s", err, c.want)
			}
			if h := hintOf(t, err); !strings.Contains(h, c.hint) {
				t.Errorf("hint %q, want %q", h, c.hint)
			}
		})
	}
}

func TestLoadWithoutPorts(t *testing.T) {
	_, err := Load(t.Context(), Config{Targets: []string{"10.0.0.1"}})
	if err == nil || err.Error() != "no ports given" || !strings.Contains(hintOf(t, err), "Ports") {
		t.Errorf("error %v", err)
	}
	got, err := Load(t.Context(), Config{Targets: []string{"10.0.0.1:22"}})
	if err != nil || probes(got.Space) != "10.0.0.1:22" {
		t.Errorf("a pair needs no ports: %v", err)
	}
}

func TestLoadReadError(t *testing.T) {
	broken := errors.New("disk on fire")
	_, err := Load(t.Context(), Config{TargetFiles: []string{"-"}, Stdin: io.MultiReader(strings.NewReader("10.0.0.1\n"), iotest.ErrReader(broken))})
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "standard input:2: ") {
		t.Errorf("error %v", err)
	}
	if _, err = Load(t.Context(), Config{TargetFiles: []string{"-"}}); err == nil || !strings.Contains(err.Error(), "no standard input") {
		t.Errorf("nil Stdin: %v", err)
	}
	if _, err = Load(t.Context(), Config{TargetFiles: []string{t.TempDir() + "/missing"}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("os.Open: %v", err)
	}
}

func TestPublicGuard(t *testing.T) {
	scope := files{"s": "0.0.0.0/0\n::/0\n"}
	for _, c := range []struct {
		name   string
		config Config
		refuse bool
	}{
		{"one wide", Config{Targets: []string{"8.0.0.0/8"}}, true},
		{"a /16", Config{Targets: []string{"8.0.0.0/16"}}, false},
		{"two wide", Config{Targets: []string{"8.0.0.0/15", "12.0.0.0/15"}}, true},
		{"a wide range of several prefixes", Config{Targets: []string{"8.0.0.0-12.255.255.255"}}, true},
		{"many /16", Config{Targets: []string{"8.0.0.0/16", "8.2.0.0/16", "8.4.0.0/16"}}, false},
		{"neighbours are one prefix", Config{Targets: []string{"8.0.0.0/16", "8.1.0.0/16"}}, true},
		{"private", Config{Targets: []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "127.0.0.0/8"}}, false},
		{"private and one wide", Config{Targets: []string{"10.0.0.0/8", "8.0.0.0/8", "172.16.0.0/12"}}, true},
		{"as pairs", Config{Targets: []string{"8.0.0.0/15:80", "12.0.0.0/15:443"}}, true},
		{"with an exclusion", Config{Targets: []string{"8.0.0.0/15", "12.0.0.0/15"}, Exclude: []string{"10.0.0.1"}}, false},
		{"with a scope", Config{Targets: []string{"8.0.0.0/15", "12.0.0.0/15"}, ScopeFiles: []string{"s"}}, false},
	} {
		c.config.Ports = mustPorts(t, "80")
		c.config.Open = scope.open
		_, err := Load(t.Context(), c.config)
		if !c.refuse {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "wide public network") {
			t.Errorf("%s: error %v", c.name, err)
			continue
		}
		if h := hintOf(t, err); !strings.Contains(h, "ScopeFiles") || !strings.Contains(h, "ExcludeFiles") || !strings.Contains(h, "authorized") {
			t.Errorf("%s: hint %q", c.name, h)
		}
	}

	// In Load so wide an IPv6 prefix already fails for its size.
	for spec, refuse := range map[string]bool{
		"2600::/47 2602::/47":         true,
		"2600::/48 2602::/48":         false,
		"2600::/47 fd00::/16":         true,
		"2600::/32 8.0.0.0/8":         true,
		"2001:db8::/33 2001:db8::/32": false,
	} {
		var r ranges
		for word := range strings.FieldsSeq(spec) {
			r.addPrefix(netip.MustParsePrefix(word))
		}
		r.normalize()
		if err := checkAuthorized(r); (err != nil) != refuse {
			t.Errorf("%s: %v", spec, err)
		}
	}
}
