package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// stage is a folder with what the packages are made of.
type stage struct {
	dir string
	man []string // names of the man pages
}

func (s stage) path(elem ...string) string { return filepath.Join(append([]string{s.dir}, elem...)...) }
func (s stage) binary(arch string) string  { return s.path("bin", arch, "synoptic") }

// shells are those that the program writes completions for, and the files that the shells look for.
var shells = []struct{ name, file, deb, rpm string }{
	{"bash", "synoptic", "/usr/share/bash-completion/completions/", "/usr/share/bash-completion/completions/"},
	{"zsh", "_synoptic", "/usr/share/zsh/vendor-completions/", "/usr/share/zsh/site-functions/"},
	{"fish", "synoptic.fish", "/usr/share/fish/vendor_completions.d/", "/usr/share/fish/vendor_completions.d/"},
}

// build makes the binaries, and with one that runs here man pages and completions.
func (r release) build(dir string) (stage, error) {
	s := stage{dir: dir}
	for _, arch := range r.archs {
		if err := r.compile("linux", arch, s.binary(arch)); err != nil {
			return s, err
		}
	}
	native := s.binary(runtime.GOARCH)
	if _, err := os.Stat(native); err != nil || runtime.GOOS != "linux" {
		native = s.path("native", "synoptic")
		if err := r.compile(runtime.GOOS, runtime.GOARCH, native); err != nil {
			return s, err
		}
	}
	for _, dir := range []string{"man", "completions"} {
		if err := os.Mkdir(s.path(dir), 0o755); err != nil {
			return s, err
		}
	}
	if _, err := r.command(nil, native, "man", "--dir", s.path("man")); err != nil {
		return s, err
	}
	pages, err := filepath.Glob(s.path("man", "*.1"))
	if err != nil {
		return s, err
	}
	if len(pages) == 0 {
		return s, fmt.Errorf("%s man wrote no pages", native)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return s, err
		}
		name := filepath.Base(page) + ".gz"
		if err := compress(s.path("man", name), text); err != nil {
			return s, err
		}
		s.man = append(s.man, name)
	}
	for _, shell := range shells {
		text, err := r.command(nil, native, "completion", shell.name)
		if err != nil {
			return s, err
		}
		if err := os.WriteFile(s.path("completions", shell.file), text, 0o644); err != nil {
			return s, err
		}
	}
	return s, r.documents(s)
}

// documents writes what is made of files of the repository.
func (r release) documents(s stage) error {
	for name, file := range map[string]string{"THIRD_PARTY.gz": "THIRD_PARTY", "CHANGELOG.md.gz": "CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join(r.root, file))
		if err != nil {
			return err
		}
		if err := compress(s.path(name), text); err != nil {
			return err
		}
	}
	log, err := os.ReadFile(filepath.Join(r.root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	text, err := debianChangelog(string(log), r.version, r.maintainer, r.date)
	if err != nil {
		return err
	}
	return compress(s.path("changelog.gz"), []byte(text))
}

func (r release) compile(system, arch, file string) error {
	_, err := r.command([]string{"CGO_ENABLED=0", "GOOS=" + system, "GOARCH=" + arch, "GOAMD64=v1", "GOARM64=v8.0"},
		"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -X main.version="+r.version, "-o", file, "./cmd/synoptic")
	return err
}

// command runs in the top of the repository and returns what was written to standard output. Settings of the person who
// makes the release do not get into it.
func (r release) command(env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = r.root
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SYNOPTIC_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, "SOURCE_DATE_EPOCH="+strconv.FormatInt(r.date.Unix(), 10)), env...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), args[0], err, strings.TrimSpace(said.String()))
	}
	return out.Bytes(), nil
}
