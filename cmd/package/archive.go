package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// compress writes text as gzip -9n does: without name and time.
func compress(file string, text []byte) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(text); err != nil {
		return err
	}
	return z.Close()
}

// tarball writes the static binary with what belongs to it, for systems without packages of these kinds.
func (r release) tarball(s stage, arch string) (name string, err error) {
	top := fmt.Sprintf("synoptic-%s-linux-%s", r.version, arch)
	name = top + ".tar.gz"
	f, err := os.Create(filepath.Join(r.out, name))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	w := tar.NewWriter(z)
	add := func(source, name string, mode int64) error {
		text, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		h := tar.Header{Name: top + "/" + name, Mode: mode, Size: int64(len(text)), ModTime: r.date, Format: tar.FormatPAX}
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	}
	if err := add(s.binary(arch), "synoptic", 0o755); err != nil {
		return "", err
	}
	for _, file := range [][2]string{{"LICENSE", "LICENSE"}, {"THIRD_PARTY", "THIRD_PARTY"}, {"CHANGELOG.md", "CHANGELOG.md"}, {"docs/install.md", "install.md"}} {
		if err := add(filepath.Join(r.root, file[0]), file[1], 0o644); err != nil {
			return "", err
		}
	}
	for _, page := range s.man {
		if err := add(s.path("man", page), "man/man1/"+page, 0o644); err != nil {
			return "", err
		}
	}
	for _, shell := range shells {
		if err := add(s.path("completions", shell.file), "completions/"+shell.name+"/"+shell.file, 0o644); err != nil {
			return "", err
		}
	}
	return name, errors.Join(w.Close(), z.Close())
}

// image lays the root folder of the container image out, beside the Dockerfile that copies it.
func (r release) image(s stage, arch string) error {
	root := filepath.Join(r.out, "image", arch)
	for _, dir := range []string{"etc/ssl/certs", "etc/synoptic", "usr/bin", "usr/share/doc/synoptic", "var/lib/synoptic", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	copies := map[string]string{
		s.binary(arch):                           "usr/bin/synoptic",
		filepath.Join(r.root, "LICENSE"):         "usr/share/doc/synoptic/LICENSE",
		filepath.Join(r.root, "THIRD_PARTY"):     "usr/share/doc/synoptic/THIRD_PARTY",
		filepath.Join("files", "image.passwd"):   "etc/passwd",
		filepath.Join("files", "image.group"):    "etc/group",
		filepath.Join("files", "image.nsswitch"): "etc/nsswitch.conf",
	}
	for source, name := range copies {
		text, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if name == "usr/bin/synoptic" {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(root, name), text, mode); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"), certificates(), 0o644); err != nil {
		return err
	}
	for dir, mode := range map[string]os.FileMode{"tmp": 0o777 | os.ModeSticky, "var/lib/synoptic": 0o700} {
		if err := os.Chmod(filepath.Join(root, dir), mode); err != nil {
			return err
		}
	}
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "image", "Dockerfile"), text, 0o644)
}

// certificates are Mozilla's roots. Those that Mozilla believes for a part of their certificates only cannot be told so in
// a PEM file, and are left out.
func certificates() []byte {
	var b strings.Builder
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return []byte(b.String())
}

// sums writes the file that sha256sum -c reads.
func (r release) sums(names []string) (err error) {
	f, err := os.Create(filepath.Join(r.out, "SHA256SUMS"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for _, name := range names {
		hash := sha256.New()
		made, err := os.Open(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		_, err = io.Copy(hash, made)
		if err = errors.Join(err, made.Close()); err != nil {
			return err
		}
		fmt.Fprintf(w, "%x  %s\n", hash.Sum(nil), name)
	}
	return w.Flush()
}
