package testnet

import (
	"os"
	"path/filepath"
)

// Receivers is the folder into which .ci/receivers has unpacked syslog receivers: that of
// SYNOPTIC_TEST_RECEIVERS, or one in the user's cache.
func Receivers() string {
	if dir := os.Getenv("SYNOPTIC_TEST_RECEIVERS"); dir != "" {
		return dir
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "synoptic-ci", "receivers")
}
