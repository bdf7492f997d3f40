package report

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The payload, as decode.js reads it: a varint (encoding/binary's unsigned one), so many bytes of JSON (pageMeta), and
// the columns that it lists, one behind the other. A table has these columns:
//
//	addr        varints; of IPv4 rows, which come first, the difference to the address of the row before; of
//	            IPv6 rows 1 where it is the next address of addr6, 0 where it is that of the row before
//	addr6       16 bytes for each IPv6 address
//	NAME        of a number or a text: a varint per row, 0 for the next value of NAME's values, k for the k-th
//	NAME.values varints, of a column of numbers
//	NAME.sizes  varints: the bytes of each text, of a column of texts
//	NAME.text   the texts, UTF-8
//
// Most columns repeat few values, so an index takes a byte, and gzip most of that. A column of which every row is new
// costs its values and nothing more.

// maxText is the most of a text that is kept, in bytes.
const maxText = 200

// MaxChanges is how many changes are in the report's tables, the newest; its figures and its chart have all.
const MaxChanges = 200_000

type packer struct {
	grain    time.Duration // of the times of endpoints
	tables   []*table
	networks []uint32 // the /24s that have IPv4 endpoints, ascending, each once
}

// table is a table of the report, by columns.
type table struct {
	name    string
	rows    int
	rows4   int
	addr    []byte
	addr6   []byte
	last    netip.Addr
	columns []*column
}

// column holds numbers, or texts, by their first appearance.
type column struct {
	name    string
	numbers map[uint64]uint64
	texts   map[string]uint64
	refs    []byte
	values  []byte
	sizes   []byte
	text    []byte
}

func numbers(name string) *column { return &column{name: name, numbers: map[uint64]uint64{}} }
func texts(name string) *column   { return &column{name: name, texts: map[string]uint64{}} }

func (c *column) number(v uint64) {
	if k, ok := c.numbers[v]; ok {
		c.refs = binary.AppendUvarint(c.refs, k)
		return
	}
	c.numbers[v] = uint64(len(c.numbers) + 1)
	c.refs = append(c.refs, 0)
	c.values = binary.AppendUvarint(c.values, v)
}

func (c *column) string(s string) {
	s = fit(s)
	if k, ok := c.texts[s]; ok {
		c.refs = binary.AppendUvarint(c.refs, k)
		return
	}
	c.texts[strings.Clone(s)] = uint64(len(c.texts) + 1)
	c.refs = append(c.refs, 0)
	c.sizes = binary.AppendUvarint(c.sizes, uint64(len(s)))
	c.text = append(c.text, s...)
}

// fit is a text as the report shows it: UTF-8 (strings.Map takes care of what is none), without control characters, cut.
func fit(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r < 0x20 || r >= 0x7f && r <= 0x9f || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069:
			return '\uFFFD' // control characters, and those that turn the direction of what stands around them
		}
		return r
	}, s))
	if len(s) <= maxText {
		return s
	}
	s = s[:maxText]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}

// minute is a time as the payload has it.
func minute(ns int64) uint64 {
	if ns <= 0 {
		return 0
	}
	return uint64(ns / int64(time.Minute))
}

// rounded is the time of an endpoint, as exact as it is to be.
func (p *packer) rounded(ns int64) int64 { return ns - ns%int64(p.grain) }

// since is how many minutes lie between, 0 where that is not known.
func since(late, early int64) uint64 {
	if early <= 0 || late < early {
		return 0
	}
	return minute(late) - minute(early)
}

// address begins a row. Addresses have to ascend.
func (t *table) address(a netip.Addr) error {
	if t.rows > 0 && a.Less(t.last) {
		return ErrOrder
	}
	switch {
	case a.Is4():
		delta := number4(a)
		if t.rows4 > 0 {
			delta -= number4(t.last)
		}
		t.addr = binary.AppendUvarint(t.addr, uint64(delta))
		t.rows4++
	case a.Is6() && !a.Is4In6() && a.Zone() == "":
		if a == t.last {
			t.addr = append(t.addr, 0)
			break
		}
		t.addr = append(t.addr, 1)
		b := a.As16()
		t.addr6 = append(t.addr6, b[:]...)
	default:
		return fmt.Errorf("report: address %v: not an unmapped address without a zone", a)
	}
	t.last = a
	t.rows++
	return nil
}

func number4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func (p *packer) add(name string, columns ...*column) *table {
	t := &table{name: name, columns: columns}
	p.tables = append(p.tables, t)
	return t
}

func (p *packer) endpoints(all iter.Seq2[Endpoint, error], s *summary) error {
	port, state, since0, after, seen := numbers("port"), texts("state"), numbers("since"), numbers("after"), numbers("seen")
	service, name, banner, notes, vantage := texts("service"), texts("name"), texts("banner"), texts("notes"), texts("vantage")
	t := p.add("endpoints", port, state, service, name, since0, after, seen, vantage, notes, banner)
	if all == nil {
		return nil
	}
	var last Endpoint
	for e, err := range all {
		if err != nil {
			return err
		}
		if t.rows > 0 && compare(&last, &e) >= 0 {
			return ErrOrder
		}
		if err := t.address(e.Addr); err != nil {
			return err
		}
		if int(e.State) >= len(stateNames) {
			return fmt.Errorf("report: %v port %d: state %d is none", e.Addr, e.Port, e.State)
		}
		if e.Addr.Is4() {
			if net := number4(e.Addr) >> 8; len(p.networks) == 0 || p.networks[len(p.networks)-1] != net {
				p.networks = append(p.networks, net)
			}
		}
		port.number(uint64(e.Port))
		state.string(e.State.String())
		begun := p.rounded(e.Since)
		since0.number(minute(begun))
		after.number(since(begun, p.rounded(e.After)))
		seen.number(since(p.rounded(e.Seen), begun))
		for _, c := range []struct {
			*column
			text string
		}{{service, e.Service}, {name, e.Name}, {banner, e.Banner}, {notes, e.Notes}, {vantage, e.Vantage}} {
			c.string(c.text)
		}
		s.endpoint(&e, t.rows == 1 || e.Addr != last.Addr)
		last = e
	}
	return nil
}

func compare(a, b *Endpoint) int {
	return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Vantage, b.Vantage))
}

func (p *packer) changes(all iter.Seq2[Change, error], s *summary) error {
	port, from, to := numbers("port"), numbers("from"), numbers("to")
	kind, before, after, service, vantage, notes := texts("kind"), texts("before"), texts("after"), texts("service"), texts("vantage"), texts("notes")
	t := p.add("changes", port, kind, before, after, from, to, service, vantage, notes)
	kept, err := collect(all, MaxChanges, s.change)
	if err != nil {
		return err
	}
	slices.SortStableFunc(kept, func(a, b Change) int { return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port)) })
	for i := range kept {
		c := &kept[i]
		if err := t.address(c.Addr); err != nil {
			return err
		}
		port.number(uint64(c.Port))
		from.number(since(c.NotAfter, c.NotBefore))
		to.number(minute(c.NotAfter))
		kind.string(c.Kind)
		before.string(c.Before)
		after.string(c.After)
		service.string(c.Service)
		vantage.string(c.Vantage)
		notes.string(c.Notes)
	}
	return nil
}

func (p *packer) violations(all iter.Seq2[Violation, error], s *summary) error {
	port, first := numbers("port"), numbers("first")
	status, rule, severity, want, owner, vantage, notes := texts("status"), texts("rule"), texts("severity"), texts("want"), texts("owner"), texts("vantage"), texts("notes")
	t := p.add("violations", port, status, rule, severity, want, owner, first, vantage, notes)
	kept, err := collect(all, 1<<62, s.violation)
	if err != nil {
		return err
	}
	slices.SortStableFunc(kept, func(a, b Violation) int { return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port)) })
	for i := range kept {
		v := &kept[i]
		if err := t.address(v.Addr); err != nil {
			return err
		}
		port.number(uint64(v.Port))
		first.number(minute(v.First))
		status.string(v.Status)
		rule.string(v.Rule)
		severity.string(v.Severity)
		want.string(v.Want)
		owner.string(v.Owner)
		vantage.string(v.Vantage)
		notes.string(v.Notes)
	}
	return nil
}

// collect counts all, and keeps the first ones.
func collect[T any](all iter.Seq2[T, error], most int, count func(*T)) (kept []T, err error) {
	if all == nil {
		return nil, nil
	}
	for v, err := range all {
		if err != nil {
			return nil, err
		}
		count(&v)
		if len(kept) < most {
			kept = append(kept, v)
		}
	}
	return kept, nil
}

// tableMeta describes a table in the payload.
type tableMeta struct {
	Name    string       `json:"name"`
	Rows    int          `json:"rows"`
	Rows4   int          `json:"rows4"`
	Addr    int          `json:"addr"` // bytes, as all that follow
	Addr6   int          `json:"addr6"`
	Columns []columnMeta `json:"columns"`
}

// columnMeta describes a column: parts are the bytes of refs and values, or of refs, sizes and text.
type columnMeta struct {
	Name  string `json:"name"`
	Count int    `json:"count"` // different values
	Parts []int  `json:"parts"`
}

func (p *packer) meta() (all []tableMeta) {
	for _, t := range p.tables {
		m := tableMeta{Name: t.name, Rows: t.rows, Rows4: t.rows4, Addr: len(t.addr), Addr6: len(t.addr6)}
		for _, c := range t.columns {
			parts := []int{len(c.refs), len(c.values)}
			if c.texts != nil {
				parts = []int{len(c.refs), len(c.sizes), len(c.text)}
			}
			m.Columns = append(m.Columns, columnMeta{c.name, len(c.numbers) + len(c.texts), parts})
		}
		all = append(all, m)
	}
	return all
}

// write writes the payload, uncompressed.
func (p *packer) write(w io.Writer, meta any) error {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(meta); err != nil {
		return err
	}
	pieces := [][]byte{binary.AppendUvarint(nil, uint64(b.Len())), b.Bytes()}
	for _, t := range p.tables {
		pieces = append(pieces, t.addr, t.addr6)
		for _, c := range t.columns {
			pieces = append(pieces, c.refs, c.values, c.sizes, c.text)
		}
	}
	for _, piece := range pieces {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}
