package sink

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
)

// A capture whose last block was cut off is appended to behind its last whole one; what is no capture is left as it is.
func TestCutCapture(t *testing.T) {
	f, _ := format.Lookup("pcapng")
	section := []byte{0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 28, 0, 0, 0}
	for name, c := range map[string]struct{ there, want []byte }{
		"nothing":       {nil, nil},
		"whole":         {section, section},
		"cut":           {append(bytes.Clone(section), section[:20]...), section},
		"a cut head":    {append(bytes.Clone(section), 6, 0, 0), section},
		"other's words": {[]byte("notes\nof mine"), []byte("notes\nof mine")},
		"too short":     {section[:8], section[:8]},
	} {
		file := filepath.Join(t.TempDir(), "out.pcapng")
		if err := os.WriteFile(file, c.there, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, by := range []string{file, "-"} {
			if err := os.WriteFile(file, c.there, 0o600); err != nil {
				t.Fatal(err)
			}
			stdout, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			d, _, err := dest.Open(by, dest.Content{Headed: true, Whole: f.Whole}, dest.Options{Stdout: stdout})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Deliver(t.Context(), lines("NEW")); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			stdout.Close()
			if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, append(bytes.Clone(c.want), "NEW"...)) {
				t.Errorf("%s, by %s: %q, %v", name, by, got, err)
			}
		}
	}
}
