package route

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// ChangeKind says what has changed.
type ChangeKind string

// What a Watcher reports. Of one message of the kernel as many are reported as it shows, in this order.
const (
	// Resync: the kernel had more to say than was read in time, and the rest is lost. Look anew at all that
	// matters (Check); what changes from now on is reported again.
	Resync ChangeKind = "resync"
	// LinkNew: an interface of this name has come, or has got this name: with a new index it is another one.
	LinkNew ChangeKind = "link-new"
	// LinkGone: its sockets are dead for good.
	LinkGone ChangeKind = "link-gone"
	// LinkDown: brought down. Its routes are gone with it. Carrier is false.
	LinkDown ChangeKind = "link-down"
	// LinkUp: brought up. Carrier may follow.
	LinkUp ChangeKind = "link-up"
	// CarrierLost: up, but what is sent is thrown away. The kernel may tell up to a second later, and of a link that has its carrier
	// again, only that it has: CarrierBack follows at once then.
	CarrierLost ChangeKind = "carrier-lost"
	// CarrierBack: what is sent gets out again.
	CarrierBack ChangeKind = "carrier-back"
	// LinkAddress: the interface itself has another MAC address.
	LinkAddress ChangeKind = "link-address"
	// AddressAdded and AddressRemoved: an IPv4 or IPv6 address of this host.
	AddressAdded   ChangeKind = "address-added"
	AddressRemoved ChangeKind = "address-removed"
	// RouteChanged: what is in Prefix may be routed otherwise. See Plan.Within and Check. A change of a policy
	// rule or a next hop object may concern everything, and its Prefix is that of all addresses.
	RouteChanged ChangeKind = "route-changed"
	// NeighbourChanged: the kernel has learned another MAC address for a neighbour that it had one of.
	NeighbourChanged ChangeKind = "neighbour-changed"
	// NeighbourFailed: a neighbour does not answer the kernel.
	NeighbourFailed ChangeKind = "neighbour-failed"
)

// Change is a piece of news about this host's way out.
type Change struct {
	Kind ChangeKind
	Time time.Time // when it was read
	Link int       // index of the interface; 0: none in particular
	Name string    // of that interface, where known
	// Up and Carrier are the interface's after the change, of Link and Carrier kinds. With Carrier it sends.
	Up, Carrier bool
	Addr        netip.Addr       // the address, or the neighbour's
	Prefix      netip.Prefix     // of RouteChanged
	MAC         net.HardwareAddr // the interface's own, or the neighbour's; nil where it has none
	TxDropped   uint64           // packets that the interface has dropped instead of sending them, of Link and Carrier kinds
}

// State is what an interface is like.
type State struct {
	Index       int // 0: there is none
	Up, Carrier bool
	MAC         net.HardwareAddr
	TxDropped   uint64 // packets dropped instead of sent since it was made
}

// Watcher follows the kernel: links, addresses, routes and neighbours.
type Watcher struct {
	changes chan Change
	kernel  kernelWatch
	err     error // why Changes was closed; read after that
}

// Watch begins to follow the kernel until ctx ends: what changes after it has returned is reported. It belongs to
// the network namespace of the thread that calls it, for all its methods.
func Watch(ctx context.Context) (*Watcher, error) { return watch(ctx) }

// Changes are the news, in order. It is closed when ctx has ended, and if the kernel cannot be followed any more:
// see Err. A reader that is slow loses news and gets a Resync; nothing piles up.
func (w *Watcher) Changes() <-chan Change { return w.changes }

// Err says, after Changes was closed, why; nil: ctx has ended.
func (w *Watcher) Err() error { return w.err }

// Check is Check in the watcher's namespace, without opening a socket. Any goroutine may call it.
func (w *Watcher) Check(p *Path, target netip.Addr, o Options) error { return w.check(p, target, o) }

// State looks an interface up by its index. None is no error.
func (w *Watcher) State(index int) (State, error) { return w.state(index) }
