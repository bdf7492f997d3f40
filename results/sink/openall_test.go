package sink

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/spool"
	"synoptic/results/sink/vfs"
	"synoptic/results/sink/vfs/errorfs"
)

// unclosed is a standard output.
type unclosed struct{ *os.File }

func (unclosed) Close() error { return nil }

// Two outputs to one file, by whatever names, are refused before anything is written, and nothing of an
// earlier scan is touched.
func TestOutputsApart(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(at("x"), []byte("an earlier scan's"), 0o600))
	must(t, os.WriteFile(at("dead"), []byte("{}\n"), 0o600))
	must(t, os.Symlink(at("x"), at("symlink")))
	must(t, os.Link(at("x"), at("link")))
	stdout, err := os.OpenFile(at("x"), os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	defer stdout.Close()
	c := Config{DeadLetters: at("dead"), Dest: dest.Options{Stdout: unclosed{stdout}}}
	for _, specs := range [][]string{
		{at("x"), at("x")}, {"nmap-xml:" + at("x"), "nmap-xml:" + at("x")}, {at("x"), "csv:" + at("x")},
		{at("x"), at("other"), at("symlink")}, {at("link"), at("x")}, {at("x"), filepath.Dir(at("x")) + "/./x"},
		{"-", "csv:-"}, {"-", at("x")}, {at("dead")}, {at("x"), "csv:" + at("dead")},
	} {
		_, err := OpenAll(specs, c)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Hint() == "" || e.Dest != specs[len(specs)-1] {
			t.Errorf("%v: error %v", specs, err)
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // as a terminal
	must(t, err)
	defer null.Close()
	if _, err := OpenAll([]string{"-", "csv:-"}, Config{Dest: dest.Options{Stdout: unclosed{null}}}); err == nil {
		t.Error("two outputs to standard output")
	}
	if data, err := os.ReadFile(at("x")); err != nil || string(data) != "an earlier scan's" {
		t.Errorf("%q, %v", data, err)
	}
	all, err := OpenAll([]string{at("a"), "csv:" + at("b"), os.DevNull, "csv:" + os.DevNull}, c)
	must(t, err)
	if len(all) != 4 {
		t.Errorf("%d outputs", len(all))
	}
	for _, o := range all {
		must(t, o.Close())
	}
}

// What waits for the reader of standard output is nothing for the next one: it is lost, and said to be.
func TestSpoolOfStandardOutput(t *testing.T) {
	dir := errorfs.Private(t)
	out, in, err := os.Pipe()
	must(t, err)
	defer out.Close()
	defer in.Close()
	c := Config{Spool: dir, memory: 1000, times: times{stop: time.Minute}, Dest: dest.Options{Stdout: unclosed{in}}}
	opened, err := Open("-", c)
	must(t, err)
	o := &sender{Output: opened}
	for range 50 {
		must(t, o.send(100)) // more than a pipe holds
	}
	if d := o.Delivery(); d.Spooled == 0 {
		t.Errorf("counts %+v: the spool was not used", d)
	}
	lost, ok := errors.AsType[*UndeliveredError](o.Finish(ended()))
	if d := o.Delivery(); !ok || lost.Records != d.Lost || d.Lost == 0 || d.Queued != 0 || !strings.Contains(lost.Hint(), "convert") {
		t.Errorf("%+v, counts %+v", lost, d)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left in the spool: %v, %v", entries, err)
	}
}

// What a scan that was killed has left for standard output is not delivered to another reader.
func TestSpoolOfStandardOutputKilled(t *testing.T) {
	dir := errorfs.Private(t)
	r, _ := down()
	o, _ := output(t, r, dir, Config{})
	must(t, o.send(10))
	must(t, o.Finish(ended()))
	folders, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(folders) != 1 {
		t.Fatal(folders, err)
	}
	for _, spec := range []string{"-", "nmap-xml:" + filepath.Join(dir, "x.xml")} {
		name, to := Split(spec)
		spools := filepath.Join(t.TempDir(), "spool")
		must(t, os.Mkdir(spools, 0o700))
		copyPrivate(t, filepath.Join(spools, spoolFolder(t, spoolKey(name, to))), folders[0])
		stdout, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
		must(t, err)
		defer stdout.Close()
		said := &notices{}
		next, err := Open(spec, Config{Spool: spools, Notify: said.notify, Dest: dest.Options{Stdout: unclosed{stdout}}})
		must(t, err)
		must(t, next.Close())
		if d := next.Delivery(); d.Delivered+d.Queued != 0 {
			t.Errorf("%s: counts %+v", spec, d)
		}
		if len(said.all) != 1 || said.all[0].Warning == nil || !strings.Contains(said.all[0].Warning.Error(), "10 records") {
			t.Errorf("%s: said %+v", spec, said.all)
		}
	}
}

// spoolFolder is the name of an output's folder.
func spoolFolder(t *testing.T, key string) string {
	t.Helper()
	dir := errorfs.Private(t)
	s, _, err := spool.Open(vfs.OS, dir, key, defaultSpool)
	must(t, err)
	defer s.Close()
	entries, err := os.ReadDir(dir)
	must(t, err)
	return entries[0].Name()
}

// A header that an earlier scan has left in the spool is not written a second time.
func TestHeaderInTheSpool(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out.csv")
	must(t, os.Mkdir(filepath.Join(dir, "spool"), 0o700))
	c := Config{Spool: filepath.Join(dir, "spool"), times: times{stop: time.Minute}}
	first, err := open("csv:"+name, c)
	must(t, err)
	r, _ := down()
	must(t, first.dest.Close()) // whose file stays empty
	c.Format.Fresh = true
	first = newOutput(first.name, known("csv"), parts{about: first.about, dest: r, spool: first.spool, found: first.found}, c)
	first.begin()
	for i, o := range []*Output{first, nil, nil} {
		if i > 0 {
			o, err = Open("csv:"+name, c)
			must(t, err)
		}
		must(t, o.Start(&results.ScanStart{ScanID: "s"}))
		must(t, o.Ports([]results.Port{{Reason: results.SYNACK, Port: 80}}))
		must(t, o.End(&results.ScanEnd{ScanID: "s"}))
		if i == 0 {
			must(t, o.Finish(ended()))
			continue
		}
		must(t, o.Close())
	}
	data, err := os.ReadFile(name)
	must(t, err)
	if n := bytes.Count(data, []byte("saddr,")); n != 1 || !bytes.HasPrefix(data, []byte("saddr,")) || bytes.Count(data, []byte("\n")) != 4 {
		t.Errorf("%d headers in %q", n, data)
	}
}
