package stall

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"

	"synoptic/bench/lab/need"
)

// told is a test that notes what is said of it.
type told struct {
	testing.TB
	failed, skipped bool
}

func (v *told) Helper()      {}
func (v *told) Fatal(...any) { v.failed = true }
func (v *told) Skip(...any)  { v.skipped = true }

func TestProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("it is about a run without -short")
	}
	t.Setenv(need.Env, "network")
	if v := (&told{}); !filepath.IsAbs(need.Program(v, "go")) || v.failed || v.skipped {
		t.Errorf("go: failed %v, skipped %v", v.failed, v.skipped)
	}
	if v := (&told{}); need.Program(v, "no-such-program") != "" || v.failed || !v.skipped {
		t.Errorf("missing: failed %v, skipped %v", v.failed, v.skipped)
	}
	t.Setenv(need.Env, "network,peers")
	if v := (&told{}); need.Program(v, "no-such-program") != "" || !v.failed || v.skipped {
		t.Errorf("missing and required: failed %v, skipped %v", v.failed, v.skipped)
	}
	if v := (&told{}); v.failed || v.skipped {
		t.Error("Peer without an error")
	} else if need.Peer(v, errors.Join(exec.ErrNotFound)); !v.failed {
		t.Error("Peer with an error")
	}
}
