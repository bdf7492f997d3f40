//go:build linux

package testnet

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Tests that run at once have the same addresses, each on a network of its own: programs, sockets, subtests and
// goroutines of each see that and no other.
func TestApart(t *testing.T) {
	Require(t)
	home, err := currentNamespace()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]string{}
	t.Run("all", func(t *testing.T) {
		for i := range 4 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				Apart(t)
				n := New(t, Config{Gateway: true})
				port := 80 + i
				n.Listen(t, fmt.Sprintf("0.0.0.0:%d", port))
				here, err := currentNamespace()
				if err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				if other := seen[here]; here == home || other != "" {
					t.Errorf("in the namespace of %q", other)
				}
				seen[here] = t.Name()
				mu.Unlock()
				for p := 80; p < 84; p++ {
					if err := dial(fmt.Sprintf("10.77.0.1:%d", p)); (err == nil) != (p == port) {
						t.Errorf("port %d: %v", p, err)
					}
				}
				links, err := exec.Command("cat", "/proc/net/dev").Output()
				if err != nil || strings.Count(string(links), "tn") != 1 || !strings.Contains(string(links), n.Link) {
					t.Errorf("a program sees the links %v %s", err, links)
				}
				Run(t, "subtest", func(t *testing.T) {
					if now, _ := currentNamespace(); now != here {
						t.Errorf("a subtest is in %s, its test in %s", now, here)
					}
				})
				place, done := Here(t), make(chan error)
				go func() {
					done <- place.Do(func() error {
						_, err := net.InterfaceByName(n.Link)
						return err
					})
				}()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		}
	})
	for range 50 { // on whatever threads the runtime has
		done := make(chan string)
		go func() { s, _ := currentNamespace(); done <- s }()
		if s := <-done; s != home {
			t.Fatalf("a goroutine is in %s, home is %s", s, home)
		}
	}
	if links, err := net.Interfaces(); err != nil || slices.ContainsFunc(links, func(l net.Interface) bool { return strings.HasPrefix(l.Name, InterfacePrefix) }) {
		t.Errorf("left outside: %v, %v", links, err)
	}
}
