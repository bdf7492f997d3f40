package need

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
)

// verdict is a test that notes what is said of it.
type verdict struct {
	testing.TB
	failed, skipped bool
}

func (v *verdict) Helper()      {}
func (v *verdict) Fatal(...any) { v.failed = true }
func (v *verdict) Skip(...any)  { v.skipped = true }

func TestProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("it is about a run without -short")
	}
	t.Setenv(Env, "network")
	if v := (&verdict{}); !filepath.IsAbs(Program(v, "go")) || v.failed || v.skipped {
		t.Errorf("go: failed %v, skipped %v", v.failed, v.skipped)
	}
	if v := (&verdict{}); Program(v, "no-such-program") != "" || v.failed || !v.skipped {
		t.Errorf("missing: failed %v, skipped %v", v.failed, v.skipped)
	}
	t.Setenv(Env, "network,peers")
	if v := (&verdict{}); Program(v, "no-such-program") != "" || !v.failed || v.skipped {
		t.Errorf("missing and required: failed %v, skipped %v", v.failed, v.skipped)
	}
	if v := (&verdict{}); v.failed || v.skipped {
		t.Error("Peer without an error")
	} else if Peer(v, errors.Join(exec.ErrNotFound)); !v.failed {
		t.Error("Peer with an error")
	}
}
