package bench

import (
	"bufio"
	"fmt"
	"os"
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
