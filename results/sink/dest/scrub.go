package dest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Scrubber takes secrets out of text that somebody else had a part in: a receiver that repeats the request's
// headers in its error must not get the token into our logs and dead letters, nor must a library that quotes what
// it was given. The zero value knows none; its methods may be called from any goroutine.
type Scrubber struct {
	mu    sync.RWMutex
	forms []string        // of all secrets, in lower case, the longest first
	parts map[string]bool // of long ones, each partLen(form) long
	lens  []int           // the lengths of parts
}

// NewScrubber knows some secrets.
func NewScrubber(secrets ...string) *Scrubber {
	s := &Scrubber{}
	s.Add(secrets...)
	return s
}

const (
	// minSecret is what a secret has at least, in bytes: to take out shorter ones would leave nothing readable.
	minSecret = 4
	// A form of longForm bytes or more is known by its half as well: who quotes a secret may cut it off.
	longForm = 24
)

// Add makes more secrets known, in the forms that they are likely to come back in: plain, in base64 at any
// alignment, in hex, in a string of JSON or Go, in a URL, in HTML.
func (s *Scrubber) Add(secrets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range secrets {
		if len(x) < minSecret {
			continue
		}
		quoted, _ := json.Marshal(x) // of a string: cannot fail
		goQuoted := strconv.Quote(x)
		forms := append(base64Forms(x), x, string(quoted[1:len(quoted)-1]), goQuoted[1:len(goQuoted)-1],
			url.QueryEscape(x), url.PathEscape(x), hex.EncodeToString([]byte(x)), html.EscapeString(x))
		var twice []string // a text with a secret in it that is quoted once more, as by a message in JSON
		for _, form := range forms {
			again, _ := json.Marshal(form)
			twice = append(twice, string(again[1:len(again)-1]), strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(form))
		}
		for _, form := range append(forms, twice...) {
			s.add(lowerASCII(form))
		}
	}
	// The longest first: a secret within another must not leave the rest of that standing.
	slices.SortFunc(s.forms, func(a, b string) int { return len(b) - len(a) })
}

func (s *Scrubber) add(form string) {
	if len(form) < minSecret || slices.Contains(s.forms, form) {
		return
	}
	s.forms = append(s.forms, form)
	if len(form) < longForm {
		return
	}
	if s.parts == nil {
		s.parts = map[string]bool{}
	}
	n := len(form) / 2
	if !slices.Contains(s.lens, n) {
		s.lens = append(s.lens, n)
	}
	for i := range len(form) - n + 1 {
		s.parts[form[i:i+n]] = true
	}
}

// base64Forms are those of text that holds a secret behind 0, 1 or 2 bytes of something else, without the characters
// that depend on what stands before and behind it.
func base64Forms(secret string) (forms []string) {
	for before := range 3 {
		padded := append(make([]byte, before), secret...)
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			form := e.EncodeToString(padded)
			form = form[(before*8+5)/6:]
			if before == 0 {
				forms = append(forms, form) // nothing behind it either
			}
			if len(padded)%3 != 0 {
				form = form[:len(form)-1]
			}
			forms = append(forms, form)
		}
	}
	return forms
}

// Clean replaces the secrets, in whatever case, and the greater part of one.
func (s *Scrubber) Clean(text string) string {
	if s == nil {
		return text
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, form := range s.forms {
		text = replaceFold(text, form)
	}
	return s.cleanParts(text)
}

// replaceFold puts hidden in the place of what is old in lower case.
func replaceFold(text, old string) string {
	low := lowerASCII(text)
	if !strings.Contains(low, old) {
		return text
	}
	var b strings.Builder
	for {
		i := strings.Index(low, old)
		if i < 0 {
			break
		}
		b.WriteString(text[:i])
		b.WriteString(hidden)
		text, low = text[i+len(old):], low[i+len(old):]
	}
	b.WriteString(text)
	return b.String()
}

// cleanParts replaces what is left of long secrets that were cut off.
func (s *Scrubber) cleanParts(text string) string {
	low := lowerASCII(text)
	var covered []bool
	for _, n := range s.lens {
		for i := 0; i+n <= len(low); i++ {
			if s.parts[low[i:i+n]] {
				if covered == nil {
					covered = make([]bool, len(low))
				}
				for k := range n {
					covered[i+k] = true
				}
			}
		}
	}
	if covered == nil {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !covered[i]:
			b.WriteByte(text[i])
		case i == 0 || !covered[i-1]:
			b.WriteString(hidden)
		}
	}
	return b.String()
}

// lowerASCII keeps the length, which strings.ToLower does not.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

const (
	// maxReason bounds what is kept of somebody else's own words, in bytes.
	maxReason = 300
	// maxLooked bounds what is looked at to get there.
	maxLooked = 64 << 10
)

// Words are somebody else's own words as they can be shown: without secrets, on one line, not too long.
func (s *Scrubber) Words(text string) string {
	if len(text) > maxLooked {
		text = text[:maxLooked]
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(s.Clean(text), "?")), " ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}

// Secrets is everything that must not be said back: the secrets themselves, the headers that they make, what an API
// key consists of, and the passwords of proxies that the environment names.
func (o Options) Secrets() (all []string) {
	if token := string(o.HECToken); token != "" {
		all = append(all, token, "Splunk "+token)
	}
	if key := string(o.ElasticAPIKey); key != "" {
		all = append(all, key, "ApiKey "+key)
		// A key is "id:secret" in base64: the secret alone is one too.
		if plain, err := base64.StdEncoding.DecodeString(key); err == nil {
			_, secret, _ := strings.Cut(string(plain), ":")
			all = append(all, string(plain), secret)
		}
	}
	if password := string(o.ElasticPassword); password != "" {
		all = append(all, password, o.ElasticUser+":"+password, basic(o.ElasticUser, password))
	}
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		all = append(all, URLSecrets(os.Getenv(name))...)
	}
	return all
}

// basic is the value of a header of basic authentication (RFC 7617).
func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// URLSecrets are the secrets in a URL, or in a word that is meant to be one: its password, or all of its user
// information where that has none, the values of options that are named like secrets, its fragment, and what stands
// where a port belongs.
func URLSecrets(word string) (all []string) {
	if i := strings.Index(word, "://"); i >= 0 {
		word = word[i+len("://"):]
	}
	rest := word
	if at := strings.LastIndexByte(word, '@'); at >= 0 {
		user, password, ok := strings.Cut(word[:at], ":")
		if !ok {
			password = user
		}
		all = append(all, password, password[strings.LastIndexByte(password, ':')+1:], strings.TrimPrefix(basic(user, password), "Basic "))
		rest = word[at+1:]
	}
	rest, fragment, _ := strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	all = append(all, fragment)
	host, _, _ := strings.Cut(rest, "/")
	if port := host[strings.LastIndexByte(host, ':')+1:]; len(port) < len(host) && strings.Trim(port, "0123456789") != "" && !strings.Contains(port, "]") {
		all = append(all, port)
	}
	for _, option := range strings.Split(query, "&") {
		if name, value, _ := strings.Cut(option, "="); namesSecret(name) {
			all = append(all, value)
		}
	}
	for _, secret := range slices.Clone(all) {
		if plain, err := url.PathUnescape(secret); err == nil {
			all = append(all, plain)
		}
	}
	return all
}

// namesSecret tells whether something is named like a secret.
func namesSecret(name string) bool {
	return slices.ContainsFunc([]string{"token", "key", "secret", "pass", "pwd", "auth", "credential", "sig"},
		func(word string) bool { return strings.Contains(lowerASCII(name), word) })
}
