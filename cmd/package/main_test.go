package main

import (
	"bytes"
	"crypto/x509"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWrongCommandLines(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1790000000")
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "old.deb"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"no version":          {nil, "which version?"},
		"a v":                 {[]string{"-version", "v1.2.3"}, "write 1.2.3"},
		"two numbers":         {[]string{"-version", "1.2"}, "write 1.2.3"},
		"a line feed":         {[]string{"-version", "1.2.3\n"}, "write 1.2.3"},
		"a flag of go":        {[]string{"-version", "1.2.3 -X main.x=y"}, "write 1.2.3"},
		"no flag":             {[]string{"-version", "1.2.3", "out"}, `"out" is no flag`},
		"unknown flag":        {[]string{"-ver", "1.2.3"}, "not defined"},
		"other architecture":  {[]string{"-version", "1.2.3", "-arch", "amd64,mips"}, "amd64 and arm64"},
		"empty architecture":  {[]string{"-version", "1.2.3", "-arch", ""}, "amd64 and arm64"},
		"maintainer":          {[]string{"-version", "1.2.3", "-maintainer", "me"}, "NAME <ADDRESS>"},
		"no folder":           {[]string{"-version", "1.2.3", "-out", ""}, "no folder"},
		"a folder with files": {[]string{"-version", "1.2.3", "-out", full}, "is not empty"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(test.args, io.Discard); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
}

func TestParse(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1790000000")
	r, err := parse([]string{"-version", "1.2.3-rc.1", "-arch", "arm64,arm64", "-out", "there"}, filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if r.out != filepath.Join(top, "there") || len(r.archs) != 1 || !r.date.Equal(time.Unix(1790000000, 0)) {
		t.Errorf("%+v", r)
	}
	if _, err := parse([]string{"-version", "1.2.3"}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "go run -C cmd/package") {
		t.Errorf("elsewhere: %v", err)
	}
	for _, epoch := range []string{"yesterday", "-1", "0"} {
		t.Setenv("SOURCE_DATE_EPOCH", epoch)
		if _, err := parse([]string{"-version", "1.2.3"}, filepath.Join("..", "..")); err == nil {
			t.Errorf("SOURCE_DATE_EPOCH=%s is taken", epoch)
		}
	}
}

func TestDebianChangelog(t *testing.T) {
	const markdown = "# Changelog\n\n## Unreleased\n\n- One\n  point.\n\n## 1.2.3 (2026-11-27)\n\n- Another.\n"
	date := time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC)
	for version, want := range map[string]string{
		"1.2.3":      "synoptic (1.2.3-1) unstable; urgency=medium\n\n  * Another.\n\n -- A <a@example.org>  Fri, 27 Nov 2026 01:02:03 +0000\n",
		"1.3.0-rc.1": "synoptic (1.3.0~rc.1-1) unstable; urgency=medium\n\n  * One point.\n\n -- A <a@example.org>  Fri, 27 Nov 2026 01:02:03 +0000\n",
	} {
		if text, err := debianChangelog(markdown, version, "A <a@example.org>", date); err != nil || text != want {
			t.Errorf("%s: %q, %v", version, text, err)
		}
	}
	if _, err := debianChangelog("# Changelog\n", "1.2.3", "A <a@example.org>", date); err == nil {
		t.Error("a changelog without points is taken")
	}
}

// The image trusts whole roots only, and every one can be read.
func TestCertificates(t *testing.T) {
	pem := certificates()
	pool := x509.NewCertPool()
	if n := bytes.Count(pem, []byte("BEGIN CERTIFICATE")); n < 100 || !pool.AppendCertsFromPEM(pem) {
		t.Errorf("%d certificates", n)
	}
}
