package policy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"synoptic/results"
)

// lineWidth is where lists go on in the next line.
const lineWidth = 110

// WriteTo writes the baseline as a policy. Read again it allows every endpoint of the baseline by a rule, and no other. A vantage
// point that is the only one stands in no rule: the policy says the same of all.
func (b *Baseline) WriteTo(w io.Writer) (int64, error) {
	out := &counted{w: bufio.NewWriter(w)}
	line := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	line("version: 1")
	var named []string
	for _, v := range b.Vantages() {
		if v != "" {
			named = append(named, yamlText(v))
		}
	}
	if len(named) > 0 {
		writeList(out, "vantage", 0, named)
	}
	all := b.drafts()
	if len(all) == 0 {
		line("rules: []")
		return out.n, out.flush()
	}
	line("rules:")
	taken := map[string]bool{}
	for _, d := range all {
		to, prefix := rangesOf(d.to)
		ports := make([]string, len(d.ports))
		for i, p := range d.ports {
			ports[i] = p.String()
		}
		if d.suspect {
			line("  # It opens everything, as SYN proxies and tarpits do: have a look at it.")
		}
		line("  - name: %s", yamlText(d.name(prefix, ports, taken)))
		writeList(out, "to", 4, to)
		if len(d.from) > 0 {
			var from []string
			for _, v := range d.from {
				from = append(from, yamlText(v))
			}
			writeList(out, "from", 4, from)
		}
		line("    allow:")
		writeList(out, "ports", 6, ports)
	}
	return out.n, out.flush()
}

// name is one that no other rule has: what it is about, as far as there is room.
func (d *draft) name(prefix netip.Prefix, ports []string, taken map[string]bool) string {
	name := prefix.String()
	if prefix.IsSingleIP() {
		name = prefix.Addr().String()
	}
	name += " tcp " + strings.Join(ports, " ")
	if d.suspect {
		name = "suspect " + d.to[0].String()
	}
	if len(d.from) > 0 {
		name += " from " + strings.Join(d.from, " ")
	}
	const room = maxText - len(" (1048576)")
	if r := []rune(name); len(r) > room {
		name = string(r[:room-1]) + "…"
	}
	unique := name
	for n := 2; taken[unique]; n++ {
		unique = fmt.Sprintf("%s (%d)", name, n)
	}
	taken[unique] = true
	return unique
}

// yamlText is a text in double quotes: what JSON has, YAML 1.2 reads (section 1.3).
func yamlText(s string) string {
	line, _ := json.Marshal(s) // a string always marshals
	return string(results.Harmless(line))
}

// writeList writes a key and a list in brackets, on as many lines as it takes.
func writeList(w io.Writer, key string, indent int, words []string) {
	head := strings.Repeat(" ", indent) + key + ": "
	if len(words) == 1 {
		fmt.Fprintf(w, "%s%s\n", head, words[0])
		return
	}
	head += "["
	at := len(head)
	fmt.Fprint(w, head)
	for i, word := range words {
		if i > 0 {
			fmt.Fprint(w, ",")
			if at += 2 + len(word); at > lineWidth {
				at = indent + 2 + len(word)
				fmt.Fprint(w, "\n"+strings.Repeat(" ", indent+2))
			} else {
				fmt.Fprint(w, " ")
			}
		} else {
			at += len(word)
		}
		fmt.Fprint(w, word)
	}
	fmt.Fprintln(w, "]")
}

// counted keeps the first error, and how much was written.
type counted struct {
	w   *bufio.Writer
	n   int64
	err error
}

func (c *counted) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	c.n, c.err = c.n+int64(n), err
	return n, err
}

func (c *counted) flush() error {
	if c.err == nil {
		c.err = c.w.Flush()
	}
	return c.err
}
