package sim

import (
	"fmt"
	"math"
	"slices"

	"synoptic/results"
	"synoptic/results/coverage"
	"synoptic/scan/spec"
)

// checkCovered: the positions that are said to be covered are as many as the closing record says, or fewer of a scan that was stopped, for
// what was not waited for does not count.
func (o *outcome) checkCovered() error {
	e, n := o.records.Closing, uint64(0)
	if e == nil {
		return nil
	}
	for _, c := range o.covered {
		n += c.Len()
	}
	if want := uint64(math.Round(e.Coverage * float64(e.Probes))); n > want || e.Complete && n < want {
		return fmt.Errorf("%d positions are covered, the closing record says %d of %d", n, want, e.Probes)
	}
	parts, err := o.records.Asked.Parts()
	if err != nil {
		return err
	}
	if len(parts) < len(o.covered) {
		return fmt.Errorf("plans of %d parts, want %d", len(parts), len(o.covered))
	}
	for i, c := range o.covered {
		if !parts[i].Covered.Equal(c) {
			return fmt.Errorf("part %d: the records say that %v is covered, want %v", i+1, parts[i].Covered, c)
		}
		if err := o.checkUnknown(&parts[i]); err != nil {
			return fmt.Errorf("part %d: %w", i+1, err)
		}
	}
	return nil
}

// checkUnknown: of a scan that went to its end and shows what is unknown, that is what is not covered.
func (o *outcome) checkUnknown(part *results.AskedPart) error {
	if !slices.Contains(o.records.Opening.Show, "unknown") || o.Err != nil || o.endless || o.progress.Done < o.progress.Total {
		return nil
	}
	space, err := spec.Read(part.Text, part.Seed)
	if err != nil {
		return err
	}
	var all []coverage.Range
	for i := range o.records.All {
		p := &o.records.All[i]
		if position, ok := space.Position(p.Addr, p.Port); ok && p.Reason.State() == results.Unknown {
			all = append(all, coverage.Range{Begin: position, End: position + 1})
		}
	}
	unknown := coverage.Of(all...)
	// Of a scan that was given up a chunk is not covered, though some of its ports have answered.
	want := coverage.Of(coverage.Range{Begin: part.Begin, End: part.End}).Minus(part.Covered)
	if o.records.Closing.Complete && !unknown.Equal(want) || unknown.Minus(want).Len() > 0 {
		return fmt.Errorf("records of unknown ports are at %v, not covered is %v", unknown, want)
	}
	return nil
}
