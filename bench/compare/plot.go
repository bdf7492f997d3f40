package main

import "synoptic/bench/chart"

// plotOf draws the closed loop; ok is false where it was not measured.
func plotOf(all []*Result) (svg string, ok bool) {
	for _, r := range all {
		if r.Job != "loop" || len(r.Cases) == 0 {
			continue
		}
		c := &r.Cases[0]
		return chart.Bars(c.Name+": "+thousands(c.Positions)+" positions, every tool as fast as it can", []chart.BarPanel{
			panelOf(c, "Rate while sending: longer is better", "packets per second", (*Row).pps, 1, whole),
			panelOf(c, "The whole machine's processor time, far end included: shorter is better", "nanoseconds per probe", (*Row).machineCPU, 1000, significant),
		}), true
	}
	return "", false
}

func panelOf(c *Case, title, unit string, figure func(*Row) values, scale float64, format func(float64) string) chart.BarPanel {
	p := chart.BarPanel{Title: title, Unit: unit}
	for i := range c.Rows {
		r := &c.Rows[i]
		b := chart.Bar{Label: r.Label, Ours: r.Tool == "synoptic", Missing: r.nothing()}
		if v := figure(r); b.Missing == "" && len(v) > 0 && v.median() > 0 {
			b.Value = v.median() * scale
			b.Written = format(b.Value)
		} else if b.Missing == "" {
			b.Missing = "too short to say"
		}
		p.Bars = append(p.Bars, b)
	}
	return p
}
