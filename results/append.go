package results

// AppendString appends s as a JSON string. It does not allocate unless b is too small or s holds
// characters that JSON escapes.
func AppendString(b []byte, s string) []byte { return appendString(b, s) }

// AppendTime appends the moment, nanoseconds since the Unix epoch, as records write it: RFC 3339 in UTC
// with all nine digits, without quotes.
func AppendTime(b []byte, unixNano int64) []byte { return appendTime(b, unixNano) }

// AppendBanner appends bytes of unknown encoding as a JSON string, each as the character of its number
// (ISO 8859-1).
func AppendBanner(b, banner []byte) []byte { return appendBanner(b, banner) }

// AppendField appends the set as the field "suspect" behind another field of a JSON object; an empty set
// appends nothing.
func (s Suspect) AppendField(b []byte) []byte { return s.appendJSON(b) }
