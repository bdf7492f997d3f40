//go:build !linux || !(amd64 || arm64 || loong64 || ppc64le || riscv64)

package scan

import (
	"synoptic/rawsock/route"
	"synoptic/rawsock/xdp"
)

// kernel stands for the programs, which do not exist here.
type kernel struct{}

func (*kernel) moved(uint64, uint64) {}

func driverOf(*route.Link) (name string, harmless bool) { return "unknown", false }

func checkXDP(link *route.Link, load bool) error { return xdp.Check(link.Index, load) }

func newKernel(*engine) (*kernel, error) { return nil, xdp.ErrUnsupported }

func newKernelLanes(*engine) backend { return nil }
