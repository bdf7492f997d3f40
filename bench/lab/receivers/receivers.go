// Package receivers is what the outputs of tests deliver to: call NewPKI for certificates, and Dir for the syslog
// daemons. It knows nothing of networks, so that the tests of outputs link none of what those need.
package receivers

import (
	"os"
	"os/exec"
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

// VictoriaLogs is the program of a log database, that .ci/run builds: the newest version in Dir, or one in the search path.
func VictoriaLogs() (string, error) {
	built, err := filepath.Glob(filepath.Join(Dir(), "victoria-logs", "*", "victoria-logs"))
	if err != nil || len(built) == 0 {
		return exec.LookPath("victoria-logs")
	}
	return built[len(built)-1], nil
}
