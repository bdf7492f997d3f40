package dest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sort"
	"syscall"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/vfs"
)

// diskFull tells whether a write failed because there is no room, or none left for this user.
func diskFull(err error) bool {
	if runtime.GOOS == "windows" {
		return errors.Is(err, syscall.Errno(112)) || errors.Is(err, syscall.Errno(39)) // ERROR_DISK_FULL, ERROR_HANDLE_DISK_FULL
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// appender writes batches so that a write which fails half way tears no event: the beginning of an
// event that it leaves behind is cut off again, and the next try goes on with that event.
type appender struct {
	w    io.Writer
	done int // bytes of the batch that is being written that need not be written again
}

// write writes what is left of the batch. On a regular file a full disk is a *Full; every other error
// is *Permanent: a device or a pipe that says so will not get emptier by waiting.
// The wait for a descriptor that would block ends with ctx.
func (a *appender) write(ctx context.Context, b *batch.Batch) error {
	n, err := vfs.Write(ctx, a.w, b.Data[a.done:])
	if err == nil && a.done+n < len(b.Data) {
		err = io.ErrShortWrite
	}
	if err == nil {
		a.done = 0
		return nil
	}
	a.done += n
	whole := wholeEvents(b, a.done)
	regular := a.regular()
	cut, cutErr := a.cut(a.done - whole)
	switch {
	case cut:
		a.done = whole
	case errors.Is(cutErr, errNotOurs):
		// Others have written behind the torn event: it is written again, whole.
		a.done = whole
	default:
		// The torn event is at the end of the file still: it goes on exactly there.
	}
	err = fmt.Errorf("write records: %w", err)
	if regular && (diskFull(err) || errors.Is(err, io.ErrShortWrite)) {
		return &Full{err}
	}
	return &Permanent{err}
}

// rewind makes the event that was left torn, if any, be written whole: somewhere else.
func (a *appender) rewind(b *batch.Batch) { a.done = wholeEvents(b, a.done) }

// wholeEvents is the end of the last event that lies within the first n bytes.
func wholeEvents(b *batch.Batch, n int) int {
	i := sort.Search(len(b.Events), func(i int) bool { return b.Events[i].End > n })
	if i == 0 {
		return 0
	}
	return b.Events[i-1].End
}

// truncater is what a file can do besides being written.
type truncater interface {
	io.Seeker
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
}

func (a *appender) regular() bool {
	f, ok := a.w.(truncater)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

var errNotOurs = errors.New("the end of the file is not ours")

// cut takes the last torn bytes, which a failed write has left behind, from the end of a regular file.
func (a *appender) cut(torn int) (done bool, err error) {
	f, ok := a.w.(truncater)
	switch {
	case torn == 0:
		return true, nil
	case !ok:
		return false, nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	// If another process has appended to the file since, the end is not ours.
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return false, err
	}
	if at != info.Size() {
		return false, errNotOurs
	}
	if err := f.Truncate(at - int64(torn)); err != nil {
		return false, err
	}
	// A file that was not opened to be appended to would be written behind a hole.
	_, err = f.Seek(at-int64(torn), io.SeekStart)
	return err == nil, err
}
