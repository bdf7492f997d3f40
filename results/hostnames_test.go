package results

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The names of a port come first and all are counted, as many as there is room for.
func TestSetHostnames(t *testing.T) {
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("name-%03d.example.com", i)) // 23 bytes in a list, of which 30 fit
	}
	long := strings.Repeat("a", 253)
	for _, c := range []struct {
		name       string
		asked, all []string
		first      string
		list       []string
		leftOut    int
	}{
		{"none", nil, nil, "", nil, 0},
		{"one", nil, []string{"a"}, "a", nil, 0},
		{"one asked", []string{"a"}, []string{"a"}, "a", nil, 0},
		{"two", nil, []string{"a", "b"}, "a", []string{"a", "b"}, 0},
		{"second asked", []string{"b"}, []string{"a", "b", "c"}, "b", []string{"b", "a", "c"}, 0},
		{"two asked", []string{"c", "b"}, []string{"a", "b", "c"}, "c", []string{"c", "b", "a"}, 0},
		{"many", nil, many, many[0], many[:30], 170},
		{"many, the last asked", many[199:], many, many[199], append([]string{many[199]}, many[:29]...), 170},
		{"many asked", many[100:], many, many[100], many[100:130], 170},
		{"long ones", nil, []string{long, "b" + long, long + "c"}, long, []string{long, "b" + long}, 1},
	} {
		var p Port
		p.SetHostnames(c.asked, c.all)
		got := p.Hostnames
		if got == nil {
			got = &Hostnames{}
		}
		if p.Hostname != c.first || fmt.Sprint(got.List) != fmt.Sprint(c.list) || got.LeftOut != c.leftOut {
			t.Errorf("%s: %s, %v and %d more", c.name, p.Hostname, got.List, got.LeftOut)
		}
		if list, _ := json.Marshal(got.List); len(list) > roomHostnames {
			t.Errorf("%s: %d bytes", c.name, len(list))
		}
	}
}
