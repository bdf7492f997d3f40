package target

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func nobody(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such name") }

// Of a word that is no target, what a message shows of it: enough to find it, and no secret behind it.
func TestShown(t *testing.T) {
	for word, want := range map[string]string{
		"10.0.0.0/33":                       "10.0.0.0/33",
		"10.0.0.300":                        "10.0.0.300",
		"lb-1.example.net:70000":            "lb-1.example.net:70000",
		"fe80::1%eth0":                      "fe80:…",
		"2001:db8::g":                       "2001:…",
		"[2001:db8::1]:99999":               "[2001:db8::1]:99999",
		"10.0-3.*.1,7":                      "10.0-3.*.1,7",
		"root:x:0:0:root:/root:/bin/bash":   "root:…",
		"svc:$6$salt$hash:19000:0:::":       "svc:…",
		"password=hunter2":                  "password…",
		"$TOKEN":                            "…",
		"\"hunter2\"":                       "…",
		"user;hunter2":                      "user…",
		"user@host":                         "user…",
		"{token:hunter2}":                   "…",
		"h\u00fcnter2":                      "h…",
		"\x1b[2J":                           "…",
		strings.Repeat("MIIEvQIBADANBg", 9): strings.Repeat("MIIEvQIBADANBg", 9)[:40] + "…",
	} {
		if got := shown(word); got != want {
			t.Errorf("%q is shown as %q, want %q", word, got, want)
		}
	}
}

// No reader of a file repeats what follows the wrong character, whichever part of the word the message is about.
func TestFilesAreNotRepeated(t *testing.T) {
	for _, line := range []string{
		"root:x:0:0:hunter2:/root:/bin/bash", "svc:$hunter2", "10.0.0.1:$hunter2", "10.0.0.1/$hunter2", "10.0.0.1-$hunter2", "[::1]$hunter2", "[::1]:$hunter2",
		"[::1$hunter2", "a:b:c:hunter2", "10.0.0.1:22:hunter2", "10.0.0.$hunter2", "10.$hunter2.0.1", "export TOKEN=hunter2", "-----$hunter2", "http://u:hunter2@h/", "fe80::1%$hunter2",
		"::hunter2", "10.0.0.1,$hunter2", "a..$hunter2", strings.Repeat("a", 64) + "hunter2", "x\u00e9hunter2",
	} {
		for _, field := range []string{"targets", "exclusions", "scope"} {
			name := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(name, []byte("10.0.0.1\n"+line+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			ports, _ := ParsePorts("1")
			c := Config{Ports: ports, Targets: []string{"10.0.0.1"}, Resolve: nobody}
			switch field {
			case "targets":
				c.TargetFiles = []string{name}
			case "exclusions":
				c.ExcludeFiles = []string{name}
			case "scope":
				c.ScopeFiles = []string{name}
			}
			_, err := Load(t.Context(), c)
			if e, ok := errors.AsType[*Error](err); !ok || strings.Contains(e.Error()+e.Hint(), "hunter2") || !strings.Contains(e.Error(), name+":2: ") {
				t.Errorf("%s: %q: %v", field, line, err)
			}
		}
	}
}

// Of a file that only another user may read, nothing is shown: sudo and set-user-ID are no ways around that.
func TestForeignFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte("nobody+knows\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := func() string {
		ports, _ := ParsePorts("1")
		_, err := Load(t.Context(), Config{Ports: ports, TargetFiles: []string{name}, Resolve: nobody})
		if err == nil {
			t.Fatal("it is taken")
		}
		e, _ := errors.AsType[*Error](err)
		return err.Error() + e.Hint()
	}
	if got := said(); !strings.Contains(got, "nobody…") {
		t.Errorf("of a file of ours: %s", got)
	}
	if os.Geteuid() != 0 {
		t.Skip("only for root is a file another one's than the user's who runs it")
	}
	t.Setenv("SUDO_UID", "65533")
	if got := said(); strings.Contains(got, "nobody") || !strings.Contains(got, name+":1: not a target; it is not shown") {
		t.Errorf("of a file of root's, for another: %s", got)
	}
	if err := os.Chmod(name, 0o604); err != nil {
		t.Fatal(err)
	}
	if got := said(); !strings.Contains(got, "nobody…") {
		t.Errorf("of a file that everybody may read: %s", got)
	}
}
