package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"synoptic/results"
	"synoptic/scan/watch"
)

// Kept is what became of what a monitor has found.
type Kept struct {
	Changes map[results.ChangeKind]uint64 // that were told
	Outbox  int64                         // events that not every output has
}

// NewMonitor returns a registry that knows a monitor by what status and kept say, and nothing else.
func NewMonitor(version string, status func() watch.Status, kept func() Kept) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(&monitorCollector{version: version, status: status, kept: kept}) // cannot fail: it is the first
	return r
}

// monitorCollector makes metrics of a monitor's status.
type monitorCollector struct {
	version string
	status  func() watch.Status
	kept    func() Kept
}

var (
	monitorAge     = describe("monitor_endpoint_age_seconds", "How long ago ports were asked while evidence held: the age that a share of the tier's ports does not exceed.", "tier", "share")
	monitorPorts   = describe("monitor_endpoints", "Ports that are watched, by tier.", "tier")
	monitorOverdue = describe("monitor_overdue_endpoints", "Ports that were asked longer ago than is wanted, by tier.", "tier")
	monitorChanges = describe("monitor_changes_total", "Changes that were told, by kind.", "change")
	monitorProbes  = describe("monitor_probes_total", "Ports asked, each by one probe.")
	monitorUnasked = describe("monitor_unasked_total", "Probes that count as not sent, as evidence was lost.")
	monitorBudget  = describe("monitor_budget_probes_per_second", "Probes per second that may be sent, without beacons.")
	monitorDoubts  = describe("monitor_unconfirmed_endpoints", "Ports that wait to be asked again.")
	monitorHeld    = describe("monitor_held_changes", "Changes that are not in the inventory yet.")
	monitorOutbox  = describe("monitor_outbox_records", "Events that not every output has.")
	monitorLoss    = describe("monitor_loss_ratio", "Share of the beacons without an answer. Absent before any was sent.")
	monitorCycles  = describe("monitor_cycles_total", "Whole cycles over all ports.")
	monitorDone    = describe("monitor_cycle_done_ratio", "The part of the present cycle that is done.")
	monitorAsking  = describe("monitor_asking", "Whether probes can be sent: 0 while no session can be opened, in an outage, in a pause.")
	monitorDark    = describe("monitor_dark_networks", "Networks of which much is silent.")
)

// Describe is of prometheus.Collector.
func (c *monitorCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		build, monitorAge, monitorPorts, monitorOverdue, monitorChanges, monitorProbes, monitorUnasked, monitorBudget, monitorDoubts, monitorHeld, monitorOutbox, monitorLoss,
		monitorCycles, monitorDone, monitorAsking, monitorDark,
	} {
		to <- d
	}
}

// Collect is of prometheus.Collector.
func (c *monitorCollector) Collect(to chan<- prometheus.Metric) {
	s, kept := c.status(), c.kept()
	give := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	f := &s.Figures
	give(build, prometheus.GaugeValue, 1, c.version)
	for _, t := range f.Tiers {
		give(monitorPorts, prometheus.GaugeValue, float64(t.Endpoints), t.Tier)
		give(monitorOverdue, prometheus.GaugeValue, float64(t.Overdue), t.Tier)
		for share, age := range map[string]int64{"0.5": t.Ages.P50, "0.99": t.Ages.P99, "1": t.Ages.Max} {
			give(monitorAge, prometheus.GaugeValue, (time.Duration(age) * time.Second).Seconds(), t.Tier, share)
		}
	}
	for kind := results.ChangeOpened; kind < results.NumChangeKinds; kind++ {
		give(monitorChanges, prometheus.CounterValue, float64(kept.Changes[kind]), kind.String())
	}
	give(monitorProbes, prometheus.CounterValue, float64(s.Counts.Sent))
	give(monitorUnasked, prometheus.CounterValue, float64(s.Counts.Unknown))
	give(monitorBudget, prometheus.GaugeValue, f.BudgetPPS)
	give(monitorDoubts, prometheus.GaugeValue, float64(f.Unconfirmed))
	give(monitorHeld, prometheus.GaugeValue, float64(s.Held))
	give(monitorOutbox, prometheus.GaugeValue, float64(kept.Outbox))
	give(monitorCycles, prometheus.CounterValue, float64(f.Cycle))
	give(monitorDone, prometheus.GaugeValue, f.CycleDone)
	give(monitorAsking, prometheus.GaugeValue, truth(s.Asking && !s.Stopped && !s.Paused && s.Feed.Outage == ""))
	give(monitorDark, prometheus.GaugeValue, float64(s.Dark))
	if e := s.Feed.Evidence; e != nil && e.Asked > 0 {
		give(monitorLoss, prometheus.GaugeValue, 1-float64(min(e.Answered, e.Asked))/float64(e.Asked))
	}
}
