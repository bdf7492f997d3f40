package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInsert(t *testing.T) {
	const begin, end = "<!-- measured:begin -->", "<!-- measured:end -->"
	for _, c := range []struct{ name, document, want string }{
		{"no document", "", begin + "\ntable\n" + end + "\n"},
		{"no markers", "# Accuracy\n\ntext\n\n", "# Accuracy\n\ntext\n\n" + begin + "\ntable\n" + end + "\n"},
		{"old table", "a\n" + begin + "\nold\n\nolder\n" + end + "\nb\n", "a\n" + begin + "\ntable\n" + end + "\nb\n"},
		{"other markers", "<!-- promised:begin -->\nx\n<!-- promised:end -->\n", "<!-- promised:begin -->\nx\n<!-- promised:end -->\n\n" + begin + "\ntable\n" + end + "\n"},
		{"no end", "a\n" + begin + "\nb\n", ""},
		{"no begin", "a\n" + end + "\nb\n", ""},
		{"wrong order", end + "\n" + begin + "\n", ""},
		{"twice", begin + end + begin + end, ""},
	} {
		got, err := Insert(c.document, "measured", "\ntable\n\n")
		if (err != nil) != (c.want == "") {
			t.Errorf("%s: error %v", c.name, err)
		} else if d := cmp.Diff(c.want, got); err == nil && d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, d)
		}
		if err == nil { // once more changes nothing
			if again, err := Insert(got, "measured", "table"); err != nil || again != got {
				t.Errorf("%s: a second time gives %q, %v", c.name, again, err)
			}
		}
	}
}

// A section is written into a document that there is, or makes one, and written again takes the place of the first.
func TestWriteSection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "document.md")
	for _, text := range []string{"first", "second"} {
		if err := WriteSection(path, "x", text); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "<!-- x:begin -->\n"+text+"\n<!-- x:end -->\n" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if err := os.WriteFile(path, []byte("<!-- x:end -->"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteSection(path, "x", "third"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a marker without the other: %v", err)
	}
}
