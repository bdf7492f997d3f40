package results

// Notice is a record about a scan that is neither an answer nor an event of it: what it was going to ask (*PlanPiece), what it has
// asked (*CoveragePiece), what is otherwise than before (*Change) and than a policy wants it (*Violation), and how fresh what is known is (*Supervision).
type Notice interface {
	// Kind is the record's type in JSON.
	Kind() string
	// When is the record's time.
	When() Time
	EventID() EventID
	// TagField is where its tags stand.
	TagField() *Tags
	// AppendJSON appends the record as one JSON object of under 4 KB, without a line end.
	AppendJSON(b []byte) ([]byte, error)
}

// notices are the kinds of notices that a Reader knows.
var notices = map[string]func() (n Notice, scanID *string){
	kindPlan:      func() (Notice, *string) { p := &PlanPiece{}; return p, &p.ScanID },
	kindCoverage:  func() (Notice, *string) { c := &CoveragePiece{}; return c, &c.ScanID },
	kindChange:    func() (Notice, *string) { c := &Change{}; return c, &c.ScanID },
	kindViolation: func() (Notice, *string) { v := &Violation{}; return v, &v.ScanID },

	kindSupervision: func() (Notice, *string) { s := &Supervision{}; return s, &s.ScanID },
}
