package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"synoptic/results/sink/vfs"
)

// monitorState is where a monitor stands: a line of JSON, and behind it the planner's snapshot, which has a check sum of its own.
type monitorState struct {
	Version int    `json:"synoptic_monitor"`
	Seed    uint64 `json:"seed"`
	Vantage string `json:"vantage"`
	Fresh   bool   `json:"fresh"` // nothing was known of the vantage point when the cycle began: what was never asked before is no news

	snapshot []byte
	lost     error // why the snapshot could not be used
}

const monitorStateVersion = 1

// mostSeed is the largest seed: JSON readers know integers up to 2^53.
const mostSeed = 1<<53 - 1

// readState reads a state file; where there is none, it is that of a monitor which begins.
func readState(file string) (*monitorState, error) {
	begins := &monitorState{Version: monitorStateVersion, Seed: rand.Uint64N(mostSeed + 1)}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 {
		return begins, nil
	}
	if err != nil {
		return nil, usage("give a file, or leave --state out", "%v", err)
	}
	s := &monitorState{}
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	switch err := json.Unmarshal(line, s); {
	case err != nil || s.Version == 0:
		return nil, usage("give another --state FILE, or remove it", "%s is no state of a monitor", file)
	case s.Version > monitorStateVersion:
		return nil, usage("take the newer program, or another --state FILE", "%s is of a newer version", file)
	}
	s.snapshot = rest
	return s, nil
}

// write puts the state in the place of the one before, whole or not at all.
func (s *monitorState) write(file string, snapshot []byte) error {
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := replaceFile(vfs.OS, file, append(append(line, '\n'), snapshot...)); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

// replaceFile puts data in the place of a file, whole or not at all, whatever happens meanwhile.
func replaceFile(files vfs.FS, name string, data []byte) (err error) {
	temp := name + ".new"
	f, err := files.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = cmp.Or(err, f.Sync(), f.Close()); err != nil {
		_ = files.Remove(temp) // it is of no use
		return err
	}
	if err := files.Rename(temp, name); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(name))
}
