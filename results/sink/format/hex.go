package format

const (
	lowerHex = "0123456789abcdef"
	upperHex = "0123456789ABCDEF"
)

// appendHex appends a byte as its two hex digits behind a prefix such as \x.
func appendHex(b []byte, prefix string, c byte, digits string) []byte {
	return append(append(b, prefix...), digits[c>>4], digits[c&15])
}
