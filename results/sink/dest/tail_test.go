package dest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/vfs"
)

const testHeader = "saddr,sport,banner\n"

// row is a batch of one line.
func row(text string) *batch.Batch {
	return &batch.Batch{Data: []byte(text + "\n"), Events: []batch.Event{{End: len(text) + 1, Records: 1}}}
}

// What a killed scan, a full disk or a power failure has left is ended before the next record, and that one is whole.
func TestAppendToCutLine(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for name, c := range map[string]struct {
		header      string
		there, want string
	}{
		"empty":                     {"", "", "NEW\n"},
		"whole":                     {"", "{\"a\":1}\n", "{\"a\":1}\nNEW\n"},
		"cut":                       {"", "{\"a\":1}\n{\"a\":", "{\"a\":1}\n{\"a\":\nNEW\n"},
		"cut in a string":           {"", "{\"a\":1}\n{\"a\":\"b", "{\"a\":1}\n{\"a\":\"b\nNEW\n"},
		"only the line end missing": {"", "{\"a\":1}", "{\"a\":1}\nNEW\n"},
		"one byte":                  {"", "{", "{\nNEW\n"},
		"zeros of a power failure":  {"", "{\"a\":1}\n\x00\x00\x00", "{\"a\":1}\n\x00\x00\x00\nNEW\n"},
		"carriage return":           {"", "{\"a\":1}\r", "{\"a\":1}\r\nNEW\n"},
		"within a character":        {"", "{\"a\":\"\xc3", "{\"a\":\"\xc3\nNEW\n"},
		"a long line":               {"", "a\n" + long, "a\n" + long + "\nNEW\n"},
		"a line of a block":         {"", strings.Repeat("y", 4095) + "\n" + strings.Repeat("z", 4096), strings.Repeat("y", 4095) + "\n" + strings.Repeat("z", 4096) + "\nNEW\n"},
		"rows":                      {testHeader, testHeader + "10.0.0.1,80,\n", testHeader + "10.0.0.1,80,\nNEW\n"},
		"a row cut":                 {testHeader, testHeader + "10.0.0.1,8", testHeader + "10.0.0.1,8\nNEW\n"},
		"a row cut in quotes":       {testHeader, testHeader + "10.0.0.1,80,\"SSH", testHeader + "10.0.0.1,80,\"SSH\"\nNEW\n"},
		"cut behind the quotes":     {testHeader, testHeader + "10.0.0.1,80,\"SSH\"", testHeader + "10.0.0.1,80,\"SSH\"\nNEW\n"},
		"cut between two quotes":    {testHeader, testHeader + "10.0.0.1,80,\"a\"\"", testHeader + "10.0.0.1,80,\"a\"\"\"\nNEW\n"},
		"quotes before":             {testHeader, testHeader + "1,2,\"a\"\"b\"\n1,2,\"", testHeader + "1,2,\"a\"\"b\"\n1,2,\"\"\nNEW\n"},
		"long quotes":               {testHeader, testHeader + "1,2,\"" + long, testHeader + "1,2,\"" + long + "\"\nNEW\n"},
		"header only":               {testHeader, testHeader, testHeader + "NEW\n"},
		"a cut header":              {testHeader, "saddr,sp", "NEW\n"}, // as fresh: the encoder writes it
		"a header without its end":  {testHeader, strings.TrimSuffix(testHeader, "\n"), "NEW\n"},
		"dead letters":              {"dead", "{\"ts\":", "{\"ts\":\nNEW\n"},
	} {
		file := filepath.Join(t.TempDir(), "out")
		must(t, os.WriteFile(file, []byte(c.there), 0o600))
		var d Destination
		fresh := false
		if c.header == "dead" {
			d = NewFile(file, vfs.OS, false)
		} else {
			d, fresh = openTest(t, file, Content{Header: c.header})
		}
		if got := content(t, file); got != c.there {
			t.Errorf("%s: changed before the first record: %q", name, got)
		}
		deliver(t, d, row("NEW"))
		must(t, d.Close())
		if got := content(t, file); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
		if want := c.there == "" || c.want == "NEW\n"; fresh != want {
			t.Errorf("%s: fresh %v", name, fresh)
		}
	}
}

// A cut line is looked for behind a rename, too, and a file of rows begins with its header there.
func TestReopenedTail(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	d, _ := openTest(t, name, Content{Header: testHeader})
	deliver(t, d, row(strings.TrimSuffix(testHeader, "\n")))
	deliver(t, d, row("1"))
	must(t, os.Rename(name, name+".1"))
	must(t, d.Reopen())
	deliver(t, d, row("2"))
	must(t, os.Rename(name, name+".2"))
	must(t, os.WriteFile(name, []byte(testHeader+"cut"), 0o600))
	must(t, d.Reopen())
	deliver(t, d, row("3"))
	must(t, d.Close())
	for file, want := range map[string]string{name + ".1": testHeader + "1\n", name + ".2": testHeader + "2\n", name: testHeader + "cut\n3\n"} {
		if got := content(t, file); got != want {
			t.Errorf("%s: %q", filepath.Base(file), got)
		}
	}
}

// Rows under the header of others would be misread.
func TestOtherColumns(t *testing.T) {
	for _, there := range []string{"saddr,daddr\n", "saddr,sport,banner,more\n", "10.0.0.1,80\n", "\n", "{}\n", "saddr,sport,banner\r\n", "saddr\n", " " + testHeader, "\xef\xbb\xbf" + testHeader, strings.ToUpper(testHeader)} {
		name := filepath.Join(t.TempDir(), "out.csv")
		must(t, os.WriteFile(name, []byte(there), 0o600))
		_, _, err := Open(name, Content{Header: testHeader}, Options{})
		if err == nil || !strings.Contains(err.Error(), "other columns") || content(t, name) != there {
			t.Errorf("%q: %v", there, err)
		}
	}
}

// Standard output may be a file that is appended to (>>), or follow what others have written to it.
func TestStreamTail(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip(err)
	}
	for name, c := range map[string]struct {
		content     Content
		there, want string
		fresh       bool
	}{
		"new":             {Content{}, "", "NEW\n", true},
		"lines":           {Content{}, "a\n", "a\nNEW\n", true},
		"a cut line":      {Content{}, "a\nb", "a\nb\nNEW\n", true},
		"new rows":        {Content{Header: testHeader}, "", "NEW\n", true},
		"rows":            {Content{Header: testHeader}, testHeader + "1\n", testHeader + "1\nNEW\n", false},
		"a cut row":       {Content{Header: testHeader}, testHeader + "1,\"", testHeader + "1,\"\"\nNEW\n", false},
		"rows of others":  {Content{Header: testHeader}, "# by hand\n", "# by hand\nNEW\n", true},
		"a cut header":    {Content{Header: testHeader}, "saddr", "saddr\nNEW\n", true},
		"a document":      {Content{Document: true}, "<x>", "<x>NEW\n", true},
		"headed: packets": {Content{Headed: true}, "\x0a\x0d\x0d", "\x0a\x0d\x0dNEW\n", true},
	} {
		file := filepath.Join(t.TempDir(), "out")
		must(t, os.WriteFile(file, []byte(c.there), 0o600))
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
		must(t, err)
		d, fresh, err := Open("-", c.content, Options{Stdout: f})
		must(t, err)
		deliver(t, d, row("NEW"))
		must(t, d.Close())
		if got := content(t, file); got != c.want || fresh != c.fresh {
			t.Errorf("%s: %q, fresh %v", name, got, fresh)
		}
	}
}
