package bench

import (
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
