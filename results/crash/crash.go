// Package crash keeps a panic in the process's one logger. What the Go runtime prints of one goes past every logger, and
// ends the process before outputs have kept what they have. So whatever starts a goroutine does it by
//
//	go f()                          →  crash.Go(f)
//	group.Go(f)                     →  group.Go(crash.Guarded(f))
//	context.AfterFunc(ctx, f)       →  context.AfterFunc(ctx, crash.Guarded(f))
//
// and the program says once, by Handle, what becomes of a panic. Without a handler, as in the tests of a library, a
// panic is what it always was. The runtime's own faults (maps that are written from two sides, no memory left) are no
// panics and cannot be handled.
package crash

import (
	"errors"
	"runtime/debug"
	"sync/atomic"
)

// Err ends what runs in a process that has had a panic: it is the cause of the contexts that the handler ends. It
// has nothing of the panic's value, and so may be written anywhere.
var Err = errors.New("internal error")

// Handler is told of a panic: its value, and the stack where it was. It is called on the goroutine of the panic, by
// several at a time where there are several. When it comes back the goroutine ends as if its function had returned, so
// the handler first ends whatever would take the function's work for done.
type Handler func(value any, stack []byte)

var handler atomic.Pointer[Handler]

// Handle sets the handler of the process; nil is none.
func Handle(h Handler) {
	if h == nil {
		handler.Store(nil)
		return
	}
	handler.Store(&h)
}

// Go calls f on a goroutine of its own.
func Go(f func()) { go Guarded(f)() }

// Guarded is f for a goroutine that somebody else starts.
func Guarded(f func()) func() {
	return func() {
		defer guard()
		f()
	}
}

// guard is deferred by itself, for recover looks only at who called it.
func guard() {
	h := handler.Load()
	if h == nil {
		return
	}
	if value := recover(); value != nil {
		(*h)(value, debug.Stack())
	}
}
