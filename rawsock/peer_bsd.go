//go:build darwin || freebsd

package rawsock

import "golang.org/x/sys/unix"

// KnowsPeers tells whether PeerUID works on this system.
const KnowsPeers = true

func peerUID(fd int) (int, error) {
	c, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(c.Uid), nil
}
