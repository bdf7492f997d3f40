package target

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What a line of a file says is read as it looks, or refused with the line; never as something else.
func TestLines(t *testing.T) {
	dns := names{"web.lab": "10.0.9.1", "db.lab": "10.0.9.2", "web": "10.0.9.3", "prod": "10.0.9.4", "10.0.0.1-web": "10.0.9.5"}
	for _, c := range []struct{ line, want string }{ // probes, or part of the error
		{"10.0.0.1 10.0.0.2", "10.0.0.1:80 10.0.0.2:80"},
		{"10.0.0.2 10.0.0.1", "10.0.0.1:80 10.0.0.2:80"},
		{"10.0.0.1,10.0.0.4", "10.0.0.1:80 10.0.0.4:80"},
		{"10.0.0.1, 10.0.0.4,", "10.0.0.1:80 10.0.0.4:80"},
		{"10.0.0.1 10.0.0.3 10.0.0.5", "10.0.0.1:80 10.0.0.3:80 10.0.0.5:80"},
		{"10.0.0.0/31\t10.0.0.4/31", "10.0.0.0:80 10.0.0.1:80 10.0.0.4:80 10.0.0.5:80"},
		{"web.lab db.lab", "10.0.9.1:80 10.0.9.2:80"},
		{"web", "10.0.9.3:80"},
		{"10.0.0.1 - 10.0.0.3", "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80"},
		{"10.0.0.1   -\t10.0.0.2 10.0.0.9", "10.0.0.1:80 10.0.0.2:80 10.0.0.9:80"},
		{"2001:db8::1 - 2001:db8::2", "[2001:db8::1]:80 [2001:db8::2]:80"},
		{"10.0.0.1-2,4", "10.0.0.1:80 10.0.0.2:80 10.0.0.4:80"},
		{"10.0.0.1 # 22", "10.0.0.1:80"},
		{"10.0.0.1:22 10.0.0.9:22", "10.0.0.1:22 10.0.0.9:22"},
		{"10.0.0.254-", "10.0.0.254:80 10.0.0.255:80"},
		{"# remark\u202810.0.0.1", "10.0.0.1:80"},
		{"# remark\f10.0.0.1\u0085#\v10.0.0.2", "10.0.0.1:80 10.0.0.2:80"},

		{"10.0.0.1 22", `f:2: "22": not an address`},
		{"10.0.0.1\t443", `f:2: "443": not an address`},
		{"10.0.0.1\u00a022", `f:2: "22": not an address`},
		{"10.0.0.1 tcp/22", `"tcp/22": only an address can have a prefix length`},
		{"10.0.0.1,22", `f:2: "10.0.0.1,22": this could be a port or a second address`},
		{"10.0.0.1,22,80", "this could be a port or a second address"},
		{"10.0.0.1,443", `f:2: "10.0.0.1,443": not an address, octet 443 is above 255`},
		{"10.0.0.1, 22", `"22": not an address`},
		{"10.0.0.1:22,23", `"23": not an address`},
		{"10.0.0.1;22", "neither an address nor a host name"},
		{"10.0.0.1|22", "neither an address nor a host name"},
		{`"10.0.0.1","22"`, "neither an address nor a host name"},
		{"10.0.0.0/24,22", `"22": not an address`},
		{"web.lab,22", `"22": not an address`},
		{"10.0.0.1 web.lab", `f:2: "10.0.0.1": addresses and names on one line: columns are not read`},
		{"web.lab,10.0.0.1", "addresses and names on one line"},
		{"10.0.0.1 web.lab web", "addresses and names on one line"},
		{"web prod", `f:2: "web": several names without a dot`},
		{"web.lab prod", `"prod": several names without a dot`},
		{"ip,port", `"ip": several names without a dot`},
		{"10.0.0.0 10.0.0.255", `f:2: "10.0.0.0": two addresses on one line could be a range`},
		{"10.0.0.0 255.255.255.0", "two addresses on one line could be a range"},
		{"10.0.0.0 0.0.0.255", "two addresses on one line could be a range"},
		{"2001:db8::1 2001:db8::9", "two addresses on one line could be a range"},
		{"10.0.0.1- 10.0.0.9", `f:2: "10.0.0.1-": a dash next to a space`},
		{"10.0.0.1 -10.0.0.9", `f:2: "-10.0.0.9": a dash next to a space`},
		{"10.0.0.1 -5", "a dash next to a space"},
		{"web- 10.0.0.9", "a dash next to a space"},
		{"10.0.0.1 - web", `"-": not an address`},
		{"10.0.0.1 –10.0.0.9", "only ASCII"},
		{"10.0.0.9 - 10.0.0.1", "address range is reversed"},
		{"10.0.0.1 - 2001:db8::1", "range from IPv4 to IPv6"},
		{"- 10.0.0.1", `"-": not an address`},
		{"10.0.0.0 /24", "not an address"},
		{"10.0.0.0/ 24", "is not a prefix length"},
		{"10.0.0.0/08", "has a leading zero"},
		{"10.0.0.1-10.0.0.09", "has a leading zero"},
		{"0x7f000001", "the last label is a number"},
		{"10.0.0.1\u200b", "only ASCII"},
	} {
		f := files{"f": "\n" + c.line + "\n"}
		for kind, config := range map[string]Config{
			"targets":    {TargetFiles: []string{"f"}},
			"exclusions": {Targets: []string{"198.18.0.1"}, ExcludeFiles: []string{"f"}},
		} {
			config.Ports, config.Open, config.Resolve = mustPorts(t, "80"), f.open, dns.resolve
			got, err := Load(t.Context(), config)
			var s string
			want := c.want
			switch {
			case err != nil:
				if s = err.Error(); hintOf(t, err) == "" {
					t.Errorf("%s, %q: no hint with %v", kind, c.line, err)
				}
			case kind == "exclusions":
				var all []string
				for r := range got.Exclusions() {
					for a := r.From(); a.Compare(r.To()) <= 0; a = a.Next() {
						all = append(all, fmt.Sprint(a))
					}
				}
				slices.Sort(all)
				s = strings.Join(all, " ")
				want = strings.NewReplacer(":80", "", "[", "", "]", "").Replace(want)
			default:
				s = probes(got.Space)
			}
			if strings.Contains(c.want, ":22 ") && kind == "exclusions" {
				continue // an exclusion has no port
			}
			if !strings.Contains(s, want) || err == nil && s != want {
				t.Errorf("%s, %q: %s\nwant %s", kind, c.line, s, want)
			}
		}
	}
}

// On the command line a list of octets is what it always was, and - is standard input.
func TestGiven(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"10.0.0.1,3"}, "10.0.0.1:80 10.0.0.3:80"},
		{[]string{"10.0.0.1", "web.lab"}, "10.0.0.1:80 10.0.9.1:80"},
		{[]string{"10.0.0.1,web.lab"}, "10.0.0.1:80 10.0.9.1:80"},
		{[]string{"10.0.0.1", "10.0.0.9"}, "10.0.0.1:80 10.0.0.9:80"},
		{[]string{"10.0.0.1", "-", "10.0.0.3"}, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80"},
		{[]string{"10.0.0.1 - 10.0.0.3"}, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80"},
		{[]string{"10.0.0.1 10.0.0.2"}, "10.0.0.1:80 10.0.0.2:80"},
		{[]string{"-"}, "10.7.0.1:80"},
		{[]string{"-", "10.0.0.1"}, "10.0.0.1:80 10.7.0.1:80"},
		{[]string{"10.0.0.1", "-"}, "10.0.0.1:80 10.7.0.1:80"},
		{[]string{"10.0.0.1", "-", "-"}, "standard input was already read by Targets"},
		{[]string{"10.0.0.1-", "10.0.0.9"}, "a dash next to a space"},
		{[]string{"10.0.0.1", "22"}, `"22": not an address`},
		{[]string{"10.0.0.1 22"}, `"22": not an address`},
		{[]string{"10.0.0.1 web.lab"}, "addresses and names on one line"},
		{[]string{""}, "empty target"},
		{[]string{"10.0.0.1", " "}, "empty target"},
	} {
		got, err := Load(t.Context(), Config{Targets: c.words, Ports: mustPorts(t, "80"), Resolve: names{"web.lab": "10.0.9.1"}.resolve,
			Stdin: strings.NewReader("# list\r10.7.0.1\r")})
		var s string
		if err != nil {
			s = err.Error()
		} else {
			s = probes(got.Space)
		}
		if !strings.Contains(s, c.want) || err == nil && s != c.want {
			t.Errorf("%q: %s\nwant %s", c.words, s, c.want)
		}
	}
}

// Many octet patterns take no more memory than a bound, and what costs no more than its text is none of it.
func TestPatternsTogether(t *testing.T) {
	var small strings.Builder
	for i := range 1 << 16 {
		fmt.Fprintf(&small, "10.%d.%d.1-2,4,6-7,9\n", i>>8, i&255)
	}
	got, err := Load(t.Context(), Config{TargetFiles: []string{"-"}, Stdin: strings.NewReader(small.String()), Ports: mustPorts(t, "80")})
	if err != nil || got.Space.Len() != 6<<16 {
		t.Errorf("65,536 patterns of four ranges: %v", err)
	}
	for name, c := range map[string]Config{
		"targets":    {TargetFiles: []string{"-"}},
		"exclusions": {Targets: []string{"10.0.0.1"}, ExcludeFiles: []string{"-"}},
		"scope":      {Targets: []string{"10.0.0.1"}, ScopeFiles: []string{"-"}},
		"ports":      {TargetFiles: []string{"-"}},
	} {
		line := ""
		for i := range 30 {
			line += fmt.Sprintf("%d.*.*.1%s\n", i+11, map[string]string{"ports": fmt.Sprint(":", i+1)}[name])
		}
		c.Stdin, c.Ports = strings.NewReader(line), mustPorts(t, "80")
		_, err := Load(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), "octet patterns make more than 1048576 separate ranges") || !strings.Contains(err.Error(), "standard input:17:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
