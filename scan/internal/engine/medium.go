package engine

import (
	"context"
	"iter"
	"net"
	"net/netip"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
)

// Medium is what raw probes travel over: the kernel's packet sockets (Kernel), or a network in this process.
type Medium interface {
	// OpenTx opens the socket of a sender lane, from 0, for the frames that c describes.
	OpenTx(lane int, c rawsock.TxConfig) (Tx, error)
	// OpenRx opens n receivers that share what comes in, on an interface or on all: when it returns, no reply can be
	// missed.
	OpenRx(c rawsock.RxConfig, n int) ([]Rx, error)
	// ResolveGateway finds the MAC address of a path's gateway, and who else answers for it.
	ResolveGateway(ctx context.Context, p *route.Path, o route.ResolveOptions) (net.HardwareAddr, []route.Conflict, error)
	// Resolve finds the MAC addresses of hosts on a link.
	Resolve(ctx context.Context, link route.Link, src netip.Addr, hosts iter.Seq[netip.Addr], o route.ResolveOptions) (*route.Table, error)
	// Owner tells who has an address on a link, and Answer answers for one that nobody has, until ctx ends.
	Owner(ctx context.Context, link route.Link, addr netip.Addr) (mac [6]byte, owned bool, err error)
	Answer(ctx context.Context, link route.Link, addr netip.Addr) error
	// RxDrops counts what a link has lost before any receiver could see it.
	RxDrops(link *route.Link) (uint64, error)
	// Watch follows the host's links, addresses and routes until ctx ends.
	Watch(ctx context.Context) (Watcher, error)
	// Listen follows the MAC addresses of gateways on a link until ctx ends.
	Listen(ctx context.Context, link route.Link, src netip.Addr, hops []route.Hop) (Ear, error)
}

// Watcher tells what changes on the host; its methods are route.Watcher's.
type Watcher interface {
	Changes() <-chan route.Change
	Check(p *route.Path, target netip.Addr, o route.Options) error
}

// Ear tells whose MAC addresses change; its methods are route.Ear's.
type Ear interface {
	Claims() <-chan route.Claim
	Confirm(ctx context.Context, hop netip.Addr) (net.HardwareAddr, []route.Conflict, error)
}

// Tx is the socket behind an egress.
type Tx interface {
	Batch() int
	// Frames are the memory of the next batch, asked for once per batch: a frame that Send has accepted
	// belongs to the kernel, and the next batch may have other memory there, prepared likewise.
	Frames() [][]byte
	// Prepare calls f once for every frame memory there is, before the first Send.
	Prepare(f func(frame []byte))
	// Send hands frames [from, to) over in order; its errors are rawsock.Tx's.
	Send(from, to int) (accepted int, err error)
	Stats() rawsock.TxStats
	Close() error
}

// Rx is a ring of received packets; its methods are rawsock.Rx's.
type Rx interface {
	Wait(timeout time.Duration) (ready bool, err error)
	Read(packets []rawsock.Packet) int
	AppendFrame(b []byte, p rawsock.Packet) (frame []byte, length int)
	InterfaceName(index int) string
	Wake()
	Stats() (rawsock.RxStats, error)
	Close() error
}

// Kernel is the Medium of packet sockets.
type Kernel struct{}

// OpenTx opens a packet socket.
func (Kernel) OpenTx(_ int, c rawsock.TxConfig) (Tx, error) {
	tx, err := rawsock.NewTx(c)
	if err != nil {
		return nil, err
	}
	return tx, nil
}

// OpenRx opens a group of rings.
func (Kernel) OpenRx(c rawsock.RxConfig, n int) ([]Rx, error) {
	group, err := rawsock.NewRxGroup(c, n)
	if err != nil {
		return nil, err
	}
	all := make([]Rx, len(group))
	for i, rx := range group {
		all[i] = rx
	}
	return all, nil
}

// ResolveGateway asks by ARP, unless the kernel's table is sure.
func (Kernel) ResolveGateway(ctx context.Context, p *route.Path, o route.ResolveOptions) (net.HardwareAddr, []route.Conflict, error) {
	return route.ResolveGateway(ctx, p, o)
}

// Resolve asks by ARP for all that the kernel's table is not sure of.
func (Kernel) Resolve(ctx context.Context, link route.Link, src netip.Addr, hosts iter.Seq[netip.Addr], o route.ResolveOptions) (*route.Table, error) {
	return route.Resolve(ctx, link, src, hosts, o)
}

// Owner asks by ARP.
func (Kernel) Owner(ctx context.Context, link route.Link, addr netip.Addr) (mac [6]byte, owned bool, err error) {
	return route.Owner(ctx, link, addr)
}

// Answer answers ARP requests.
func (Kernel) Answer(ctx context.Context, link route.Link, addr netip.Addr) error {
	return route.Answer(ctx, link, addr)
}

// RxDrops is what the kernel has counted.
func (Kernel) RxDrops(link *route.Link) (uint64, error) { return route.RxDrops(link) }

// Watch follows the kernel by rtnetlink.
func (Kernel) Watch(ctx context.Context) (Watcher, error) {
	w, err := route.Watch(ctx)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Listen hears what ARP says of the gateways.
func (Kernel) Listen(ctx context.Context, link route.Link, src netip.Addr, hops []route.Hop) (Ear, error) {
	ear, err := route.Listen(ctx, link, src, hops)
	if err != nil {
		return nil, err
	}
	return ear, nil
}
