// Package sink writes the record stream: one writer per format and destination.
package sink

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"synoptic/results"
)

// flushSize is where a batch is written out without waiting for Flush: large enough that the
// system call is cheap beside the encoding, small enough that a pipe's reader sees progress.
const flushSize = 64 << 10

// JSONLines writes the native format: one JSON object per line (NDJSON), whole lines in every write.
// After an error it writes nothing more, so that no record follows a torn line: every call returns
// the error.
type JSONLines struct {
	w      io.WriteCloser
	scanID string
	buf    []byte
	err    error
}

// NewJSONLines writes to w and closes it at the end.
func NewJSONLines(w io.WriteCloser) *JSONLines {
	return &JSONLines{w: w, buf: make([]byte, 0, 2*flushSize)}
}

// Start writes the scan_start record at once, so that a reader knows what is coming.
func (j *JSONLines) Start(s *results.ScanStart) (err error) {
	j.scanID = s.ScanID
	if j.buf, err = s.AppendJSON(j.buf); err != nil {
		return fmt.Errorf("encode scan_start: %w", err)
	}
	j.buf = append(j.buf, '\n')
	return j.Flush()
}

// Ports encodes a batch.
func (j *JSONLines) Ports(batch []results.Port) error {
	for i := range batch {
		if err := j.line(batch[i].AppendJSON(j.buf, j.scanID)); err != nil {
			return err
		}
	}
	return nil
}

// Hosts encodes a batch of host summaries.
func (j *JSONLines) Hosts(batch []results.Host) error {
	for i := range batch {
		if err := j.line(batch[i].AppendJSON(j.buf, j.scanID)); err != nil {
			return err
		}
	}
	return nil
}

// line takes the buffer with one more record, and writes out what has become long.
func (j *JSONLines) line(buf []byte) error {
	j.buf = append(buf, '\n')
	if len(j.buf) < flushSize {
		return nil
	}
	return j.Flush()
}

// Flush hands the whole lines gathered so far to the destination in one write.
func (j *JSONLines) Flush() error {
	if j.err == nil && len(j.buf) > 0 {
		n, err := j.w.Write(j.buf)
		if err != nil {
			j.err = fmt.Errorf("write records: %w", err)
			j.untear(j.buf[:n])
		}
	}
	j.buf = j.buf[:0]
	return j.err
}

// untear takes the beginning of a line, which a failed write has left behind, from the end of a
// regular file. Where that is not possible it stays: nothing is written behind it.
func (j *JSONLines) untear(written []byte) {
	torn := len(written) - (bytes.LastIndexByte(written, '\n') + 1)
	f, ok := j.w.(interface {
		io.Seeker
		Stat() (os.FileInfo, error)
		Truncate(size int64) error
	})
	if torn == 0 || !ok {
		return
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	// If another process has appended to the file since, the end is not ours.
	if at, err := f.Seek(0, io.SeekCurrent); err != nil || at != info.Size() {
		return
	}
	_ = f.Truncate(info.Size() - int64(torn)) // the write's error is what the user is told
}

// End writes the scan_end record.
func (j *JSONLines) End(s *results.ScanEnd) (err error) {
	if j.buf, err = s.AppendJSON(j.buf); err != nil {
		return fmt.Errorf("encode scan_end: %w", err)
	}
	j.buf = append(j.buf, '\n')
	return j.Flush()
}

// Close closes the destination.
func (j *JSONLines) Close() error { return j.w.Close() }
