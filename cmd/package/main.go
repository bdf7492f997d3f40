// Command package makes what is released: packages for Debian and RPM systems, a tarball with the static binary, and the
// root folder of the container image, for every architecture.
//
//	go run -C cmd/package . -version 1.2.3 -out /tmp/release
//
// It is a module of its own, so that the scanner's go.mod has none of what only packaging needs. Two runs with the same Go
// give the same bytes: times are those of SOURCE_DATE_EPOCH, or of the last commit.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// architectures are those that packages are made for, by Go's names.
var architectures = []string{"amd64", "arm64"}

// release is what is to be made.
type release struct {
	version    string
	archs      []string
	maintainer string
	root       string // the top of the repository
	out        string
	date       time.Time
}

func main() {
	err := run(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func run(args []string, log io.Writer) error {
	r, err := parse(args, filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	// What is there already may be released: it is not mixed with what is new.
	if entries, err := os.ReadDir(r.out); err == nil && len(entries) > 0 {
		return fmt.Errorf("-out %s is not empty; name a new folder, or remove it", r.out)
	}
	stage, err := os.MkdirTemp("", "synoptic-package-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	s, err := r.build(stage)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	var made []string
	for _, arch := range r.archs {
		files, err := r.packages(s, arch)
		if err != nil {
			return err
		}
		tarball, err := r.tarball(s, arch)
		if err != nil {
			return err
		}
		made = append(made, append(files, tarball)...)
		if err := r.image(s, arch); err != nil {
			return err
		}
	}
	if err := r.sums(made); err != nil {
		return err
	}
	for _, name := range append(made, "SHA256SUMS", filepath.Join("image", "Dockerfile")) {
		fmt.Fprintln(log, filepath.Join(r.out, name))
	}
	return nil
}

var versions = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-(alpha|beta|rc)\.?[0-9]+)?$`)

func parse(args []string, root string) (release, error) {
	r := release{}
	var archs string
	flags := flag.NewFlagSet("package", flag.ContinueOnError)
	flags.StringVar(&r.version, "version", "", "`VERSION` of the release: 1.2.3, or 1.2.3-rc.1")
	flags.StringVar(&r.out, "out", "dist", "`FOLDER` to write to, new or empty; relative to the top of the repository")
	flags.StringVar(&archs, "arch", strings.Join(architectures, ","), "`ARCHITECTURES`, separated by commas")
	flags.StringVar(&r.maintainer, "maintainer", "The authors of Synoptic <synoptic@packages.invalid>", "who answers for the packages, `NAME <ADDRESS>`")
	if err := flags.Parse(args); err != nil {
		return r, err
	}
	if flags.NArg() > 0 {
		return r, fmt.Errorf("%q is no flag; see -help", flags.Arg(0))
	}
	if r.version == "" {
		return r, errors.New("which version? -version 1.2.3")
	}
	if !versions.MatchString(r.version) {
		return r, fmt.Errorf("-version %q: write 1.2.3, or 1.2.3-rc.1", r.version)
	}
	for arch := range strings.SplitSeq(archs, ",") {
		if !slices.Contains(architectures, arch) {
			return r, fmt.Errorf("-arch %q: there are %s", arch, strings.Join(architectures, " and "))
		}
		if !slices.Contains(r.archs, arch) {
			r.archs = append(r.archs, arch)
		}
	}
	if _, err := mail.ParseAddress(r.maintainer); err != nil || !strings.Contains(r.maintainer, " <") {
		return r, fmt.Errorf("-maintainer %q: write NAME <ADDRESS>", r.maintainer)
	}
	var err error
	if r.root, err = filepath.Abs(root); err != nil {
		return r, err
	}
	if _, err := os.Stat(filepath.Join(r.root, "cmd", "synoptic")); err != nil {
		return r, fmt.Errorf("run it as go run -C cmd/package . : %w", err)
	}
	if r.out == "" {
		return r, errors.New("-out names no folder")
	}
	if !filepath.IsAbs(r.out) {
		r.out = filepath.Join(r.root, r.out)
	}
	r.date, err = dateOf(r.root, os.Getenv("SOURCE_DATE_EPOCH"))
	return r, err
}

// dateOf is the time of all files (https://reproducible-builds.org/specs/source-date-epoch/).
func dateOf(root, epoch string) (time.Time, error) {
	from := "SOURCE_DATE_EPOCH"
	if epoch == "" {
		from = "the time of the last commit (without git, set SOURCE_DATE_EPOCH)"
		cmd := exec.Command("git", "log", "-1", "--format=%ct")
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("%s: %w", from, err)
		}
		epoch = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds <= 0 {
		return time.Time{}, fmt.Errorf("%s: %q is no number of seconds since 1970", from, epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
