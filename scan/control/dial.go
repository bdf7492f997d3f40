package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"
)

// answerTime is how long an answer may take: an exclusion of a large scan is counted.
const answerTime = 30 * time.Second

// Ask sends a request to the scan that listens on a socket, and returns its answer with the line that it is. The error Is
// fs.ErrNotExist, fs.ErrPermission or syscall.ECONNREFUSED where no scan can be asked there.
func Ask(path string, r Request) (a Answer, line []byte, err error) {
	if err := r.check(); err != nil {
		return a, nil, err
	}
	conn, err := net.DialTimeout("unix", path, dialTime)
	if err != nil {
		return a, nil, dialError(path, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerTime))
	if err = json.NewEncoder(conn).Encode(r); err == nil {
		line, err = bufio.NewReaderSize(conn, maxAnswer).ReadBytes('\n')
	}
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			err = errors.New("it has hung up: it is over, or too many ask it")
		}
		return a, nil, fmt.Errorf("ask the scan on %s: %w", path, cause(err))
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, nil, fmt.Errorf("ask the scan on %s: its answer is none: %w", path, err)
	}
	return a, line, nil
}

// maxAnswer is room for most answers.
const maxAnswer = 64 << 10

func dialError(path string, err error) error {
	hint := "check the path of the socket"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("no scan listens on %s: %w", path, fs.ErrNotExist)
	case errors.Is(err, syscall.ECONNREFUSED):
		err = fmt.Errorf("no scan listens on %s any more: %w", path, syscall.ECONNREFUSED)
	case errors.Is(err, fs.ErrPermission):
		err, hint = fmt.Errorf("the scan on %s is another user's: %w", path, fs.ErrPermission), "ask as that user, or as root"
	default:
		err = fmt.Errorf("connect to %s: %w", path, cause(err))
	}
	return &unreachable{err, hint}
}

// unreachable is a scan that cannot be asked.
type unreachable struct {
	error
	hint string
}

// Hint says what to look at.
func (e *unreachable) Hint() string { return e.hint }

func (e *unreachable) Unwrap() error { return e.error }
