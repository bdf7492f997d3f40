package results

import (
	"errors"
	"fmt"
	"slices"

	"synoptic/results/coverage"
)

// Assembly puts together what a scan's records say of what it asked. Call Add with its notices and End with its closing record, in any
// order, then Parts. The zero value is empty.
type Assembly struct{ parts map[int]*pieces }

// pieces are those of one part.
type pieces struct {
	plan    map[int]*PlanPiece
	covered []coverage.Range
	damaged error
}

// AskedPart is what a part of a scan was going to ask, and which of it was asked while evidence held.
type AskedPart struct {
	*Plan
	Covered *coverage.Set
}

func (a *Assembly) part(n int) *pieces {
	if a.parts == nil {
		a.parts = map[int]*pieces{}
	}
	if a.parts[n] == nil {
		a.parts[n] = &pieces{plan: map[int]*PlanPiece{}}
	}
	return a.parts[n]
}

// Add takes a notice; of kinds that say nothing of what was asked, nothing.
func (a *Assembly) Add(n Notice) {
	switch n := n.(type) {
	case *PlanPiece:
		a.part(n.Part).plan[n.Piece] = n
	case *CoveragePiece:
		p := a.part(n.Part)
		set, err := coverage.Decode(n.Ranges)
		if err != nil {
			p.damaged = fmt.Errorf("coverage of part %d, piece %d: %w", n.Part, n.Piece, err)
			return
		}
		p.covered = slices.AppendSeq(p.covered, set.Ranges())
	}
}

// End takes the closing record.
func (a *Assembly) End(end *ScanEnd) {
	for _, c := range end.Covered {
		p := a.part(c.Part)
		for _, r := range c.Ranges {
			p.covered = append(p.covered, coverage.Range{Begin: r[0], End: r[1]})
		}
	}
}

// Parts are those of which the whole plan is there, in order; none of a scan whose records have no plan, as those of earlier versions have
// none. What they say of the other parts is lost, and in the error.
func (a *Assembly) Parts() (all []AskedPart, err error) {
	numbers := make([]int, 0, len(a.parts))
	for n := range a.parts {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	var errs []error
	for _, n := range numbers {
		p := a.parts[n]
		plan, err := p.whole()
		if err = errors.Join(err, p.damaged); err != nil {
			errs = append(errs, fmt.Errorf("plan of part %d: %w", n, err))
			continue
		}
		all = append(all, AskedPart{plan, coverage.Of(p.covered...)})
	}
	return all, errors.Join(errs...)
}

// whole is the plan of which all pieces are there.
func (p *pieces) whole() (*Plan, error) {
	first := p.plan[1]
	if first == nil {
		return nil, errors.New("it is not in the records")
	}
	var all []*PlanPiece
	for n := 1; n <= first.Pieces; n++ {
		piece := p.plan[n]
		if piece == nil {
			return nil, fmt.Errorf("piece %d of %d is not in the records", n, first.Pieces)
		}
		all = append(all, piece)
	}
	return join(all)
}
