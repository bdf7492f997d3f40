package format

import "synoptic/results"

// maxRecord bounds what a record in the temporary file can ask for, in bytes: a summary has 128 KiB of ports at most.
const maxRecord = 1 << 20

// readable tells whether a record is one that appendPort or appendHost has written. The temporary file is ours, but
// the disk below it may give back other bytes than it was given.
func (d *decoder) readable(r []byte) bool {
	if len(r) < keyEnd || recordLen(r) != len(r) || r[keyBegin] != 4 && r[keyBegin] != 6 || r[hostEnd] > 1 {
		return false
	}
	d.short = false
	if isSummary(r) {
		var h results.Host
		d.host(&h, r)
		return !d.short
	}
	var p results.Port
	d.port(&p, r)
	return !d.short && len(d.r) == 0 && p.Reason.Known()
}
