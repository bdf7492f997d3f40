package results

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const kindPlan = "plan"

// PlanPiece is what a scan, or a part of it, is going to ask, in one of several pieces where it is long: the text that
// scan/spec writes, with the seed of its order and the positions that are this scan's. The pieces stand behind scan_start.
type PlanPiece struct {
	Time   Time   `json:"ts"`
	ScanID string `json:"scan_id"`
	Tags   Tags   `json:"tags,omitempty"` // of the scan
	Part   int    `json:"part"`           // from 1: parts go different ways, and have an order each
	Parts  int    `json:"parts"`
	Seed   uint64 `json:"seed"`
	Begin  uint64 `json:"begin_position"` // the first,
	End    uint64 `json:"end_position"`   // and the one behind the last
	SHA256 string `json:"sha256"`
	Piece  int    `json:"piece"` // from 1
	Pieces int    `json:"pieces"`
	Text   string `json:"text,omitempty"` // where there is one piece,
	Gzip   []byte `json:"gzip,omitempty"` // else a piece of the text compressed; base64 in JSON
}

// Kind is "plan".
func (p *PlanPiece) Kind() string { return kindPlan }

// When is the scan's start.
func (p *PlanPiece) When() Time { return p.Time }

// TagField is where its tags stand.
func (p *PlanPiece) TagField() *Tags { return &p.Tags }

// EventID of the piece.
func (p *PlanPiece) EventID() EventID {
	return pieceID(p.ScanID, kindPlan, p.Part, p.Piece)
}

// pieceID is that of a piece of something of a part.
func pieceID(scanID, kind string, part, piece int) EventID {
	m := append([]byte(scanID), '|')
	m = append(append(m, kind...), '|')
	m = append(strconv.AppendInt(m, int64(part), 10), '|')
	return newEventID(strconv.AppendInt(m, int64(piece), 10))
}

// AppendJSON appends the record as one JSON object of under 4 KB, without a line end.
func (p *PlanPiece) AppendJSON(b []byte) ([]byte, error) {
	type body PlanPiece
	type rest struct{ *body }
	return appendTyped(b, struct {
		typed
		rest
	}{typed{SchemaVersion, kindPlan, p.Time, p.ScanID, p.EventID().String()}, rest{(*body)(p.Fit())}})
}

// Fit is the piece, or a copy of it without what is too long for its room, which PlanPieces never makes.
func (p *PlanPiece) Fit() *PlanPiece {
	fit := *p
	if cut(p.Text, roomText) != p.Text {
		fit.Text = ""
	}
	if len(p.Gzip) > gzipSize {
		fit.Gzip = nil
	}
	fit.SHA256 = cut(p.SHA256, roomDigest)
	return &fit
}

const (
	roomText = 2400    // of a plan in clear, as JSON has it
	gzipSize = 2400    // bytes of a compressed piece: 3,200 in base64
	maxPlan  = 1 << 30 // bytes of a text that is read: a small file must not fill the memory
)

// PlanPieces are the pieces of a part's plan: whole has what they share, write writes the text.
func PlanPieces(whole PlanPiece, write func(io.Writer) error) ([]Notice, error) {
	var compressed bytes.Buffer
	hash, begin := sha256.New(), &head{}
	z := gzip.NewWriter(&compressed)
	if err := errors.Join(write(io.MultiWriter(hash, begin, z)), z.Close()); err != nil {
		return nil, err
	}
	whole.SHA256 = hex.EncodeToString(hash.Sum(nil))
	if begin.whole() {
		whole.Piece, whole.Pieces, whole.Text = 1, 1, string(begin.text)
		return []Notice{&whole}, nil
	}
	b := compressed.Bytes()
	whole.Pieces = (len(b) + gzipSize - 1) / gzipSize
	all := make([]Notice, 0, whole.Pieces)
	for len(b) > 0 {
		piece := whole
		n := min(len(b), gzipSize)
		piece.Piece, piece.Gzip, b = len(all)+1, b[:n], b[n:]
		all = append(all, &piece)
	}
	return all, nil
}

// head keeps the beginning of a text.
type head struct {
	text []byte
	len  int
}

func (h *head) Write(b []byte) (int, error) {
	h.len += len(b)
	h.text = append(h.text, b[:min(len(b), roomText-len(h.text))]...)
	return len(b), nil
}

// whole tells whether the text has room in a record in clear.
func (h *head) whole() bool {
	return h.len == len(h.text) && cut(string(h.text), roomText) == string(h.text)
}

// Plan is what a scan, or a part of it, was going to ask.
type Plan struct {
	Part       int // from 1
	Seed       uint64
	Begin, End uint64 // the positions that are the scan's: [Begin, End)
	SHA256     string // of Text, in hex
	Text       []byte // as scan/spec writes it
}

// join puts the pieces of a plan together, which are in order.
func join(pieces []*PlanPiece) (*Plan, error) {
	first := pieces[0]
	text := []byte(first.Text)
	if len(first.Gzip) > 0 {
		var all []io.Reader
		for _, p := range pieces {
			all = append(all, bytes.NewReader(p.Gzip))
		}
		z, err := gzip.NewReader(io.MultiReader(all...))
		if err == nil {
			text, err = io.ReadAll(io.LimitReader(z, maxPlan))
		}
		if err != nil {
			return nil, err
		}
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != first.SHA256 {
		return nil, errors.New("its text is not the one of which it has the digest")
	}
	if first.Begin > first.End {
		return nil, fmt.Errorf("its positions end at %d, before they begin at %d", first.End, first.Begin)
	}
	return &Plan{Part: first.Part, Seed: first.Seed, Begin: first.Begin, End: first.End, SHA256: first.SHA256, Text: text}, nil
}
