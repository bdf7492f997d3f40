package beacon

// Echo is how an answer compares with those before.
type Echo uint8

const (
	Unheard   Echo = iota // it is not counted
	Closed                // from a port that has not been open
	Kept                  // from an open port, by a SYN-ACK
	Turned                // from one that has been open, by a RST,
	TurnedNow             // for the first time since it was open
)

func (m *member) echo(open bool) Echo {
	was := m.turns
	switch m.turns = m.open && !open; {
	case !m.open:
		return Closed
	case open:
		return Kept
	case was:
		return Turned
	}
	return TurnedNow
}
