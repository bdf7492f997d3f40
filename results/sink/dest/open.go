package dest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// schemes are the destinations that are a URL, by their scheme. They take messages: a format with
// Format.Messages.
var schemes = map[string]func(*url.URL, Options) (Destination, error){
	"hec+https":     openHEC,
	"elastic+https": openElastic,
	"syslog+tcp":    openSyslog,
	"syslog+tls":    openSyslog,
	"unix":          openUnix,
}

// Kinds are the schemes of URLs, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(schemes)) }

// IsURL tells a destination with a scheme from a file name, and whether the word before the first colon
// of a DEST is a scheme at all.
func IsURL(scheme string) bool { return schemes[scheme] != nil }

// scheme is what a URL begins with, or "" for a file name. One that nobody knows is told by the slashes.
func scheme(name string) string {
	s, rest, ok := strings.Cut(name, ":")
	if ok && (IsURL(s) || len(s) > 1 && strings.HasPrefix(rest, "//") && !strings.ContainsAny(s, `/\`)) {
		return s
	}
	return ""
}

// IsRemote tells the destination of a URL from a file and standard output.
func IsRemote(name string) bool { return scheme(name) != "" }

// Content is what a destination has to know of the format that is written to it.
type Content struct {
	// Messages says that every event is a message by itself, which a receiver of messages can take.
	Messages bool
	// Document says that a file holds one scan and is written anew, not appended to.
	Document bool
	// Headed says that a file means nothing without its beginning; a document is headed anyway.
	Headed bool
	// Whole tells how many bytes of a file are whole, false where it is of another kind: what is behind them is cut off before
	// anything is appended. nil: a last line that was cut is ended.
	Whole func(r io.ReaderAt, size int64) (int64, bool)
	// Header is the line that a file of rows begins with, with its end; "" where there is none. In rows quotes may hold
	// line ends.
	Header string
}

// Open makes ready the destination of the name: "-", a file, or a URL. What is wrong with it for good,
// or can be seen to fail now, is an error here. fresh tells that nothing is in it yet, or that it is a
// document, which is written anew.
func Open(name string, c Content, o Options) (d Destination, fresh bool, err error) {
	switch {
	case name == "":
		return nil, false, newError("", errors.New("no destination"), "give a file name, or - for standard output")
	case name == "-":
		d, fresh = newStream(o.Stdout, c)
		return d, fresh, nil
	case scheme(name) != "":
		d, err = openURL(scheme(name), name, c, o)
		return d, true, err
	}
	return openFile(name, c, o.Files)
}

var errUser = newError("", errors.New("a URL with user information in it is refused: the command line is no place for a secret"), "give the secret in the environment or in a file (HECToken, ElasticAPIKey, ElasticPassword)")

// ErrNoMessages is a format that the destination cannot take.
var ErrNoMessages = errors.New("this destination takes one JSON object per message, and the format has none")

// openURL never repeats what it refuses: there may be a secret in it.
func openURL(scheme, name string, c Content, o Options) (Destination, error) {
	open := schemes[scheme]
	if open == nil {
		return nil, newError("", fmt.Errorf("unknown kind of destination %q", scheme), "the kinds are "+strings.Join(Kinds(), ", "))
	}
	u, err := url.Parse(name)
	switch {
	case err != nil:
		return nil, newError("", errors.New("this is not a URL"), "write "+scheme+"://HOST:PORT")
	case u.User != nil:
		return nil, errUser
	case holdsSecret(u):
		return nil, newError("", errors.New("a URL with a secret in it is refused: the command line is no place for one"), "give the secret in the environment or in a file (HECToken, ElasticAPIKey, ElasticPassword)")
	case !c.Messages:
		return nil, newError("", ErrNoMessages, "use a format of messages, or write this one to a file")
	}
	return open(u, o)
}

// holdsSecret tells whether a parameter of the URL's query is named like one.
func holdsSecret(u *url.URL) bool {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return true // nobody can say what it is
	}
	for name := range query {
		if namesSecret(name) {
			return true
		}
	}
	return false
}
