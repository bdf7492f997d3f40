package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var top = filepath.Join("..", "..", "..")

func TestNoticesAreFresh(t *testing.T) {
	if err := run(top, true); err != nil {
		t.Fatal(err)
	}
}

// Whatever is linked on one platform only is named, too, and what only tests need is not.
func TestLinked(t *testing.T) {
	modules, err := linked(top)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, m := range modules {
		found[m.path] = true
	}
	for path, want := range map[string]bool{
		"the Go standard library": true, "github.com/spf13/cobra": true, "github.com/cilium/ebpf": true, // Linux
		"github.com/inconshreveable/mousetrap": true, // Windows
		"github.com/rogpeppe/go-internal":      false, "pgregory.net/rapid": false, "synoptic": false,
	} {
		if found[path] != want {
			t.Errorf("%s among them: %v, want %v", path, found[path], want)
		}
	}
}

func TestTerms(t *testing.T) {
	for name, test := range map[string]struct {
		files      map[string]string
		want, fail string
	}{
		"licence":             {files: map[string]string{"LICENSE": "A \r\n\nB\n\n"}, want: "A\n\nB"},
		"licence.txt, notice": {files: map[string]string{"License.txt": "A\n", "NOTICE": "B\n", "PATENTS": "C"}, want: "A\n\nB\n\nC"},
		"only others":         {files: map[string]string{"README": "A", "NOTICE": "B", "licenses.go": "C"}, fail: "no licence"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range test.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			text, err := terms(module{path: "example.org/m", dirs: []string{dir}})
			if text != test.want || test.fail != "" && (err == nil || !strings.Contains(err.Error(), test.fail)) {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

func TestSharedTextsOnce(t *testing.T) {
	var modules []module
	for _, path := range []string{"example.org/a", "example.org/b"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("the text\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		modules = append(modules, module{path: path, version: "v1", dirs: []string{dir}})
	}
	text, err := notices(modules)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), "the text") != 1 || !strings.Contains(string(text), "example.org/a\nexample.org/b\n") {
		t.Errorf("%s", text)
	}
}
