package probe

import (
	"encoding/binary"
	"slices"
	"testing"

	"synoptic/bench/lab/replies"
)

// What the parser and the verifier make of the table of replies is what a scan makes of it. Tags are taken off, as the kernel
// does, and two of them hide the packet.
func TestTableOfReplies(t *testing.T) {
	tmpl, err := NewTemplate(TemplateConfig{Ethernet: true, SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, Src: localV4})
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, tmpl.Len())
	tmpl.Fill(frame)
	tmpl.Patch(frame, targetV4, localPort, targetPort, paperKey.Hash(localV4, targetV4, localPort, targetPort))
	p := replies.Read(frame)
	for _, row := range replies.Table() {
		genuine := false
		for _, frame := range row.Frames(p) {
			if ip := network(frame); ip != nil {
				var r Reply
				genuine = genuine || Parse(ip, &r) == Accepted && paperKey.Genuine(&r)
			}
		}
		if want := row.Want != replies.Ignored; genuine != want {
			t.Errorf("%s: genuine %v, want %v: % x", row.Name, genuine, want, row.Frames(p))
		}
	}
}

// network is the IP packet of a frame that the kernel's network layer gets, or nil.
func network(frame []byte) []byte {
	for len(frame) >= 18 {
		switch binary.BigEndian.Uint16(frame[12:]) {
		case 0x0800:
			return frame[14:]
		case 0x8100, 0x88a8:
			priority := binary.BigEndian.Uint16(frame[14:])&0xfff == 0
			frame = slices.Delete(slices.Clone(frame), 12, 16)
			if !priority && binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
				return nil
			}
		default:
			return nil
		}
	}
	return nil
}
