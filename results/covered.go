package results

import (
	"synoptic/results/coverage"
)

const kindCoverage = "coverage"

// CoveragePiece is what of a scan, or of a part of it, was asked while evidence held, in one of several pieces where scan_end has no
// room for it. Each says something by itself: one that is missing makes what was covered smaller, and nothing wrong.
type CoveragePiece struct {
	Time      Time   `json:"ts"`
	ScanID    string `json:"scan_id"`
	Tags      Tags   `json:"tags,omitempty"` // of the scan
	Part      int    `json:"part"`           // as in PlanPiece
	Piece     int    `json:"piece"`
	Pieces    int    `json:"pieces"`
	Positions uint64 `json:"positions"` // that it says are covered
	Ranges    []byte `json:"ranges"`    // as coverage.Set encodes them; base64 in JSON
}

// Kind is "coverage".
func (c *CoveragePiece) Kind() string { return kindCoverage }

// When is the scan's end.
func (c *CoveragePiece) When() Time { return c.Time }

// TagField is where its tags stand.
func (c *CoveragePiece) TagField() *Tags { return &c.Tags }

// EventID of the piece.
func (c *CoveragePiece) EventID() EventID {
	return pieceID(c.ScanID, kindCoverage, c.Part, c.Piece)
}

// AppendJSON appends the record as one JSON object of under 4 KB, without a line end.
func (c *CoveragePiece) AppendJSON(b []byte) ([]byte, error) {
	type body CoveragePiece
	type rest struct{ *body }
	return appendTyped(b, struct {
		typed
		rest
	}{typed{SchemaVersion, kindCoverage, c.Time, c.ScanID, c.EventID().String()}, rest{(*body)(c.Fit())}})
}

// Fit is the piece, or a copy of it without ranges that are too many for its room, which Cover never makes.
func (c *CoveragePiece) Fit() *CoveragePiece {
	fit := *c
	if len(c.Ranges) > pieceRanges*rangeSize {
		fit.Ranges = nil
	}
	return &fit
}

// Covered is what of a part of a scan was asked while evidence held, in its closing record: Ranges where there are few, else in so
// many coverage records.
type Covered struct {
	Part      int         `json:"part"`
	Positions uint64      `json:"positions"`
	Ranges    [][2]uint64 `json:"ranges,omitempty"`
	Records   int         `json:"records,omitempty"`
}

const (
	closingRanges = 4   // that scan_end has of all parts together, at most
	pieceRanges   = 150 // that a piece has at most,
	rangeSize     = 14  // of so many bytes each, encoded, of which base64 makes 19
)

// Cover writes into a closing record what of the scan's parts, the first to the last that was begun, was asked while evidence held.
// What there is no room for is in the notices, which come before it.
func (s *ScanEnd) Cover(parts []*coverage.Set) (notices []Notice) {
	ranges := 0
	for _, set := range parts {
		ranges += set.NumRanges()
	}
	for i, set := range parts {
		c := Covered{Part: i + 1, Positions: set.Len()}
		if ranges <= closingRanges {
			for r := range set.Ranges() {
				c.Ranges = append(c.Ranges, [2]uint64{r.Begin, r.End})
			}
		} else {
			c.Records = (set.NumRanges() + pieceRanges - 1) / pieceRanges
			for n, piece := range set.Pieces(pieceRanges) {
				notices = append(notices, &CoveragePiece{
					Time: s.Time, ScanID: s.ScanID, Part: c.Part, Piece: n + 1, Pieces: c.Records,
					Positions: piece.Len(), Ranges: piece.AppendBinary(nil),
				})
			}
		}
		s.Covered = append(s.Covered, c)
	}
	return notices
}
