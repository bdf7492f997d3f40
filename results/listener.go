package results

import (
	"net/netip"
	"strconv"
)

// Listener is a TCP socket that listens on a host, or several of one owner on the same address and port, as the host itself sees
// them. Zero fields are left out of the record, but for the port and the user.
type Listener struct {
	Time      int64      // when it was seen, nanoseconds since the Unix epoch
	Host      string     // the host's name
	Addr      netip.Addr // without a zone; unspecified: every address of the network namespace
	Port      uint16
	Iface     string // the interface that it is bound to
	V6Only    bool   // of an IPv6 socket on every address: IPv4 does not reach it
	NetNS     string // the inode of the network namespace, in decimal; "" on systems without them
	NetNSName string // its name, where it has one
	Unit      string // of systemd: "postgresql.service"
	Container string // ID or name of the container
	CGroup    string // path of the control group
	UID       int64  // of who made the socket; -1: not known
	Processes []Process
	Sockets   int    // how many they are
	Backlog   uint32 // connections that may wait to be accepted, of one socket
	Queued    uint32 // those that wait now, of all
	Orphan    bool   // no process of the host has it
	Verdict   Verdict
	Published []Published // by what else it is reached
}

// Process is one that holds a socket.
type Process struct {
	PID     int
	Comm    string // as it calls itself; it may be any text
	Exe     string // the path of its program; "" where that is not known
	Deleted bool   // the file of its program has been deleted or replaced since it was started
}

// Published is what leads connections to a listener besides its own address and port.
type Published struct {
	Addr        netip.Prefix // not valid: every address of the host
	First, Last uint16       // ports; 0 to 65535 are all of them
	To          netip.Addr   // not valid: this host itself
	ToPort      uint16       // 0: the port that it came in by
	By          string       // "dnat", "redirect", "ipvs", "docker-proxy"
}

// Verdict is what the network says of a listener.
type Verdict string

// Verdicts. "" is none: nobody has asked.
const (
	VerdictExposed    Verdict = "exposed"    // the network saw the port open
	VerdictFirewalled Verdict = "firewalled" // it was asked and did not answer, or an error came: something in between, or the path from there, forbids it
	VerdictRefused    Verdict = "refused"    // a reset came: a firewall answers so, or it has begun to listen since
	VerdictLocal      Verdict = "local"      // it is bound to a loopback address, and no network gets there
	VerdictNotAsked   Verdict = "not-asked"  // the network was not asked for any of its addresses
	VerdictUnknown    Verdict = "unknown"    // an address was asked, but nothing says that this port was
)

// The rooms of a Listener, as those in fit.go: together under 3 KB.
const (
	roomHost      = 100
	roomUnit      = 256 // the longest that systemd takes
	roomContainer = 128
	roomCGroup    = 400
	roomExe       = 400
	roomComm      = 96 // 15 bytes, each escaped
	roomProcesses = 800
	roomPublished = 600
)

// AppendJSON appends the record as one JSON object of under 4 KB, without a line end: texts that are too long end in "…", and of long
// lists the last are only counted.
func (l *Listener) AppendJSON(b []byte) []byte {
	b = appendHead(b, "listener", l.Time, l.EventID(), l.Host)
	b = append(b, `,"addr":"`...)
	b = append(l.Addr.WithZone("").AppendTo(b), '"')
	b = appendUint(b, "port", uint64(l.Port))
	b = appendText(b, "iface", l.Iface, roomIface)
	if l.V6Only {
		b = append(b, `,"v6only":true`...)
	}
	b = appendText(b, "netns", l.NetNS, roomName)
	b = appendText(b, "netns_name", l.NetNSName, roomUnit)
	b = appendText(b, "unit", l.Unit, roomUnit)
	b = appendText(b, "container", l.Container, roomContainer)
	b = appendText(b, "cgroup", l.CGroup, roomCGroup)
	if l.UID >= 0 {
		b = appendUint(b, "uid", uint64(l.UID))
	}
	b = l.appendProcesses(b)
	if l.Orphan {
		b = append(b, `,"orphan":true`...)
	}
	if l.Sockets > 1 {
		b = appendUint(b, "sockets", uint64(l.Sockets))
	}
	if l.Backlog > 0 {
		b = appendUint(b, "backlog", uint64(l.Backlog))
	}
	if l.Queued > 0 {
		b = appendUint(b, "queued", uint64(l.Queued))
	}
	b = appendText(b, "verdict", string(l.Verdict), roomName)
	return append(l.appendPublished(b), '}')
}

// appendHead appends what the records of a host begin with.
func appendHead(b []byte, kind string, at int64, id EventID, host string) []byte {
	b = append(b, `{"v":1,"type":"`...)
	b = append(b, kind...)
	b = append(b, `","ts":"`...)
	b = AppendTime(b, at)
	b = append(b, `","event_id":"`...)
	b = id.AppendTo(b)
	b = append(b, '"')
	return appendText(b, "host", host, roomHost)
}

// appendProcesses appends the first process as fields of its own, and all of them where there are several.
func (l *Listener) appendProcesses(b []byte) []byte {
	if len(l.Processes) == 0 {
		return b
	}
	first := &l.Processes[0]
	b = appendUint(b, "pid", uint64(first.PID))
	b = appendText(b, "comm", first.Comm, roomComm)
	b = appendText(b, "exe", first.Exe, roomExe)
	if first.Deleted {
		b = append(b, `,"exe_deleted":true`...)
	}
	if len(l.Processes) == 1 {
		return b
	}
	return appendSome(b, "processes", len(l.Processes), roomProcesses, func(b []byte, i int) []byte {
		p := &l.Processes[i]
		b = append(b, `{"pid":`...)
		b = strconv.AppendInt(b, int64(p.PID), 10)
		b = appendText(b, "comm", p.Comm, roomComm)
		b = appendText(b, "exe", p.Exe, roomExe)
		if p.Deleted {
			b = append(b, `,"exe_deleted":true`...)
		}
		return append(b, '}')
	})
}

func (l *Listener) appendPublished(b []byte) []byte {
	if len(l.Published) == 0 {
		return append(b, `,"published":[]`...)
	}
	return appendSome(b, "published", len(l.Published), roomPublished, func(b []byte, i int) []byte {
		p := &l.Published[i]
		b = append(b, `{"as":"`...)
		b = append(b, p.As()...) // of digits and punctuation
		if to := p.Target(); to != "" {
			b = append(append(b, `","to":"`...), to...)
		}
		return append(append(append(b, `","by":"`...), cut(p.By, roomName)...), `"}`...)
	})
}

// appendSome appends a list of objects as far as there is room, and how many there are more as NAME_more.
func appendSome(b []byte, name string, n, room int, one func(b []byte, i int) []byte) []byte {
	b = append(append(append(b, `,"`...), name...), `":[`...)
	begin, i := len(b), 0
	for ; i < n; i++ {
		before := len(b)
		if i > 0 {
			b = append(b, ',')
		}
		if b = one(b, i); len(b)-begin > room {
			b = b[:before]
			break
		}
	}
	if b = append(b, ']'); i < n {
		b = appendUint(b, name+"_more", uint64(n-i))
	}
	return b
}

// As is by which endpoints: "10.0.0.1:8080", "*:8000-8010", "[2001:db8::/64]:80", "*:*".
func (p *Published) As() string {
	host := "*"
	switch {
	case p.Addr.IsValid() && p.Addr.IsSingleIP():
		host = p.Addr.Addr().String()
	case p.Addr.IsValid():
		host = p.Addr.String()
	}
	if p.Addr.Addr().Is6() {
		host = "[" + host + "]"
	}
	switch {
	case p.First == 0 && p.Last == 65535:
		return host + ":*"
	case p.First != p.Last:
		return host + ":" + strconv.Itoa(int(p.First)) + "-" + strconv.Itoa(int(p.Last))
	}
	return host + ":" + strconv.Itoa(int(p.First))
}

// Target is where the connections go: "172.17.0.2:80", "172.17.0.2" where the port stays as it was, ":8080" on this host itself.
func (p *Published) Target() string {
	switch {
	case !p.To.IsValid() && p.ToPort == 0:
		return ""
	case !p.To.IsValid():
		return ":" + strconv.Itoa(int(p.ToPort))
	case p.ToPort == 0:
		return p.To.String()
	}
	return netip.AddrPortFrom(p.To, p.ToPort).String()
}

// EventID of the listener: a process that takes the place of another one of the same unit, or of the same program where there is no
// unit, is no other listener.
func (l *Listener) EventID() EventID {
	owner := l.Unit
	if owner == "" && len(l.Processes) > 0 {
		owner = l.Processes[0].Exe
	}
	m := appendWord(nil, cut(l.Host, roomHost))[1:]
	m = append(m, "|listener"...)
	m = appendWord(m, l.netns())
	m = appendWord(m, l.Addr.WithZone("").String())
	m = appendWord(m, cut(l.Iface, roomIface))
	m = append(m, '|')
	m = strconv.AppendUint(m, uint64(l.Port), 10)
	return newEventID(appendWord(m, cut(owner, roomExe)))
}

// netns is how its network namespace is told from others: the name where it has one, for inodes are given anew at each boot.
func (l *Listener) netns() string {
	if l.NetNSName != "" {
		return cut(l.NetNSName, roomUnit)
	}
	return cut(l.NetNS, roomName)
}
