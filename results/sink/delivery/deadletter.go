package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

// deadLetters is the file of what a destination refuses for good: one JSON object per line, with the
// reason. It is made when the first one comes.
type deadLetters struct {
	output string
	file   dest.Destination
	dirty  bool // some may not be on the disk
}

// letter is one line. Event is the event as it was to be sent, or a string of it where that is not JSON.
type letter struct {
	Time   results.Time    `json:"ts"`
	Output string          `json:"output"`
	Reason string          `json:"reason"`
	Event  json.RawMessage `json:"event"`
}

// letters are the lines for some events of a batch.
func (d *deadLetters) letters(b *batch.Batch, dead []dest.Rejection) *batch.Batch {
	lines := &batch.Batch{}
	for _, r := range dead {
		event := bytes.TrimSpace(b.Event(r.Event))
		if !json.Valid(event) {
			event, _ = json.Marshal(string(event)) // a string always marshals
		}
		line, _ := json.Marshal(letter{results.Time(time.Now()), d.output, r.Reason, event}) // nor can this fail
		lines.Data = append(append(lines.Data, line...), '\n')
		lines.Events = append(lines.Events, batch.Event{End: len(lines.Data)})
	}
	return lines
}

func (d *deadLetters) write(ctx context.Context, lines *batch.Batch) error {
	d.dirty = true
	_, err := d.file.Deliver(ctx, lines)
	return err
}

// sync waits until they are on the disk. Its error is there to stay.
func (d *deadLetters) sync(ctx context.Context) error {
	if !d.dirty {
		return nil
	}
	if _, err := d.file.Sync(ctx); err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	d.dirty = false
	return nil
}
