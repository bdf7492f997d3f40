package delivery

import (
	"encoding/json"
	"testing"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

// An event that is no JSON is a string in the dead letter.
func TestDeadLetterOfAnything(t *testing.T) {
	d := deadLetters{output: "o"}
	b := d.letters(&batch.Batch{Data: []byte("a,\"b\"\n{}x"), Events: []batch.Event{{End: 6}, {End: 9}}}, []dest.Rejection{{Event: 0, Reason: "r"}})
	var l struct{ Event string }
	if err := json.Unmarshal(b.Data, &l); err != nil || l.Event != `a,"b"` {
		t.Errorf("%s: %v", b.Data, err)
	}
}
