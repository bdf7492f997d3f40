// Package metrics shows a scan to Prometheus. New makes a collector of a scan's status; Serve answers scrapes over HTTP, and
// Keep writes a file for node_exporter's textfile collector. docs/control.md lists the metrics.
//
// No label has an address, a port or a name of a target, of an interface or of a receiver: whoever may read the metrics need
// not know what is scanned.
package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"synoptic/results"
	"synoptic/results/sink"
	"synoptic/scan"
	"synoptic/scan/beacon"
)

// New returns a registry that knows a scan by what status says, and nothing else.
func New(version string, status func() scan.Status) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(&collector{version, status}) // cannot fail: it is the first
	return r
}

// collector makes metrics of a status.
type collector struct {
	version string
	status  func() scan.Status
}

// metric is one that is made of a status.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*scan.Status) float64
	// known tells whether there is a value; nil: always.
	known func(*scan.Status) bool
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("synoptic_"+name, help, labels, nil)
}

func counter(name, help string, value func(*scan.Status) uint64) metric {
	return metric{describe(name, help), prometheus.CounterValue, func(s *scan.Status) float64 { return float64(value(s)) }, nil}
}

func gauge(name, help string, value func(*scan.Status) float64) metric {
	return metric{describe(name, help), prometheus.GaugeValue, value, nil}
}

func (m metric) where(known func(*scan.Status) bool) metric {
	m.known = known
	return m
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func over(s *scan.Status) bool { return s.End != nil }

// plain are the metrics without labels.
var plain = []metric{
	gauge("scan_start_timestamp_seconds", "When the scan began, in Unix time.", func(s *scan.Status) float64 { return unix(s.Started) }),
	gauge("scan_end_timestamp_seconds", "When the scan ended, in Unix time. Absent while it runs.", func(s *scan.Status) float64 { return unix(s.End.Time) }).where(over),
	gauge("scan_complete", "Whether every port was probed while evidence held. Absent while the scan runs.", func(s *scan.Status) float64 { return truth(s.End.Complete) }).where(over),
	gauge("scan_coverage_ratio", "Share of the probes that were sent while evidence held, or settled without one. Absent while the scan runs.", func(s *scan.Status) float64 { return s.End.Coverage }).where(over),
	gauge("elapsed_seconds", "How long the scan has run.", func(s *scan.Status) float64 { return s.Elapsed }),
	gauge("left_seconds", "How long the phase takes yet, as estimated. Absent where nothing can be said.", func(s *scan.Status) float64 { return *s.Left }).where(func(s *scan.Status) bool { return s.Left != nil }),
	gauge("positions", "Ports to probe in this phase.", func(s *scan.Status) float64 { return float64(s.ToProbe) }),
	gauge("positions_done", "Of these, ports that were probed or settled without a probe.", func(s *scan.Status) float64 { return float64(s.Probed) }),
	gauge("positions_unknown", "Ports that were not probed, or while evidence was lost.", func(s *scan.Status) float64 { return float64(s.Unknown) }),
	gauge("positions_excluded", "Of these, ports whose addresses were excluded while the scan ran.", func(s *scan.Status) float64 { return float64(s.ExcludedLive) }),

	counter("probes_sent_total", "Probes that the kernel or the driver has accepted, retries and canary probes included, beacons not.", func(s *scan.Status) uint64 { return s.Sent + s.Canaries }),
	counter("probes_retried_total", "Of the probes to targets, second and later attempts.", func(s *scan.Status) uint64 { return s.Retransmitted }),
	counter("probe_errors_total", "Probes that the kernel refused for good.", func(s *scan.Status) uint64 { return s.TxErrors }),
	counter("probe_backpressure_total", "Sends repeated because the send path had no room.", func(s *scan.Status) uint64 { return s.TxRetries }),
	counter("receive_drops_total", "Packets that the kernel dropped before they were read.", func(s *scan.Status) uint64 { return s.RxDrops }),
	counter("interface_drops_total", "Frames that the interfaces of the scan lost before anybody could see them.", func(s *scan.Status) uint64 { return s.IfaceDrops }),

	gauge("rate_probes_per_second", "The rate as it is set.", func(s *scan.Status) float64 { return s.Rate }),
	gauge("rate_achieved_probes_per_second", "Probes sent over the last second, beacons included.", func(s *scan.Status) float64 { return s.Achieved }),
	gauge("rate_max_probes_per_second", "The most that the scan was planned for.", func(s *scan.Status) float64 { return s.MaxRate }),
	gauge("capacity_probes_per_second", "What the path carries, as estimated. Absent where that is not known.", func(s *scan.Status) float64 { return s.Capacity }).where(func(s *scan.Status) bool { return s.Capacity > 0 }),
	gauge("paused", "Whether somebody has paused the scan.", func(s *scan.Status) float64 { return truth(s.Paused) }),
	{describe("paused_seconds_total", "How long somebody had the scan paused."), prometheus.CounterValue, func(s *scan.Status) float64 { return s.PausedS }, nil},
	gauge("outputs_behind", "Whether senders wait for outputs.", func(s *scan.Status) float64 { return truth(s.Behind) }),

	counter("beacons_sent_total", "Probes to ports that had answered, which tell an outage from silence.", func(s *scan.Status) uint64 { return s.Beacons.Sent }),
	counter("beacons_answered_total", "Of these, those that were answered.", func(s *scan.Status) uint64 { return s.Beacons.Answered }),
	counter("beacons_lost_total", "Beacons that were not answered in time.", func(s *scan.Status) uint64 { return s.Beacons.Lost }),
	counter("outages_total", "Outages so far, one that lasts included.", func(s *scan.Status) uint64 { return uint64(s.Outages) }),
	gauge("outage", "Whether there is an outage.", func(s *scan.Status) float64 { return truth(s.Outage != "") }),
	{describe("outage_seconds_total", "How long outages that are over have lasted."), prometheus.CounterValue, func(s *scan.Status) float64 { return s.Without }, nil},
}

func unix(t results.Time) float64 { return float64(time.Time(t).UnixNano()) / 1e9 }

// The metrics with labels.
var (
	build   = describe("build_info", "The version of the program; 1.", "version")
	info    = describe("scan_info", "What scan it is, and how probes are sent; 1.", "scan_id", "backend")
	phase   = describe("phase", "The phase that the scan is in: 1, and 0 for the others.", "phase")
	ports   = describe("ports", "Ports by their best state so far.", "state")
	replies = describe("replies_total", "Replies: news, or why they are none. Invalid ones prove nothing.", "verdict")
	limit   = describe("rate_limit_probes_per_second", "What limits the rate at the moment, by its reason.", "reason")
	delay   = describe("beacon_delay_seconds", "How long answers to beacons took.")

	outRecords = describe("output_records_total", "Records by what became of them. Outputs are numbered in the order of the command line.", "output", "format", "outcome")
	outWaiting = describe("output_records_waiting", "Records that an output has not taken yet.", "output", "format")
	outRetried = describe("output_records_retried_total", "Records sent more than once, each time counted.", "output", "format")
	outFailed  = describe("output_failed", "Whether an output has failed for good.", "output", "format")
)

// Describe is of prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range plain {
		to <- m.desc
	}
	for _, d := range []*prometheus.Desc{build, info, phase, ports, replies, limit, delay, outRecords, outWaiting, outRetried, outFailed} {
		to <- d
	}
}

// Collect is of prometheus.Collector. All that it gives is of one status.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s := c.status()
	for _, m := range plain {
		if m.known == nil || m.known(&s) {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&s))
		}
	}
	give := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	give(build, prometheus.GaugeValue, 1, c.version)
	give(info, prometheus.GaugeValue, 1, s.ScanID, s.Backend)
	for _, name := range []string{scan.PhaseResolve, scan.PhaseCanaries, scan.PhaseScan} {
		give(phase, prometheus.GaugeValue, truth(name == s.Phase && !s.Over), name)
	}
	for state, n := range map[string]uint64{"open": s.Open, "closed": s.Closed, "filtered": s.Filtered} {
		give(ports, prometheus.GaugeValue, float64(n), state)
	}
	known := s.Duplicates + s.Outranked + s.Late
	for verdict, n := range map[string]uint64{
		"news": s.Replies - min(s.Replies, known), "duplicate": s.Duplicates, "outranked": s.Outranked, "late": s.Late, "invalid": s.Invalid,
	} {
		give(replies, prometheus.CounterValue, float64(n), verdict)
	}
	give(limit, prometheus.GaugeValue, s.Limit, s.LimitedBy)
	to <- delays(&s.Beacons.Delays)
	for i := range s.Outputs {
		output(give, i, &s.Outputs[i])
	}
}

// delays is the histogram.
func delays(d *beacon.Delays) prometheus.Metric {
	buckets, sum := map[float64]uint64{}, uint64(0)
	for i, bound := range beacon.DelayBounds {
		sum += d.Counts[i]
		buckets[bound.Seconds()] = sum
	}
	return prometheus.MustNewConstHistogram(delay, sum+d.Counts[len(beacon.DelayBounds)], d.Sum.Seconds(), buckets)
}

// output gives the metrics of an output: its number and format, for its name has where it goes.
func output(give func(*prometheus.Desc, prometheus.ValueType, float64, ...string), i int, d *results.Delivery) {
	format, _ := sink.Split(d.Output)
	labels := []string{strconv.Itoa(i + 1), format}
	for outcome, n := range map[string]uint64{"delivered": d.Delivered, "dead": d.Dead, "lost": d.Lost} {
		give(outRecords, prometheus.CounterValue, float64(n), labels[0], labels[1], outcome)
	}
	give(outWaiting, prometheus.GaugeValue, float64(d.Queued+d.Held), labels...)
	give(outRetried, prometheus.CounterValue, float64(d.Retried), labels...)
	give(outFailed, prometheus.GaugeValue, truth(d.Error != ""), labels...)
}
