package screen

import (
	"io"
	"strings"
)

// leastColumn is how narrow a column of a grid becomes before the terminal has to break lines.
const leastColumn = 8

// WriteGrid writes rows below a head, each column as wide as its longest cell. Where a terminal of so many columns has no room, 0 being
// any, the widest columns are cut. Cells are made harmless to a terminal.
func WriteGrid(w io.Writer, head []string, rows [][]string, columns int) error {
	all := append([][]string{head}, rows...)
	widths := make([]int, len(head))
	for _, row := range all {
		for i := range row {
			row[i] = Printable(row[i])
			widths[i] = max(widths[i], width(row[i]))
		}
	}
	narrow(widths, columns)
	var b strings.Builder
	for _, row := range all {
		cells := make([]string, len(row))
		for i := range row {
			cells[i] = pad(shorten(row[i], max(widths[i], 1)), widths[i])
		}
		b.WriteString(strings.TrimRight(strings.Join(cells, gap), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// narrow takes from the widest columns until all fit.
func narrow(widths []int, columns int) {
	total := len(gap) * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	for ; columns > 0 && total > columns; total-- {
		widest := 0
		for i, n := range widths {
			if n > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= leastColumn {
			return
		}
		widths[widest]--
	}
}
