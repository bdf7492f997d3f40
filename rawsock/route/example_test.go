package route_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"

	"synoptic/rawsock/route"
)

// A scan that notices when its way out changes: the kernel's news and an ear for the gateway.
func ExampleWatch() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var plan *route.Plan // of route.New
	var o route.Options  // that it was made with
	path := &plan.Paths[0]

	// Sockets are opened first, on one thread; then the gateway is asked for.
	watcher, err := route.Watch(ctx)
	if err != nil {
		log.Fatal(err)
	}
	mac, conflicts, err := route.ResolveGateway(ctx, path, route.ResolveOptions{})
	if err != nil {
		log.Fatal(err)
	}
	ear, err := route.Listen(ctx, path.Link, path.Src, []route.Hop{{Addr: path.Gateway, MAC: mac}})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range conflicts {
		fmt.Println(c)
	}
	var hop route.NextHop // read by the senders before each batch
	hop.Store([6]byte(mac))

	look := func(p *route.Path, target netip.Addr) {
		if err := watcher.Check(p, target, o); err != nil {
			fmt.Println(err) // pause; look again with each change, and after Resync
		}
	}
	for {
		select {
		case c, ok := <-watcher.Changes():
			switch {
			case !ok:
				return
			case c.Kind == route.RouteChanged:
				for path, target := range plan.Within(c.Prefix) {
					look(&plan.Paths[path], target)
				}
			default:
				look(path, netip.Addr{})
			}
		case c, ok := <-ear.Claims():
			if !ok {
				return
			}
			hop.Store([6]byte(c.MAC)) // what was sent to c.Was since the last answer has to be sent again
		}
	}
}
