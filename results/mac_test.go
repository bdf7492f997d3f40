package results

import "testing"

// A MAC address is written as records, the Elastic Common Schema and nmap have it, and read again as records have it.
func TestMAC(t *testing.T) {
	m := MAC{0x02, 0x00, 0x5e, 0x10, 0xab, 0xcd}
	if got := m.String(); got != "02:00:5e:10:ab:cd" {
		t.Error(got)
	}
	if got := string(m.AppendUpper(nil, '-')); got != "02-00-5E-10-AB-CD" {
		t.Error(got)
	}
	if got := string(m.AppendUpper(nil, ':')); got != "02:00:5E:10:AB:CD" {
		t.Error(got)
	}
	if b := (MAC{}).appendField([]byte("x")); string(b) != "x" {
		t.Errorf("%s", b)
	}
	for text, want := range map[string]MAC{
		`"02:00:5e:10:ab:cd"`: m, `"02:00:5E:10:AB:CD"`: m, `"ff:ff:ff:ff:ff:ff"`: {255, 255, 255, 255, 255, 255}, `"00:00:00:00:00:00"`: {},
	} {
		if got, err := macOf(value{raw: []byte(text)}); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{`""`, `"02"`, `"02-00-5e-10-ab-cd"`, `"02:00:5e:10:ab"`, `"02:00:5e:10:ab:cd:ef"`, `"0g:00:5e:10:ab:cd"`, `"02:00:5e:10:ab:c"`, `"2:0:5e:10:ab:cdefg"`, `"02.00.5e.10.ab.cd"`, `"02:00:5e:10:ab:c\u0000"`, `"\u0010\u0012:00:5e:10:ab:cd"`, `7`, `{}`} {
		if got, err := macOf(value{raw: []byte(text)}); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}
