package results_test

import (
	"errors"
	"strings"
	"testing"

	"synoptic/results/bytesize"
)

func TestByteSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "65536": 65536, "64K": 64 << 10, "256m": 256 << 20, "1G": 1 << 30, "1125899906842624": 1 << 50, "1048576g": 1 << 50,
	} {
		if got, err := bytesize.Parse(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "K", "-1", "1T", "1.5G", "1 K", "1KB", "1048577G", "1125899906842625", "010M", "064", "00", "99999999999999999999"} {
		n, err := bytesize.Parse(text)
		if e, ok := errors.AsType[*bytesize.Error](err); !ok || e.Text != text || e.Hint() == "" {
			t.Errorf("%q is %d, %v", text, n, err)
		}
	}
}

func TestByteSizeHint(t *testing.T) {
	for text, want := range map[string]string{
		"10T": "write 10240G", "1.5G": "write 1536M", "0.5M": "write 512K", "256MB": "write 256M", "256MiB": "write 256M", "64 K": "write 64K",
		"1KB": "write 1K", "10 gib": "write 10G", "1Gb": "write 1G", "0.25T": "write 256G", "4096B": "write 4096", "2 MBytes": "write 2M",
		"010M": "write 10M", "064": "write 64", "0064K": "write 64K", "064MB": "write 64M",
		"much": "give a size", "": "give a size", "-1": "give a size", "0": "give a size", "1025T": "give a size", "0.1K": "give a size", "1.5": "give a size",
	} {
		hint := (&bytesize.Error{Text: text}).Hint()
		if !strings.Contains(hint, want) {
			t.Errorf("%q: %q, want %q", text, hint, want)
		}
		if _, written, ok := strings.Cut(hint, "write "); ok {
			if _, err := bytesize.Parse(written); err != nil {
				t.Errorf("%q: what the hint says is refused: %v", text, err)
			}
		}
	}
}
