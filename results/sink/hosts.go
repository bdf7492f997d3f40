package sink

import "synoptic/results"

// Hosts encodes a batch of host summaries.
func (j *JSONLines) Hosts(batch []results.Host) error {
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

// Hosts hands on a batch.
func (t Tee) Hosts(batch []results.Host) error {
	return t.each(func(k results.Sink) error { return k.Hosts(batch) })
}
