// Package spelling finds the name that a mistyped word was meant to be.
package spelling

import "strings"

// Nearest is the name that a mistyped word was most likely meant to be, or "" where none is near: one letter may
// be wrong, missing, too many or swapped with its neighbour in a short word, two in a longer one. Letter case and _ for - are
// no mistakes, and a word that is a whole part of one name only stands for it: xml for nmap-xml.
func Nearest(word string, names []string) string {
	word = strings.ReplaceAll(strings.ToLower(word), "_", "-")
	limit := 1
	switch n := len(word); {
	case n < 2 || n > 40:
		return ""
	case n > 4:
		limit = 2
	}
	best, part, parts := "", "", 0
	for _, name := range names {
		if d := Typos(word, strings.ToLower(name)); d <= limit {
			best, limit = name, d-1
		}
		if strings.Contains("-"+name+"-", "-"+word+"-") {
			part, parts = name, parts+1
		}
	}
	if best == "" && parts == 1 {
		return part
	}
	return best
}

// Typos counts the letters that are wrong, missing, too many, or swapped with their neighbour (optimal string alignment).
func Typos(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			wrong := row[j]
			if a[i] != b[j] {
				wrong++
			}
			next[j+1] = min(wrong, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
