package listeners

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Of include/uapi/linux/inet_diag.h and include/net/tcp_states.h (Linux 6.18).
const (
	tcpListen     = 1 << 10 // TCPF_LISTEN
	tcpEvery      = 1<<13 - 1
	tcpBound      = 1 << 13 // TCPF_BOUND_INACTIVE, Linux 6.8: bound, and neither connected nor listening
	stateListen   = 10
	sizeofReq     = 56     // struct inet_diag_req_v2
	sizeofMsg     = 72     // struct inet_diag_msg
	attrSKV6Only  = 11     // INET_DIAG_SKV6ONLY
	attrCGroupID  = 21     // INET_DIAG_CGROUP_ID
	sockDiagByFam = 20     // SOCK_DIAG_BY_FAMILY
	nlaTypeMask   = 0x3fff // NLA_TYPE_MASK, include/uapi/linux/netlink.h
)

// socket is what sock_diag says of one.
type socket struct {
	addr    netip.Addr
	port    uint16
	state   uint8
	iface   uint32 // index; 0: any
	queued  uint32
	backlog uint32
	uid     uint32
	inode   uint32
	v6only  bool
	cgroup  uint64
}

// diagRequest is a struct inet_diag_req_v2 that asks for TCP sockets in some states, of every address.
type diagRequest struct {
	family uint8
	states uint32
}

// Len implements nl.NetlinkRequestData.
func (r diagRequest) Len() int { return sizeofReq }

// Serialize implements nl.NetlinkRequestData. No extension is asked for: the control group and v6only come without
// (inet_diag_msg_attrs_fill in net/ipv4/inet_diag.c, Linux 6.18), and idiag_ext has no bits for them.
func (r diagRequest) Serialize() []byte {
	b := make([]byte, sizeofReq)
	b[0], b[1] = r.family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], r.states)
	return b
}

// dumps is how often a dump that was interrupted is made again.
const dumps = 10

// dump lists the TCP sockets in some states, of both families, of the calling thread's network namespace. One that the kernel says
// is not consistent (NLM_F_DUMP_INTR) is made again.
func dump(states uint32) (all []socket, err error) {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for try := 1; ; try++ {
			var some []socket
			some, err = dumpFamily(family, states)
			if errors.Is(err, nl.ErrDumpInterrupted) && try < dumps {
				continue
			}
			if errors.Is(err, unix.ENOENT) && family == unix.AF_INET6 { // a kernel without IPv6
				err = nil
			}
			if err != nil {
				return nil, fmt.Errorf("list the TCP sockets by sock_diag: %w", err)
			}
			all = append(all, some...)
			break
		}
	}
	return all, nil
}

func dumpFamily(family uint8, states uint32) (all []socket, err error) {
	req := nl.NewNetlinkRequest(sockDiagByFam, unix.NLM_F_DUMP)
	req.AddData(diagRequest{family, states})
	var bad error
	err = req.ExecuteIter(unix.NETLINK_INET_DIAG, 0, func(msg []byte) bool {
		var s socket
		if s, bad = parseSocket(msg); bad != nil {
			return false
		}
		all = append(all, s)
		return true
	})
	return all, errors.Join(err, bad)
}

// parseSocket reads a struct inet_diag_msg and the attributes behind it.
func parseSocket(b []byte) (s socket, err error) {
	if len(b) < sizeofMsg {
		return s, fmt.Errorf("a socket of %d bytes, and struct inet_diag_msg has %d", len(b), sizeofMsg)
	}
	s.state = b[1]
	s.port = binary.BigEndian.Uint16(b[4:])
	if b[0] == unix.AF_INET6 {
		s.addr = netip.AddrFrom16([16]byte(b[8:24])) // mapped ones stay what they are: ss shows them so, and bind(2) has been told so
	} else {
		s.addr = netip.AddrFrom4([4]byte(b[8:12]))
	}
	native := binary.NativeEndian
	s.iface = native.Uint32(b[40:])
	s.queued, s.backlog = native.Uint32(b[56:]), native.Uint32(b[60:])
	s.uid, s.inode = native.Uint32(b[64:]), native.Uint32(b[68:])
	for b = b[sizeofMsg:]; len(b) > 0; {
		var kind uint16
		var v []byte
		if kind, v, b, err = attribute(b); err != nil {
			return s, err
		}
		switch {
		case kind == attrSKV6Only && len(v) >= 1:
			s.v6only = v[0] != 0
		case kind == attrCGroupID && len(v) >= 8:
			s.cgroup = native.Uint64(v)
		}
	}
	return s, nil
}

// attribute reads a struct nlattr (include/uapi/linux/netlink.h), and what is behind it and its padding.
func attribute(b []byte) (kind uint16, value, rest []byte, err error) {
	if len(b) < unix.SizeofNlAttr {
		return 0, nil, nil, fmt.Errorf("an attribute of which %d bytes are there", len(b))
	}
	n := int(binary.NativeEndian.Uint16(b))
	if n < unix.SizeofNlAttr || n > len(b) {
		return 0, nil, nil, fmt.Errorf("an attribute of %d bytes where %d are left", n, len(b))
	}
	kind = binary.NativeEndian.Uint16(b[2:]) & nlaTypeMask
	return kind, b[unix.SizeofNlAttr:n], b[min((n+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1), len(b)):], nil
}
