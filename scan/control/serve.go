package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"synoptic/rawsock"

	"synoptic/results/crash"
)

const (
	// maxClients connections are served at once; more are closed.
	maxClients = 16
	// idleTime is how long a connection may say nothing.
	idleTime = 5 * time.Minute
	// writeTime is how long an answer may take.
	writeTime = 5 * time.Second
)

// Server answers requests.
type Server struct {
	Scan    Scan
	Monitor Monitor // instead of a scan; nil: none
	// Clean takes secrets out of an answer; nil: there are none in it.
	Clean func(string) string

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// Serve answers whoever connects, root and the user of this process only, until ctx ends; then it closes the listener, which is
// one of Listen's or like it, and returns when all is closed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.conns = map[net.Conn]struct{}{}
	var serving sync.WaitGroup
	defer serving.Wait()
	var closing error
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, crash.Guarded(func() {
		defer close(closed)
		closing = l.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			c.Close()
		}
	}))
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			<-closed
			return closing
		case errors.Is(err, net.ErrClosed):
			stop()
			return err
		default: // out of descriptors, for instance
			time.Sleep(acceptPause)
			continue
		}
		if !s.enter(ctx, conn) {
			conn.Close()
			continue
		}
		serving.Go(crash.Guarded(func() {
			defer s.leave(conn)
			s.serve(conn)
		}))
	}
}

// acceptPause is waited before the next connection where the last one could not be taken.
const acceptPause = 100 * time.Millisecond

func (s *Server) enter(ctx context.Context, conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) == maxClients || ctx.Err() != nil {
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

func (s *Server) leave(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// serve answers the requests of a connection, one after the other.
func (s *Server) serve(conn net.Conn) {
	refused := allowed(conn) // told behind the first request: whoever sends into a connection that is closed hears nothing
	lines := bufio.NewReaderSize(conn, maxLine)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(idleTime))
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			_ = s.answer(conn, Answer{Error: fmt.Sprintf("a request has %d bytes at most", maxLine), Hint: "send it in several"})
			return // nobody knows where the next begins
		}
		if len(line) == 0 || err != nil && !errors.Is(err, io.EOF) {
			return
		}
		if refused != nil {
			_ = s.answer(conn, Answer{Error: refused.Error(), Hint: "ask as that user, or as root"})
			return
		}
		if s.answer(conn, s.handle(line)) != nil || err != nil {
			return
		}
	}
}

// handle answers a line.
func (s *Server) handle(line []byte) Answer {
	r, err := ParseRequest(line)
	if err != nil {
		return Answer{Verb: short(r.Verb), Error: err.Error(), Hint: hintOf(err)}
	}
	if s.Monitor != nil {
		return DoMonitor(s.Monitor, r)
	}
	return Do(s.Scan, r)
}

func (s *Server) answer(conn net.Conn, a Answer) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	text := string(line)
	if s.Clean != nil {
		text = s.Clean(text)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
	_, err = io.WriteString(conn, text+"\n")
	return err
}

// allowed refuses everybody but root and the user of this process. A listener that is no Unix socket is its maker's affair.
func allowed(conn net.Conn) error {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return nil
	}
	uid, err := rawsock.PeerUID(c)
	if err != nil {
		return err
	}
	if uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("the scan runs as uid %d, and uid %d may not change it", os.Geteuid(), uid)
	}
	return nil
}
