package responder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/testnet"
)

// Responder is an attached program.
type Responder struct {
	network *testnet.Network
	objects *objects
	links   []link.Link

	probesBefore, repliesBefore uint64 // dropped by the link before
}

// objects are what a responder has in the kernel.
type objects struct {
	respond, duplicate *ebpf.Program // duplicate is nil where it has nothing to do
	counts             *ebpf.Map
}

func (o *objects) Close() error {
	return errors.Join(o.respond.Close(), o.duplicate.Close(), o.counts.Close())
}

// load gives the programs their parameters and hands them to the kernel.
func load(c Config) (*objects, error) {
	spec, err := parametrize(c)
	if err != nil {
		return nil, err
	}
	var x struct {
		Respond *ebpf.Program `ebpf:"respond"`
		Counts  *ebpf.Map     `ebpf:"counts"`
	}
	if err := spec.LoadAndAssign(&x, nil); err != nil {
		return nil, explain("load XDP program", err)
	}
	o := &objects{respond: x.Respond, counts: x.Counts}
	if c.Duplicates > 0 {
		var y struct {
			Duplicate *ebpf.Program `ebpf:"duplicate"`
		}
		if err := spec.LoadAndAssign(&y, nil); err != nil {
			o.Close()
			return nil, explain("load tc program", err)
		}
		o.duplicate = y.Duplicate
	}
	return o, nil
}

func parametrize(c Config) (*ebpf.CollectionSpec, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	spec, err := loadSimnet()
	if err != nil {
		return nil, err
	}
	t := c.Truth()
	parameters := map[string]any{
		"key_a": t.keyA, "key_b": t.keyB,
		"open_below": t.open, "answered_below": t.answered,
		"alive_below": t.alive, "answer_all_below": t.answersOnEach,
		"lost_in_below": threshold(c.LossIn), "lost_out_below": threshold(c.LossOut),
		"twice_below": threshold(c.Duplicates),
	}
	if c.ResetsPerHost > 0 {
		interval := uint64(time.Second) / uint64(c.ResetsPerHost)
		parameters["reset_interval"] = interval
		parameters["reset_burst"] = interval * uint64(c.ResetsPerHost)
	} else {
		spec.Maps["buckets"].MaxEntries = 1 // some 20 MB otherwise
	}
	if c.LocalNet.IsValid() {
		a := c.LocalNet.Masked().Addr().As4()
		mask := binary.BigEndian.AppendUint32(nil, uint32(uint64(1<<32-1)<<(32-c.LocalNet.Bits())))
		parameters["has_local"] = uint32(1)
		parameters["local_net"] = binary.NativeEndian.Uint32(a[:])
		parameters["local_mask"] = binary.NativeEndian.Uint32(mask)
	}
	port := c.BeaconPort
	if port == 0 {
		port = testnet.BeaconPort
	}
	parameters["beacon_port"] = binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, port))
	for name, value := range parameters {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("set parameter %s: %w", name, err)
		}
	}
	return spec, nil
}

// explain makes the kernel's refusal a PrivilegeError. What the verifier finds is none, although it is
// reported as EACCES.
func explain(operation string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", operation, err)
	if v := (*ebpf.VerifierError)(nil); errors.Is(err, fs.ErrPermission) && !errors.As(err, &v) {
		return &PrivilegeError{err}
	}
	return err
}

// Attach starts a simulated internet behind a network's link: native XDP on n.PeerLink. It answers
// what reaches the link, whatever the network's own prefix is. Close ends it, as does the end of the
// process.
func Attach(n *testnet.Network, c Config) (*Responder, error) {
	o, err := load(c)
	if err != nil {
		return nil, err
	}
	r := &Responder{network: n, objects: o}
	if r.probesBefore, r.repliesBefore, err = dropped(n); err != nil {
		r.Close()
		return nil, err
	}
	if err := n.Do(r.attach); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// attach runs in the target's namespace.
func (r *Responder) attach() error {
	peer, err := netlink.LinkByName(r.network.PeerLink)
	if err != nil {
		return fmt.Errorf("find %s: %w", r.network.PeerLink, err)
	}
	if r.objects.duplicate != nil {
		l, err := link.AttachTCX(link.TCXOptions{
			Interface: peer.Attrs().Index, Program: r.objects.duplicate, Attach: ebpf.AttachTCXIngress,
		})
		if err != nil {
			return explain(fmt.Sprintf("attach tc program to %s", r.network.PeerLink), err)
		}
		r.links = append(r.links, l)
	}
	l, err := attachXDP(peer, r.objects.respond)
	if err != nil {
		return err
	}
	r.links = append(r.links, l)
	return nil
}

func attachXDP(to netlink.Link, p *ebpf.Program) (link.Link, error) {
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: to.Attrs().Index, Flags: link.XDPDriverMode})
	return l, explain(fmt.Sprintf("attach XDP program to %s", to.Attrs().Name), err)
}

// Close detaches the program.
func (r *Responder) Close() error {
	var errs []error
	for _, l := range r.links {
		errs = append(errs, l.Close())
	}
	r.links = nil
	return errors.Join(append(errs, r.objects.Close())...)
}

// SYNs is the counter of that name alone, without a look at the link: for those who read it often.
func (r *Responder) SYNs() (uint64, error) {
	c, err := r.objects.counters()
	return c.SYNs, err
}

// Counters adds up what the CPUs have counted.
func (r *Responder) Counters() (Counters, error) {
	c, err := r.objects.counters()
	if err != nil {
		return c, err
	}
	probes, replies, err := dropped(r.network)
	c.ProbesDropped, c.RepliesDropped = probes-r.probesBefore, replies-r.repliesBefore
	return c, err
}

func (o *objects) counters() (c Counters, err error) {
	var perCPU []simnetCounters
	if err := o.counts.Lookup(uint32(0), &perCPU); err != nil {
		return c, fmt.Errorf("read counters: %w", err)
	}
	for _, p := range perCPU {
		c.SYNs += p.Syns
		c.SYNACKs += p.SynAcks
		c.RSTs += p.Resets
		c.Silent += p.Silent
		c.LostIn += p.LostIn
		c.LostOut += p.LostOut
		c.Duplicates += p.Duplicates
		c.RateLimited += p.Limited
		c.ResetsReceived += p.ResetsReceived
		c.Others += p.Others
	}
	return c, nil
}

// dropped reads the counts of frames that either end of the link could not send. In veth's statistics
// (drivers/net/veth.c, veth_get_stats64) these are transmit drops, of XDP_TX too.
func dropped(n *testnet.Network) (probes, replies uint64, err error) {
	read := func(name string) (uint64, error) {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return 0, fmt.Errorf("read statistics of %s: %w", name, err)
		}
		return l.Attrs().Statistics.TxDropped, nil
	}
	if probes, err = read(n.Link); err != nil {
		return 0, 0, err
	}
	err = n.Do(func() (err error) { replies, err = read(n.PeerLink); return err })
	return probes, replies, err
}

// AttachPass puts a program on the scanner's end of the link that lets everything through, so that
// replies arrive there (see the package's comment) although the scanner brings no XDP program. A
// scanner that does finds the interface taken until the result is closed.
func AttachPass(n *testnet.Network) (io.Closer, error) {
	spec, err := loadSimnet()
	if err != nil {
		return nil, err
	}
	var o struct {
		Pass *ebpf.Program `ebpf:"pass"`
	}
	if err := spec.LoadAndAssign(&o, nil); err != nil {
		return nil, explain("load XDP program", err)
	}
	defer o.Pass.Close() // the link holds it
	own, err := netlink.LinkByName(n.Link)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", n.Link, err)
	}
	l, err := attachXDP(own, o.Pass)
	if err != nil {
		return nil, err
	}
	return l, nil
}
