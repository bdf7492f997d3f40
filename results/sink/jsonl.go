// Package sink writes the record stream: one writer per format and destination.
package sink

import (
	"fmt"
	"io"

	"synoptic/results"
)

// flushSize is where a batch is written out without waiting for Flush: large enough that the
// system call is cheap beside the encoding, small enough that a pipe's reader sees progress.
const flushSize = 64 << 10

// JSONLines writes the native format: one JSON object per line (NDJSON), whole lines in every write.
type JSONLines struct {
	w      io.WriteCloser
	scanID string
	buf    []byte
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
		j.buf = append(batch[i].AppendJSON(j.buf, j.scanID), '\n')
		if len(j.buf) >= flushSize {
			if err := j.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Flush hands the whole lines gathered so far to the destination in one write.
func (j *JSONLines) Flush() error {
	if len(j.buf) == 0 {
		return nil
	}
	_, err := j.w.Write(j.buf)
	j.buf = j.buf[:0]
	if err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	return nil
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
