// Package receivers is what the outputs of tests deliver to: call NewPKI for certificates, and Dir for the syslog
// daemons. It knows nothing of networks, so that the tests of outputs link none of what those need.
package receivers

import (
	"os"
	"path/filepath"
)

// Dir is the folder into which .ci/receivers has unpacked syslog receivers: that of
// SYNOPTIC_TEST_RECEIVERS, or one in the user's cache.
func Dir() string {
	if dir := os.Getenv("SYNOPTIC_TEST_RECEIVERS"); dir != "" {
		return dir
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "synoptic-ci", "receivers")
}
