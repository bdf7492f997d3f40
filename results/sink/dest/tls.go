package dest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"synoptic/results/textfile"
)

// TLS is how a receiver is verified, and how we show who we are.
type TLS struct {
	CAFile            string // PEM certificates to trust besides the system's
	CertFile, KeyFile string // PEM, of the client
}

// maxPEM bounds what is read of a certificate or key file, in bytes. The bundle of a whole operating
// system is a quarter of a megabyte.
const maxPEM = 4 << 20

// Config is the TLS side of a connection to serverName, the name or address that the receiver's
// certificate must be for; "" leaves it to the caller, as net/http does. The receiver is always
// verified, against the system's roots and CAFile, and TLS 1.2 is the least (RFC 9325 section 3.1.1).
// Errors name the file and have a hint.
func (t TLS) Config(serverName string) (*tls.Config, error) {
	c := &tls.Config{ServerName: serverName, MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		roots, err := x509.SystemCertPool()
		if err != nil { // a host without any: CAFile is all there is
			roots = x509.NewCertPool()
		}
		pem, err := readPEM("CAFile", "CA file", t.CAFile)
		if err != nil {
			return nil, err
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, newError("CAFile", fmt.Errorf("CA file %s: no certificate in it", t.CAFile), "CAFile takes certificates in PEM: -----BEGIN CERTIFICATE-----")
		}
		c.RootCAs = roots
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		given, missing := "CertFile "+t.CertFile, "KeyFile"
		if t.CertFile == "" {
			given, missing = "KeyFile "+t.KeyFile, "CertFile"
		}
		return nil, newError("CertFile", fmt.Errorf("%s is given without %s", given, missing), "a client shows a certificate and has its key: give both, or neither")
	}
	if t.CertFile == "" {
		return c, nil
	}
	certPEM, err := readPEM("CertFile", "client certificate", t.CertFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readPEM("KeyFile", "client key", t.KeyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, newError("CertFile", fmt.Errorf("client certificate %s with key %s: %w", t.CertFile, t.KeyFile, err), "give a certificate and its own key, both in PEM and the key not encrypted")
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// readPEM reads a file that a field of TLS names, however it was saved. Its errors name the file.
func readPEM(field, what, name string) ([]byte, error) {
	hint := "give a PEM file that you may read to " + field
	f, err := os.Open(name)
	if err != nil {
		return nil, newError(field, fmt.Errorf("%s: %w", what, err), hint)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(textfile.NewReader(f, textfile.Options{}), maxPEM+1))
	form, isForm := errors.AsType[*textfile.Error](err)
	switch {
	case isForm:
		return nil, newError(field, fmt.Errorf("%s %s: %w", what, name, err), form.Hint())
	case err != nil:
		return nil, newError(field, fmt.Errorf("%s: %w", what, err), hint)
	case len(data) > maxPEM:
		return nil, newError(field, fmt.Errorf("%s %s: more than %d bytes", what, name, maxPEM), hint)
	}
	return data, nil
}

// tlsHint is for a handshake that only an operator can fix.
const tlsHint = "see that the port speaks TLS 1.2 or later, and whether the receiver wants a client certificate (CertFile)"

// caHint is for a certificate that does not verify.
const caHint = "give the authority that signed the receiver's certificate to CAFile, and the host by a name that the certificate has"

// oldHint is for a receiver that speaks no TLS 1.2.
const oldHint = "TLS 1.2 is the least: have the receiver speak it, or a relay in front of it"

// hintTLS says how to fix an error of a handshake.
func hintTLS(err error) string {
	if unverified(err) {
		return caHint
	}
	if _, ok := errors.AsType[*oldTLSError](err); ok {
		return oldHint
	}
	return tlsHint
}

// oldTLSError is a receiver whose TLS is older than ours goes back.
type oldTLSError struct {
	version string // what it speaks; "" where it does not say
	err     error
}

func (e *oldTLSError) Error() string {
	if e.version == "" {
		return "the receiver's TLS version is too old, for it knows none from 1.2 on: " + e.err.Error()
	}
	return "the receiver's TLS version is too old, " + e.version + ": " + e.err.Error()
}

func (e *oldTLSError) Unwrap() error { return e.err }

const (
	// alertProtocolVersion is what a server says to a client all of whose versions are unknown to it (RFC 8446 section 6.2).
	alertProtocolVersion = tls.AlertError(70)
	// oldChoice begins what package tls says, with the version in hex, of a server that chooses one that was not offered.
	// There is no type for it; nothing but words hangs on it here.
	oldChoice = "tls: server selected unsupported protocol version "
)

// explainTLS says of an error of a handshake where the receiver's version is at fault.
func explainTLS(err error) error {
	// The type of an alert is package tls's own, its words are those of tls.AlertError.
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" && op.Err.Error() == alertProtocolVersion.Error() {
		return &oldTLSError{"", err}
	}
	if _, hex, ok := strings.Cut(err.Error(), oldChoice); ok {
		if v, bad := strconv.ParseUint(hex, 16, 16); bad == nil {
			return &oldTLSError{tls.VersionName(uint16(v)), err}
		}
	}
	return err
}

// tlsError tells what only an operator can fix from what may pass.
func tlsError(err error) error {
	lasting := lastingTLS(err)
	if err = fmt.Errorf("TLS: %w", explainTLS(err)); lasting {
		return &Permanent{err}
	}
	return err
}

// lastingTLS tells whether a handshake would end in the same error again: what the two sides have to say to each
// other failed, not the connection below it. Package tls has no type for most of that, a version that is too old for
// one, but the connection's errors have theirs.
func lastingTLS(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" { // an alert of the receiver
		return true
	}
	_, network := errors.AsType[net.Error](err) // a time-out, or a *net.OpError of any other kind
	_, system := errors.AsType[syscall.Errno](err)
	broken := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
	ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	return unverified(err) || !network && !system && !broken && !ended
}

// unverified tells whether an error is the receiver's certificate, which time does not mend.
func unverified(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}
