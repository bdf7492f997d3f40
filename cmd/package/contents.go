package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"
)

const description = `scanner that finds every open TCP port on your network
Synoptic probes every port of every address with raw SYN packets, verifies
each reply with a cryptographic cookie, and writes what it finds as a table
for people or as JSON lines for a SIEM. It measures what it may have missed,
and says so. It is made for authorized sweeps of one's own network.`

// packages writes the Debian and the RPM package, and returns their names.
func (r release) packages(s stage, arch string) (names []string, err error) {
	for _, kind := range []struct {
		packager nfpm.Packager
		info     *nfpm.Info
	}{{deb.Default, r.debian(s, arch)}, {rpm.DefaultRPM, r.rpm(s, arch)}} {
		info := nfpm.WithDefaults(kind.info)
		if err := nfpm.Validate(info); err != nil {
			return nil, err
		}
		name := kind.packager.ConventionalFileName(info)
		f, err := os.Create(filepath.Join(r.out, name))
		if err != nil {
			return nil, err
		}
		if err := errors.Join(kind.packager.Package(info, f), f.Close()); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// info is what both kinds have alike.
func (r release) info(arch string) *nfpm.Info {
	return &nfpm.Info{
		Name: "synoptic", Arch: arch, Platform: "linux", Version: r.version, Release: "1", MTime: r.date,
		Section: "net", Priority: "optional", Maintainer: r.maintainer, Description: description, License: "Apache-2.0",
		DisableGlobbing: true,
	}
}

func (r release) debian(s stage, arch string) *nfpm.Info {
	info := r.info(arch)
	info.Depends = []string{"libcap2-bin"} // setcap
	info.Recommends = []string{"ca-certificates"}
	info.Deb.Compression = "xz"
	info.Scripts = nfpm.Scripts{
		PostInstall: filepath.Join("files", "deb", "postinst"),
		PreRemove:   filepath.Join("files", "deb", "prerm"),
		PostRemove:  filepath.Join("files", "deb", "postrm"),
	}
	binary := file(s.binary(arch), "/usr/bin/synoptic", 0o755) // postinst knows the group
	const doc = "/usr/share/doc/synoptic/"
	info.Contents = slices.Concat(files.Contents{binary}, r.common(s, doc), files.Contents{
		file(filepath.Join("files", "copyright"), doc+"copyright", 0o644),
		file(s.path("changelog.gz"), doc+"changelog.Debian.gz", 0o644),
		file(s.path("CHANGELOG.md.gz"), doc+"changelog.gz", 0o644),
		file(s.path("THIRD_PARTY.gz"), doc+"THIRD_PARTY.gz", 0o644),
		file(filepath.Join("files", "deb", "lintian-overrides"), "/usr/share/lintian/overrides/synoptic", 0o644),
	})
	for _, shell := range shells {
		info.Contents = append(info.Contents, file(s.path("completions", shell.file), shell.deb+shell.file, 0o644))
	}
	return info
}

func (r release) rpm(s stage, arch string) *nfpm.Info {
	info := r.info(arch)
	info.Depends = []string{"/usr/sbin/setcap", "/usr/sbin/groupadd"}
	info.Recommends = []string{"ca-certificates"}
	info.RPM = nfpm.RPM{Summary: "Scanner that finds every open TCP port on your network", Compression: "xz", BuildHost: "localhost", Group: "Applications/Internet"}
	info.Scripts = nfpm.Scripts{
		PreInstall:  filepath.Join("files", "rpm", "pre"),
		PostInstall: filepath.Join("files", "rpm", "post"),
		PreRemove:   filepath.Join("files", "rpm", "preun"),
		PostRemove:  filepath.Join("files", "rpm", "postun"),
	}
	binary := file(s.binary(arch), "/usr/bin/synoptic", 0o750)
	binary.FileInfo.Group = "synoptic"
	const doc = "/usr/share/doc/synoptic/"
	info.Contents = slices.Concat(files.Contents{binary}, r.common(s, doc), files.Contents{
		file(filepath.Join(r.root, "CHANGELOG.md"), doc+"CHANGELOG.md", 0o644),
		kind(files.TypeRPMLicense, file(filepath.Join(r.root, "LICENSE"), "/usr/share/licenses/synoptic/LICENSE", 0o644)),
		kind(files.TypeRPMLicense, file(filepath.Join(r.root, "THIRD_PARTY"), "/usr/share/licenses/synoptic/THIRD_PARTY", 0o644)),
	})
	for _, shell := range shells {
		info.Contents = append(info.Contents, file(s.path("completions", shell.file), shell.rpm+shell.file, 0o644))
	}
	return info
}

// common is what both kinds have at the same places.
func (r release) common(s stage, doc string) files.Contents {
	const units = "/usr/lib/systemd/system/"
	list := files.Contents{
		file(filepath.Join("files", "synoptic-sweep@.service"), units+"synoptic-sweep@.service", 0o644),
		file(filepath.Join("files", "synoptic-sweep@.timer"), units+"synoptic-sweep@.timer", 0o644),
		file(filepath.Join("files", "synoptic-monitor@.service"), units+"synoptic-monitor@.service", 0o644),
		kind(files.TypeDir, file("", "/etc/synoptic", 0o755)),
		kind(files.TypeConfigNoReplace, file(filepath.Join("files", "nightly.yaml"), "/etc/synoptic/nightly.yaml", 0o644)),
		kind(files.TypeConfigNoReplace, file(filepath.Join("files", "nightly.targets"), "/etc/synoptic/nightly.targets", 0o644)),
		file(filepath.Join("files", "kernel-backends.conf"), doc+"examples/kernel-backends.conf", 0o644),
		file(filepath.Join(r.root, "docs", "install.md"), doc+"install.md", 0o644),
		file(filepath.Join(r.root, "docs", "monitor.md"), doc+"monitor.md", 0o644),
	}
	for _, page := range s.man {
		list = append(list, file(s.path("man", page), "/usr/share/man/man1/"+page, 0o644))
	}
	return list
}

func file(source, name string, mode os.FileMode) *files.Content {
	return &files.Content{Source: source, Destination: name, FileInfo: &files.ContentFileInfo{Mode: mode, Owner: "root", Group: "root"}}
}

func kind(of string, c *files.Content) *files.Content {
	c.Type = of
	return c
}
