package results

import (
	"slices"
	"strconv"
)

// Hostnames are the names that an address was asked for by, where there are several. A record has as many as it has
// room for. Nil stands for no more than the record's Hostname; nobody writes to one that a record has.
type Hostnames struct {
	List    []string // the record's Hostname first
	LeftOut int      // how many more there are
}

// roomHostnames is how many bytes the list may take as JSON, so that the line stays under 4 KB.
const roomHostnames = 700

// SetHostnames names the record: by the names that its port was asked for by, and behind them by all the others of the
// address. Neither list has a name twice, and all holds what asked does.
func (p *Port) SetHostnames(asked, all []string) {
	if len(all) == 0 {
		return
	}
	p.Hostname = all[0]
	if len(asked) > 0 {
		p.Hostname = asked[0]
	}
	if len(all) > 1 {
		p.Hostnames = chooseNames(asked, all)
	}
}

func chooseNames(asked, all []string) *Hostnames {
	if len(asked) == 0 {
		return (&Hostnames{List: all}).Within(roomHostnames)
	}
	list := (&Hostnames{asked, len(all) - len(asked)}).Within(roomHostnames)
	if len(list.List) < len(asked) {
		return list
	}
	names := slices.Clone(asked)
	for _, name := range all[:min(len(all), roomHostnames)] { // more names have no room
		if !slices.Contains(asked, name) {
			names = append(names, name)
		}
	}
	return (&Hostnames{names, len(all) - len(names)}).Within(roomHostnames)
}

// Len is how many names are in the list.
func (h *Hostnames) Len() int {
	if h == nil {
		return 0
	}
	return len(h.List)
}

// First is the list cut down to n names.
func (h *Hostnames) First(n int) *Hostnames {
	if n >= h.Len() {
		return h
	}
	return &Hostnames{h.List[:n:n], h.LeftOut + len(h.List) - n}
}

// Within is the list cut down to what takes so many bytes as JSON.
func (h *Hostnames) Within(room int) *Hostnames {
	for i := range h.Len() {
		if room -= len(h.List[i]) + len(`"",`); room < 0 {
			return h.First(i)
		}
	}
	return h
}

// AppendNames appends the list as a JSON array: of one, where there is no other than the record's Hostname.
func (h *Hostnames) AppendNames(b []byte, hostname string) []byte {
	if h.Len() == 0 {
		return append(AppendString(append(b, '['), hostname), ']')
	}
	for i, name := range h.List {
		b = append(b, "[,"[min(i, 1)])
		b = AppendString(b, name)
	}
	return append(b, ']')
}

// AppendFields appends the list and the number as fields behind another one of a JSON object; nothing where there is
// no second name.
func (h *Hostnames) AppendFields(b []byte) []byte {
	if h.Len() > 0 {
		b = h.AppendNames(append(b, `,"hostnames":`...), "")
	}
	return h.AppendLeftOut(b)
}

// AppendLeftOut appends the number as a field behind another one, if it is not 0.
func (h *Hostnames) AppendLeftOut(b []byte) []byte {
	if h == nil || h.LeftOut == 0 {
		return b
	}
	b = append(b, `,"hostnames_left_out":`...)
	return strconv.AppendInt(b, int64(h.LeftOut), 10)
}
