package target

import (
	"fmt"
	"strings"
	"testing"
)

// parsed shows what parseWord makes of a word: ranges in brackets, or a host name, and the port.
func parsed(word string) (string, error) {
	var out []string
	err := parseWord(word, place{}, func(e entry, text string, _ place) error {
		s := e.host
		if e.host == "" {
			var r ranges
			e.addTo(&r)
			r.normalize()
			set, err := newSet(r)
			if err != nil {
				return err
			}
			s = "[" + set.rangesText() + "]"
		}
		if e.port != 0 {
			s += fmt.Sprintf(" port %d", e.port)
		}
		out = append(out, s)
		return nil
	})
	return strings.Join(out, "; "), err
}

func TestParseForms(t *testing.T) {
	for _, c := range []struct{ word, want string }{
		{"10.0.0.1", "[10.0.0.1-10.0.0.1]"},
		{"0.0.0.0", "[0.0.0.0-0.0.0.0]"},
		{"255.255.255.255", "[255.255.255.255-255.255.255.255]"},
		{"2001:db8::1", "[2001:db8::1-2001:db8::1]"},
		{"2001:DB8::A", "[2001:db8::a-2001:db8::a]"},
		{"::1", "[::1-::1]"},
		{"::ffff:10.0.0.1", "[10.0.0.1-10.0.0.1]"},
		{"::ffff:a00:1", "[10.0.0.1-10.0.0.1]"},
		{"[2001:db8::1]", "[2001:db8::1-2001:db8::1]"},

		{"10.0.0.0/24", "[10.0.0.0-10.0.0.255]"},
		{"10.0.0.77/24", "[10.0.0.0-10.0.0.255]"},
		{"10.0.0.1/32", "[10.0.0.1-10.0.0.1]"},
		{"0.0.0.0/0", "[0.0.0.0-255.255.255.255]"},
		{"2001:db8::/120", "[2001:db8::-2001:db8::ff]"},
		{"::ffff:10.0.0.0/120", "[10.0.0.0-10.0.0.255]"},
		{"::ffff:0:0/96", "[0.0.0.0-255.255.255.255]"},

		{"10.0.0.1-10.0.0.9", "[10.0.0.1-10.0.0.9]"},
		{"10.0.0.9-10.0.1.3", "[10.0.0.9-10.0.1.3]"},
		{"10.0.0.1-10.0.0.1", "[10.0.0.1-10.0.0.1]"},
		{"2001:db8::1-2001:db8::ff", "[2001:db8::1-2001:db8::ff]"},
		{"::ffff:10.0.0.1-::ffff:10.0.0.3", "[10.0.0.1-10.0.0.3]"},

		{"10.0.0-1.1-2", "[10.0.0.1-10.0.0.2 10.0.1.1-10.0.1.2]"},
		{"10.0.0-3.1-254", "[10.0.0.1-10.0.0.254 10.0.1.1-10.0.1.254 10.0.2.1-10.0.2.254 10.0.3.1-10.0.3.254]"},
		{"10.0.0.1-9", "[10.0.0.1-10.0.0.9]"},
		{"10.0.0.*", "[10.0.0.0-10.0.0.255]"},
		{"10.0.*.*", "[10.0.0.0-10.0.255.255]"},
		{"*.*.*.*", "[0.0.0.0-255.255.255.255]"},
		{"10.0.5,7.1", "[10.0.5.1-10.0.5.1 10.0.7.1-10.0.7.1]"},
		{"10.0.0.1,3,5-7", "[10.0.0.1-10.0.0.1 10.0.0.3-10.0.0.3 10.0.0.5-10.0.0.7]"},
		{"10.0.0.250-", "[10.0.0.250-10.0.0.255]"},
		{"10.0.0.-3", "[10.0.0.0-10.0.0.3]"},
		{"10.0.0.-", "[10.0.0.0-10.0.0.255]"},
		{"10,11.0.0.255", "[10.0.0.255-10.0.0.255 11.0.0.255-11.0.0.255]"},
		{"10.0.0-1.0-255", "[10.0.0.0-10.0.1.255]"},
		{"10.0.0.1-3,2-5", "[10.0.0.1-10.0.0.5]"},

		{"10.0.0.1:80", "[10.0.0.1-10.0.0.1] port 80"},
		{"10.0.0.0/30:65535", "[10.0.0.0-10.0.0.3] port 65535"},
		{"10.0.0.1-2:1", "[10.0.0.1-10.0.0.2] port 1"},
		{"[2001:db8::1]:443", "[2001:db8::1-2001:db8::1] port 443"},
		{"[2001:db8::/126]:443", "[2001:db8::-2001:db8::3] port 443"},
		{"[::ffff:10.0.0.1]:443", "[10.0.0.1-10.0.0.1] port 443"},

		{"localhost", "localhost"},
		{"www.example.com", "www.example.com"},
		{"WWW.Example.com.", "www.example.com"},
		{"host-1.example:22", "host-1.example port 22"},
		{"a_b.example", "a_b.example"},
		{"3com.example", "3com.example"},
		{"1.2.3.4.example", "1.2.3.4.example"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"dead", "dead"},

		{"10.0.0.1,10.0.0.3", "[10.0.0.1-10.0.0.1]; [10.0.0.3-10.0.0.3]"},
		{"10.0.1,2.5", "[10.0.1.5-10.0.1.5 10.0.2.5-10.0.2.5]"},
		{"10.0.0.1,3,10.0.0.0/31,2001:db8::1,example.com,10.9.9.9", "[10.0.0.1-10.0.0.1 10.0.0.3-10.0.0.3]; [10.0.0.0-10.0.0.1]; [2001:db8::1-2001:db8::1]; example.com; [10.9.9.9-10.9.9.9]"},
		{"10.0.0.1-10.0.0.2,10.0.0.8", "[10.0.0.1-10.0.0.2]; [10.0.0.8-10.0.0.8]"},
		{"10.0.0.1,", "[10.0.0.1-10.0.0.1]"},
		{",10.0.0.1,,10.0.0.2", "[10.0.0.1-10.0.0.1]; [10.0.0.2-10.0.0.2]"},
		{" 10.0.0.1\t", "[10.0.0.1-10.0.0.1]"},
	} {
		if got, err := parsed(c.word); err != nil || got != c.want {
			t.Errorf("%q: %s, %v, want %s", c.word, got, err, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ word, want, hint string }{
		{"", "empty target", "a target is"},
		{",", `",": empty target`, "a target is"},
		{"10.0.0.300", `"10.0.0.300": not an address, octet 300 is above 255`, "0-255"},
		{"10.0.0.99999999999999999999", "octet 99999999999999999999 is above 255", "0-255"},
		{"10.0.0", `"10.0.0": not an address, it has 3 of the 4 octets`, "four octets"},
		{"167772161", "it has 1 of the 4 octets", "four octets"},
		{"10.0.0.0.1", "it has 5 of the 4 octets", "four octets"},
		{"10..0.1", "an octet is empty", "0-255"},
		{"10.0.0.1,3,", "", ""}, // a trailing comma is no error
		{"010.0.0.1", `octet "010" has a leading zero`, "octal"},
		{"10.0.0.1-2-3", `octet "2-3" is not a number`, "0-255"},
		{"10.0.0.9-1", `octet range 9-1 is reversed`, "write 1-9"},
		{"10.0.0.1**", `octet "1**" is not a number`, "0-255"},
		{"1-254.1-254.1-254.1-254", "octet pattern makes 16387064 separate ranges, more than 1048576", "ExcludeFiles"},
		{"*.*.*.1", "makes 16777216 separate ranges", "CIDR"},

		{"10.0.0.0/33", "prefix length 33 is above 32", "0 to 32"},
		{"2001:db8::/129", "prefix length 129 is above 128", "0 to 128"},
		{"10.0.0.0/", `"" is not a prefix length`, "10.0.0.0/24"},
		{"10.0.0.0/x", `"x" is not a prefix length`, "10.0.0.0/24"},
		{"10.0.0.0/-1", `"-1" is not a prefix length`, "10.0.0.0/24"},
		{"10.0.0.0/+8", `"+8" is not a prefix length`, "10.0.0.0/24"},
		{"10.0.0.0/99999", `"99999" is not a prefix length`, "10.0.0.0/24"},
		{"10.0.0.0/8/8", `"8/8" is not a prefix length`, "10.0.0.0/24"},
		{"10.0.0.1:080", "port 080 has a leading zero", "octal"},
		{"[2001:db8::1]:0443", "port 0443 has a leading zero", "octal"},
		{"10.0.0.0/8-10.1.0.0", "a range has addresses at its ends, not prefixes", "10.0.0.0-10.1.255.255"},
		{"10.0.0.0/24-10.0.9.0/24", "a range has addresses at its ends", "one by one"},
		{"2001:db8::/64-2001:db9::", "a range has addresses at its ends", "one by one"},
		{"10.0.0.1;10.0.0.2", "';' is not allowed", "commas or white space"},
		{"//", "neither an address nor a host name", "# begins a comment"},
		{"10.0.0.0/08", `prefix length "08" has a leading zero`, "octal"},
		{"2001:db8::/064", `prefix length "064" has a leading zero`, "octal"},
		{"22", "it has 1 of the 4 octets", "Ports 22"},
		{"10.0.0.1,443", "octet 443 is above 255", "10.0.0.1:443"},
		{"0x0a000001", "the last label is a number", "a target is"},
		{"0x7f.0x1", "the last label is a number", "a target is"},
		{"10/8", "it has 1 of the 4 octets", "10.0.0.0/8"},
		{"10.0.0.256/24", "octet 256 is above 255", "0-255"},
		{"10.0.0.0/255.255.255.0", "a netmask is not supported", "10.0.0.0/24"},
		{"example.com/24", "only an address can have a prefix length", "10.0.0.0/24"},
		{"10.0.*.0/24", "only an address can have a prefix length", "10.0.0.0/24"},

		{"10.0.0.9-10.0.0.1", "address range is reversed", "write 10.0.0.1-10.0.0.9"},
		{"2001:db8::9-2001:db8::1", "address range is reversed", "write 2001:db8::1-2001:db8::9"},
		{"10.0.0.1-10.0.0.300", "octet 300 is above 255", "0-255"},
		{"10.0.0.1-10.0.0.9-10.0.0.12", "not an address", "four octets"},
		{"10.0.0.1-10.0.0.9,11", `"10.0.0.9,11" is an octet pattern`, "a target is"},
		{"::ffff:10.0.0.1-2001:db8::1", "range from IPv4 to IPv6", "one family"},
		{"2001:db8::1-ff", "it has 1 of the 4 octets", ""},

		{"2001:db8::g", `"2001:db8::g" is not valid IPv6`, "2001:db8::1"},
		{"1:2:3", `"1:2:3" is not valid IPv6`, "[2001:db8::1]:443"},
		{"2001:db8::1:80:90:1:2:3:4", "is not valid IPv6", "[2001:db8::1]:443"},
		{"fe80::1%eth0", `"fe80::1%eth0": addresses with a zone are not supported`, "link-local"},
		{"[fe80::1%eth0]:80", "addresses with a zone are not supported", "link-local"},
		{"fe80::%eth0/64", "addresses with a zone are not supported", "link-local"},

		{"10.0.0.1:0", "port 0 cannot be scanned", "1-65535"},
		{"10.0.0.1:65536", "port 65536 is above 65535", "1-65535"},
		{"10.0.0.1:", `"" is not a port number`, "1-65535"},
		{"10.0.0.1:http", `"http" is not a port number`, "1-65535"},
		{"10.0.0.1:80-90", `"80-90" is not a port number`, "1-65535"},
		{":80", "empty target", "a target is"},
		{"[2001:db8::1", "no closing bracket", "[2001:db8::1]:443"},
		{"[2001:db8::1]443", `"443" after the closing bracket`, "[2001:db8::1]:443"},
		{"[2001:db8::1]:0", "port 0 cannot be scanned", "1-65535"},
		{"[10.0.0.1]:80", "brackets belong around an IPv6 address", "[2001:db8::1]:443"},
		{"[]", "brackets belong around an IPv6 address", "[2001:db8::1]:443"},

		{"https://example.com/", "a URL is not a target", "host:port"},
		{"exa mple", `' ' is not allowed`, "a target is"},
		{"-p", "begins or ends with a hyphen", "a target is"},
		{"a..b", "empty label", "a target is"},
		{".", "it has 2 of the 4 octets", "four octets"},
		{"host.123", "the last label is a number", "a target is"},
		{"bücher.example", "xn--", "a target is"},
		{"a*.example", `'*' is not allowed`, "a target is"},
		{strings.Repeat("a", 64) + ".example", "label longer than 63 bytes", "a target is"},
		{strings.Repeat("a.", 127) + "ab", "longer than 253 bytes", "a target is"},
		{strings.Repeat("9", 5000), strings.Repeat("9", 80) + "…", ""},
	} {
		got, err := parsed(c.word)
		if c.want == "" {
			if err != nil {
				t.Errorf("%q: %v", c.word, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %s, error %v, want %q", c.word, got, err, c.want)
			continue
		}
		if h := hintOf(t, err); h == "" || !strings.Contains(h, c.hint) {
			t.Errorf("%q: hint %q, want %q", c.word, h, c.hint)
		}
		if len(err.Error()) > 500 {
			t.Errorf("%q: message of %d bytes", c.word[:40], len(err.Error()))
		}
	}
}

// Every pattern just below the limit must still work.
func TestPatternLimit(t *testing.T) {
	o, err := parseOctets("", "0-15.*.*.1")
	if err != nil || o.numRanges() != maxPatternRanges {
		t.Fatalf("2^20 ranges: %v", err)
	}
	if _, err := parseOctets("", "0-16.*.*.1"); err == nil {
		t.Error("more than 2^20 ranges accepted")
	}
	var r ranges
	o.addTo(&r)
	if len(r.v4) != maxPatternRanges || r.v4[len(r.v4)-1].last.netip().String() != "15.255.255.1" {
		t.Errorf("%d ranges, %v", len(r.v4), err)
	}
}
