package target

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The project's own ranking; the file's head states its source and method.
//
//go:embed top-ports.txt
var topPortsText string

var loadTopPorts = sync.OnceValue(func() []uint16 {
	var list []uint16
	for line := range strings.SplitSeq(topPortsText, "\n") {
		line, _, _ = strings.Cut(line, "#")
		for word := range strings.FieldsSeq(line) {
			p, err := strconv.ParseUint(word, 10, 16)
			if err != nil || p == 0 {
				panic("target: top-ports.txt: bad port " + word) // a test reads the whole file
			}
			list = append(list, uint16(p))
		}
	}
	return list
})

// NumTopPorts returns how many ports TopPorts can rank.
func NumTopPorts() int { return len(loadTopPorts()) }

// Ranking returns the ports that TopPorts ranks, the most important first.
func Ranking() []uint16 { return slices.Clone(loadTopPorts()) }

// TopPorts returns the first n ports of an editorial ranking by how much an open port matters to the
// owner of a network. It is no measurement of how often ports are open. n is 1..NumTopPorts().
func TopPorts(n int) (*Ports, error) {
	list := loadTopPorts()
	if n < 1 || n > len(list) {
		return nil, &Error{
			Err: fmt.Errorf("%d top ports requested, the list has 1 to %d", n, len(list)), field: "Ports",
			hint: `for every port use Ports "-"`,
		}
	}
	var member [1024]uint64
	for _, p := range list[:n] {
		setPorts(&member, p, p)
	}
	return newPorts(&member), nil
}
