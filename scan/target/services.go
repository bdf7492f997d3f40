package target

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

// The TCP rows of IANA's Service Name and Transport Protocol Port Number Registry (RFC 6335), registry
// state of 2025-11-14; IANA dedicates registry data under CC0 1.0. iana-tcp-services.md has the details.
//
//go:embed iana-tcp-services.csv
var servicesCSV string

// What ports are mostly used for where that is not what the registry says; the file's head states its source.
//
//go:embed everyday-services.csv
var everydayCSV string

// registry is the part of the CSV that is asked for: names are substrings of the embedded file.
type registry struct {
	rows []service
	name [65536]uint16 // row of the port's first name plus one, 0 for none

	everyday []service // whose rows count on behind those of the registry
}

type service struct {
	name        string
	first, last uint16
}

// loadRegistry takes about a millisecond, so it is kept out of the start of the program.
var loadRegistry = sync.OnceValue(func() *registry {
	r := &registry{rows: make([]service, 0, strings.Count(servicesCSV, "\n"))}
	for line := range strings.SplitSeq(servicesCSV, "\n") {
		// Port and name are never quoted and no description holds a line break; a test reads the file
		// with encoding/csv and compares.
		ports, rest, _ := strings.Cut(line, ",")
		name, _, _ := strings.Cut(rest, ",")
		from, to, isRange := strings.Cut(ports, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.ParseUint(from, 10, 16)
		last, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil {
			continue // the header and the end of the file
		}
		r.rows = append(r.rows, service{name, uint16(first), uint16(last)})
		for p := first; p <= last; p++ {
			if r.name[p] == 0 {
				r.name[p] = uint16(len(r.rows))
			}
		}
	}
	for line := range strings.SplitSeq(everydayCSV, "\n") { // likewise
		number, rest, _ := strings.Cut(line, ",")
		name, _, _ := strings.Cut(rest, ",")
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			continue
		}
		r.everyday = append(r.everyday, service{name, uint16(port), uint16(port)})
		r.name[port] = uint16(len(r.rows) + len(r.everyday))
	}
	return r
})

// Service returns the name of what a TCP port is mostly used for, or "": what it is known for in everyday use, else
// IANA's name, the registry's first where it has several. It is a guess from the number alone. O(1); no allocation
// once the registry is read, which Load does.
func Service(port uint16) string {
	r := loadRegistry()
	switch row := int(r.name[port]); {
	case row == 0:
		return ""
	case row > len(r.rows):
		return r.everyday[row-len(r.rows)-1].name
	default:
		return r.rows[row-1].name
	}
}

// Everyday tells whether Service gives a name from everyday use and not IANA's.
func Everyday(port uint16) bool {
	r := loadRegistry()
	return int(r.name[port]) > len(r.rows)
}
