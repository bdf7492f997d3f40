package ratelimit

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	withUnit = regexp.MustCompile(`^([0-9][0-9.,_' ]*)([kKmMgGtT]?)[iI]?([a-zA-Z/]*)$`)
	grouped  = regexp.MustCompile(`^[0-9]{1,3}([,_' ][0-9]{3})+(\.[0-9]+)?$`)
	// Units by what is left of them without the letters that say how much.
	packetUnits = map[string]bool{"": true, "pps": true, "p/s": true, "packets": true, "probes": true, "/s": true}
	bitUnits    = map[string]bool{"": true, "bps": true, "b": true, "b/s": true, "bit": true, "bits": true, "bit/s": true, "bits/s": true, "/s": true}
	byteUnits   = map[string]bool{"bytes": true, "byte": true, "bytes/s": true}
)

// guess says of what is no rate how it was meant, where that can be seen: a unit that belongs to the other kind or to
// neither, a number with its thousands set apart or with an exponent, a word.
func guess(s string, isBits bool) *RateError {
	e := &RateError{Input: s, Reason: notNumber, Bits: isBits}
	bare := strings.TrimSpace(s)
	switch strings.ToLower(bare) {
	case "max", "auto", "full", "unlimited", "inf", "fast":
		e.Reason = "not a number: a scan has no largest rate"
		e.write = "the packets per second that the network bears, such as 100k"
		if isBits {
			e.write = "the bits per second that the network bears, such as 100M"
		}
		return e
	}
	if n, err := strconv.ParseFloat(bare, 64); err == nil && n > 0 && strings.Trim(bare, "0123456789.eE+") == "" {
		e.write = plain(n)
		return e
	}
	m := withUnit.FindStringSubmatch(bare)
	if m == nil {
		return e
	}
	number, prefix, unit := strings.TrimSpace(m[1]), m[2], m[3]
	switch {
	case grouped.MatchString(number):
		number = strings.NewReplacer(",", "", "_", "", "'", "", " ", "").Replace(number)
	case strings.Count(number, ",") == 1 && !strings.Contains(number, "."):
		number = strings.Replace(number, ",", ".", 1)
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || value <= 0 {
		return e
	}
	number = plain(value)
	if strings.EqualFold(prefix, "t") {
		value, prefix = value*1000, "G"
		number = plain(value)
	}
	if prefix = strings.ToUpper(prefix); prefix == "K" {
		prefix = "k"
	}
	size := number + prefix
	switch low := strings.ToLower(unit); {
	case unit == "B" || strings.HasPrefix(unit, "B/") || unit == "Bps" || byteUnits[low]: // bytes
		e.Reason = "in bytes, and bits per second are counted"
		e.write = plain(8*value) + prefix
		if !isBits {
			e.Reason, e.write = "a bandwidth, not a rate", "Bandwidth "+plain(8*value)+prefix
		}
	case isBits && bitUnits[low], !isBits && packetUnits[low]:
		e.write = size
	case !isBits && bitUnits[low]:
		e.Reason, e.write = "a bandwidth, not a rate", "Bandwidth "+size
	case isBits && packetUnits[low]:
		e.Reason, e.write = "a rate, not a bandwidth", "Rate "+size
	}
	return e
}

// plain writes a number without an exponent.
func plain(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
