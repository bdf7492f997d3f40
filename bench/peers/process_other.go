//go:build !linux

package peers

import "os/exec"

// Without test networks (see testnet) no tool is ever started here.
func dieWithParent(*exec.Cmd) {}
