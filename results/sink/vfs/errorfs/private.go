package errorfs

import (
	"os"
	"testing"
)

// Private is a folder for a test, as TempDir makes it, that is open to nobody else: a spool has to be.
func Private(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}
