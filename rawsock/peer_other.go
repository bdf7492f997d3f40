//go:build !linux && !darwin && !freebsd

package rawsock

import "errors"

// KnowsPeers tells whether PeerUID works on this system.
const KnowsPeers = false

func peerUID(int) (int, error) { return 0, errors.ErrUnsupported }
