package results

// DeliveryReport is the record behind scan_end in the files of a scan: what became of the records of every output in the
// end. scan_end itself is made before they have all arrived.
type DeliveryReport struct {
	Time    Time   `json:"ts"`
	ScanID  string `json:"scan_id"`
	Scanner string `json:"scanner,omitempty"` // as in ScanStart
	Tags    Tags   `json:"tags,omitempty"`
	// Undelivered is how many records have not arrived, of all outputs.
	Undelivered uint64     `json:"undelivered"`
	Outputs     []Delivery `json:"outputs"`
}

// NewDeliveryReport sums up.
func NewDeliveryReport(at Time, scanID string, outputs []Delivery) *DeliveryReport {
	r := &DeliveryReport{Time: at, ScanID: scanID, Outputs: outputs}
	for i := range outputs {
		r.Undelivered += outputs[i].Undelivered()
	}
	return r
}

// Fit is what it is of a ScanEnd.
func (r *DeliveryReport) Fit() *DeliveryReport {
	fit := *r
	fit.Scanner = cut(r.Scanner, roomScanner)
	fit.Outputs = cutOutputs(r.Outputs, roomReport)
	return &fit
}

// AppendJSON appends the record as one JSON object of under 4 KB (see Fit), without a line end.
func (r *DeliveryReport) AppendJSON(b []byte) ([]byte, error) {
	type body DeliveryReport
	type rest struct{ *body }
	return appendTyped(b, struct {
		typed
		rest
	}{typed{SchemaVersion, "delivery", r.Time, r.ScanID, r.EventID().String()}, rest{(*body)(r.Fit())}})
}

// EventID of the report.
func (r *DeliveryReport) EventID() EventID { return newEventID([]byte(r.ScanID + "|delivery")) }
