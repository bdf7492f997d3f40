package results_test

import (
	"errors"
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
	for _, text := range []string{"", "0", "K", "-1", "1T", "1.5G", "1 K", "1KB", "1048577G", "1125899906842625", "99999999999999999999"} {
		n, err := bytesize.Parse(text)
		if e, ok := errors.AsType[*bytesize.Error](err); !ok || e.Text != text || e.Hint() == "" {
			t.Errorf("%q is %d, %v", text, n, err)
		}
	}
}
