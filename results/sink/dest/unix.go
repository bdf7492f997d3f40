package dest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"

	"synoptic/results/sink/batch"
)

// openUnix delivers to unix:/PATH, a stream socket, as lines. Option: resend, as for syslog.
func openUnix(u *url.URL, o Options) (Destination, error) {
	path := filepath.FromSlash(u.Path)
	if u.Host != "" || u.Opaque != "" || u.Fragment != "" || u.Path == "" || u.Path[0] != '/' {
		return nil, newError("", errors.New("this is not the path of a socket"), "give unix:/PATH; %3F stands for ?, %23 for #, %25 for %")
	}
	q, err := options(u)
	if err != nil {
		return nil, err
	}
	keep, err := resendOption(q)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context) (*conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		if addr, ok := errors.AsType[*net.AddrError](err); ok {
			return nil, &Permanent{addr}
		}
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		s := c.(*net.UnixConn)
		if err := s.SetWriteBuffer(sendBuffer); err != nil {
			s.Close()
			return nil, fmt.Errorf("set send buffer: %w", err)
		}
		return newConn(s, s), nil
	}
	s, err := newOneWay(keep, dial, func(dst []byte, b *batch.Batch) []byte { return append(dst, b.Data...) })
	if err != nil {
		return nil, newError("", err, "give the path of a stream socket, of some 100 bytes at most")
	}
	return s, nil
}
