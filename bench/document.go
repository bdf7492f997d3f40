package bench

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Kernel is the release of the running kernel, without what its builder added.
func Kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	release, _, _ := strings.Cut(strings.TrimSpace(string(b)), "-")
	return release
}

// Processor is the name of the machine's processor.
func Processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// loadBefore is what the machine had to do when this program began.
var loadBefore = func() string {
	data, err := os.ReadFile("/proc/loadavg")
	load, _, ok := strings.Cut(string(data), " ")
	if err != nil || !ok {
		return "unknown"
	}
	return load
}()

// Load is how busy the machine was before this program had it do anything: the mean number of threads that ran or waited for a processor in the minute before, or
// "unknown" (proc_loadavg(5)).
func Load() string { return loadBefore }

// ModuleFile is where a file of the module lies whose name is relative to the module, with slashes.
func ModuleFile(name string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), filepath.FromSlash(name)), nil
}

// WriteSection puts text between the markers of a name in a document, which is made where there is none.
func WriteSection(path, name, text string) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	changed, err := Insert(string(old), name, text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(changed), 0o644)
}

// Insert replaces what stands between the markers of a name, which are added at the end where there
// are none.
func Insert(document, name, text string) (string, error) {
	begin, end := "<!-- "+name+":begin -->", "<!-- "+name+":end -->"
	text = begin + "\n" + strings.TrimSpace(text) + "\n" + end
	before, rest, hasBegin := strings.Cut(document, begin)
	_, after, hasEnd := strings.Cut(rest, end)
	switch {
	case hasBegin && hasEnd && strings.Count(document, begin) == 1 && strings.Count(document, end) == 1:
		return before + text + after, nil
	case strings.Contains(document, begin) || strings.Contains(document, end):
		return "", fmt.Errorf("want %s and %s once each, in this order, or neither", begin, end)
	}
	if document = strings.TrimRight(document, "\n"); document != "" {
		document += "\n\n"
	}
	return document + text + "\n", nil
}
