package target

import (
	"errors"
	"net"
	"strings"
)

// lookupError says in a person's words why a name has no addresses.
type lookupError struct {
	text   string
	silent bool // the name server has said nothing
	cause  error
}

func (e *lookupError) Error() string { return e.text }

// Unwrap gives what the resolver said.
func (e *lookupError) Unwrap() error { return e.cause }

// explain makes a lookupError of a resolver's error.
func explain(err error) *lookupError {
	e := &lookupError{cause: err}
	dns, ok := errors.AsType[*net.DNSError](err)
	if !ok {
		e.text = "cannot resolve: " + err.Error()
		return e
	}
	server := "the name server"
	if dns.Server != "" {
		server += " " + strings.TrimSuffix(dns.Server, ":53")
	}
	why := dns.Err
	switch {
	case dns.IsNotFound:
		why = "no such name"
	case dns.IsTimeout:
		why, e.silent = server+" does not answer", true
	case dns.Server == "":
	default: // it says so, its host refuses, or there is no way to it
		why = server + " cannot answer"
	}
	e.text = "cannot resolve: " + why
	return e
}
