package target

import (
	"strings"
	"testing"
)

// Several scope files authorize what each of them does.
func TestScopesAddUp(t *testing.T) {
	both := files{"a": "10.0.0.1\n", "b": "10.0.0.2\n", "none": "# nothing\n"}
	c := Config{Targets: []string{"10.0.0.1-10.0.0.2"}, ScopeFiles: []string{"a", "b"}, Ports: mustPorts(t, "80"), Open: both.open}
	loaded, err := Load(t.Context(), c)
	if err != nil || loaded.Scope.Addresses != 2 || loaded.Scope.File != "a, b" || len(loaded.Scope.SHA256) != 64 {
		t.Fatalf("%+v, %v", loaded, err)
	}
	c.ScopeFiles = []string{"a"}
	if _, err := Load(t.Context(), c); err == nil || !strings.Contains(err.Error(), "outside the scope a") {
		t.Errorf("one scope only: %v", err)
	}
	c.ScopeFiles = []string{"a", "b", "none"}
	if _, err := Load(t.Context(), c); err == nil || !strings.Contains(err.Error(), "none holds no authorized addresses") {
		t.Errorf("an empty one among them: %v", err)
	}
	c.ScopeFiles = []string{"b", "a"}
	again, err := Load(t.Context(), c)
	if err != nil || again.Scope.SHA256 == loaded.Scope.SHA256 {
		t.Errorf("in another order: %+v, %v", again, err)
	}
}
