//go:build !linux

package listeners

import "errors"

var errHidden = &Issue{"hidden sockets", errors.ErrUnsupported, "only Linux lists sockets that are bound and do not listen"}
