package screen

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"synoptic/results"
)

// plain is a logger that writes the message and nothing else.
func plain(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		_, msg, _ := strings.Cut(string(p), "msg=")
		if _, err := io.WriteString(w, msg); err != nil {
			return 0, err
		}
		return len(p), nil
	}), nil))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A message takes the progress line out of its way and puts it back.
func TestMessageBesideProgress(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := New(Config{Out: f, Err: f, Logger: plain})
	s.live = true
	s.draw("50%")
	s.log.Warn("look")
	s.draw("60%")
	s.draw("")
	s.log.Warn("there")
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	got.ReadFrom(f)
	want := eraseLine + "50%" + eraseLine + "look\n50%" + eraseLine + "60%" + eraseLine + "there\n"
	if got.String() != want {
		t.Errorf("\ngot  %q\nwant %q", got.String(), want)
	}
}

// Rows of the table are ports; an event is none.
func TestTableHasNoEvents(t *testing.T) {
	var out strings.Builder
	s := &View{}
	if err := s.Events([]results.Event{{Kind: results.EventOutage}}); err != nil {
		t.Fatal(err)
	}
	s.rows.WriteTo(&out)
	if out.Len() > 0 || s.table.headed {
		t.Errorf("the table has %q", out.String())
	}
}
