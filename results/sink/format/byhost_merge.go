package format

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// run is a sorted sequence of records with its current one. It lies in the temporary file, or, for what
// was not written, in memory.
type run struct {
	record []byte
	file   *bufio.Reader
	memory func() []byte // the next record, nil at the end
	check  decoder       // of what comes from the file
}

// newRun reads records from a part of the temporary file by a buffer of so many bytes.
func newRun(from io.Reader, size int) *run {
	return &run{file: bufio.NewReaderSize(from, size), check: decoder{names: map[string]string{}}}
}

// next moves on to the next record; io.EOF is the end.
func (r *run) next() error {
	if r.file == nil {
		if r.record = r.memory(); r.record == nil {
			return io.EOF
		}
		return nil
	}
	var head [recordHead]byte
	if _, err := io.ReadFull(r.file, head[:]); err != nil {
		return err // io.EOF between two records alone is the end
	}
	n := recordLen(head[:])
	if n < keyEnd || n > maxRecord {
		return fmt.Errorf("read sorted records: a record of %d bytes", n)
	}
	if cap(r.record) < n {
		r.record = make([]byte, n, 2*n)
	}
	r.record = r.record[:n]
	copy(r.record, head[:])
	if _, err := io.ReadFull(r.file, r.record[recordHead:]); err != nil {
		return fmt.Errorf("read sorted records: %w", io.ErrUnexpectedEOF)
	}
	if !r.check.readable(r.record) {
		return fmt.Errorf("read sorted records: a damaged record of %d bytes", n)
	}
	return nil
}

// merge is a heap of runs by their current records.
type merge []*run

// merge begins to read all runs.
func (b *byHost) merge() (m merge, err error) {
	b.sort()
	rest := b.entries
	runs := []*run{{memory: func() []byte {
		if len(rest) == 0 {
			return nil
		}
		e := rest[0]
		rest = rest[1:]
		return b.record(e)
	}}}
	size := min(max(b.limit/max(len(b.runs), 1), 4<<10), 256<<10)
	var begin int64
	for _, end := range b.runs {
		runs = append(runs, newRun(io.NewSectionReader(b.file, begin, end-begin), size))
		begin = end
	}
	for _, r := range runs {
		switch err := r.next(); {
		case errors.Is(err, io.EOF):
		case err != nil:
			return nil, err
		default:
			m = append(m, r)
		}
	}
	for i := len(m)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return m, nil
}

// advance moves past the first record of all.
func (m *merge) advance() error {
	h := *m
	err := h[0].next()
	if errors.Is(err, io.EOF) {
		last := len(h) - 1
		h[0] = h[last]
		*m, err = h[:last], nil
	}
	m.down(0)
	return err
}

// down puts the run at i where its record belongs among those below it.
func (m merge) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(m) {
			return
		}
		if child+1 < len(m) && compareRecords(m[child+1].record, m[child].record) < 0 {
			child++
		}
		if compareRecords(m[i].record, m[child].record) <= 0 {
			return
		}
		m[i], m[child] = m[child], m[i]
		i = child
	}
}
