package listeners

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// destinations are the ports that rules of nftables in the calling thread's network namespace lead elsewhere, those of iptables over nftables
// (iptables-nft) among them. Rules that some condition of another kind holds for some packets only count as if they held for all.
func destinations() ([]Published, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("read the rules of nftables: %w", err)
	}
	tables, err := conn.ListTables()
	if err != nil && !unsupported(err) {
		return nil, fmt.Errorf("read the rules of nftables: %w", err)
	}
	var all []Published
	for _, t := range tables {
		r, err := readTable(conn, t)
		if errors.Is(err, unix.ENOENT) { // it was deleted meanwhile
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the table %s of nftables: %w", t.Name, err)
		}
		all = append(all, r.published()...)
	}
	return all, nil
}

// unsupported tells that the kernel has no nftables: nfnetlink_rcv_msg (net/netfilter/nfnetlink.c) says EINVAL to a subsystem that
// it does not know.
func unsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}

// ruleset is what a table has in it.
type ruleset struct {
	chains []*nftables.Chain
	rules  map[string][]*nftables.Rule
	sets   map[string][]element
}

// readTable reads the chains that matter, and sets and maps, if any chain of the table can change destinations at all.
func readTable(conn *nftables.Conn, t *nftables.Table) (*ruleset, error) {
	r := &ruleset{rules: map[string][]*nftables.Rule{}, sets: map[string][]element{}}
	families := []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6, nftables.TableFamilyINet}
	if !slices.Contains(families, t.Family) {
		return r, nil
	}
	chains, err := conn.ListChainsOfTableFamily(t.Family)
	if err != nil {
		return nil, err
	}
	for _, c := range chains {
		if c.Table.Name == t.Name {
			r.chains = append(r.chains, c)
		}
	}
	if !slices.ContainsFunc(r.chains, before) {
		return r, nil
	}
	for _, c := range r.chains {
		if r.rules[c.Name], err = conn.GetRules(t, c); err != nil {
			return nil, err
		}
	}
	sets, err := conn.GetSets(t)
	if err != nil {
		return nil, err
	}
	for _, s := range sets {
		elements, err := conn.GetSetElements(s)
		if err != nil {
			return nil, err
		}
		r.sets[s.Name] = elementsOf(s, elements)
	}
	return r, nil
}

// before tells a chain in which packets that come in get another destination.
func before(c *nftables.Chain) bool {
	return c.Type == nftables.ChainTypeNAT && c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookPrerouting
}

// published walks from the chains that see what comes in.
func (r *ruleset) published() []Published {
	w := &walk{ruleset: r, left: maxSteps}
	for _, c := range r.chains {
		if before(c) {
			w.chain(c.Name, anything(), 0)
		}
	}
	return w.found
}

// walk follows rules, and jumps between chains, with what is known of the packets that get there.
type walk struct {
	*ruleset
	found []Published
	left  int
}

const (
	maxSteps = 1 << 20 // rules and elements that are looked at, in all
	maxJumps = 16      // NFT_JUMP_STACK_SIZE, include/net/netfilter/nf_tables.h, Linux 6.18
)

func (w *walk) chain(name string, in traffic, depth int) {
	if depth > maxJumps {
		return
	}
	for _, rule := range w.rules[name] {
		w.rule(rule, in, depth)
	}
}

// rule follows one rule. Every way through it is a branch: an element of a set is one.
func (w *walk) rule(rule *nftables.Rule, in traffic, depth int) {
	ways := []branch{{traffic: in}}
	for _, e := range rule.Exprs {
		if w.left -= len(ways); w.left < 0 || len(ways) == 0 {
			return
		}
		switch e := e.(type) {
		case *expr.Lookup:
			ways = w.lookup(ways, e)
		case *expr.Verdict:
			w.jump(ways, e.Kind, e.Chain, depth)
		default:
			for i := 0; i < len(ways); i++ {
				if !ways[i].step(e, &w.found) {
					ways = slices.Delete(ways, i, i+1)
					i--
				}
			}
		}
		for i := range ways {
			if v := ways[i].verdict; v != nil {
				w.jump(ways[i:i+1], v.Kind, v.Chain, depth)
				ways[i].verdict = nil
			}
		}
	}
}

func (w *walk) jump(ways []branch, kind expr.VerdictKind, chain string, depth int) {
	if kind != expr.VerdictJump && kind != expr.VerdictGoto {
		return
	}
	for i := range ways {
		w.chain(chain, ways[i].traffic, depth+1)
	}
}

// lookup makes a branch for each element of the set that the traffic may match.
func (w *walk) lookup(ways []branch, e *expr.Lookup) (next []branch) {
	elements, known := w.sets[e.SetName]
	for i := range ways {
		fields := ways[i].fields(e.SourceRegister)
		if e.Invert || !known || len(fields) == 0 && !e.IsDestRegSet {
			next = append(next, ways[i])
			continue
		}
		for _, el := range elements {
			if w.left--; w.left < 0 {
				return nil
			}
			b := ways[i].copied()
			if !b.narrow(fields, el) {
				continue
			}
			if e.IsDestRegSet && e.DestRegister == unix.NFT_REG_VERDICT {
				b.verdict = verdictOf(el.value)
			} else if e.IsDestRegSet {
				b.set(e.DestRegister, register{value: el.value})
			}
			next = append(next, b)
		}
	}
	return next
}
