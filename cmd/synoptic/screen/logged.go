package screen

import (
	"context"
	"fmt"
	"log/slog"

	"synoptic/results"
	"synoptic/scan/plan"
)

// logPlan says what a scan is going to do, for who does not see the table.
func logPlan(log *slog.Logger, p *plan.Plan, flags func(string) string) {
	if !log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	attrs := []any{
		"scan_id", p.ScanID, "addresses", p.Addresses(), "ports", p.NumPorts(), "probes", p.Probes(),
		"excluded", p.Asked.Targets.Excluded, "seed", p.Seed, "backend", p.Choice.Backend, "backend_reason", p.BackendReason(p.Choice), HintKey, flags(p.Choice.Hint),
		"rate", p.Pace.Start, "rate_reason", p.RateReason, "attempts", p.Asked.Attempts, "window", p.Window, "duration_s", p.Bounds().Answered.Seconds(), "duration_silent_s", p.Bounds().Silent.Seconds(),
	}
	if p.Asked.ShardOf > 1 {
		attrs = append(attrs, "shard", fmt.Sprintf("%d/%d", p.Asked.ShardI, p.Asked.ShardOf))
	}
	if p.Routes != nil {
		attrs = append(attrs, "iface", p.Interfaces(), "src_ip", p.Sources(), "lanes", max(p.Choice.Lanes, 1))
	}
	if sc := p.Asked.Targets.Scope; sc != nil {
		attrs = append(attrs, "scope", sc.File)
	}
	log.Info("plan", attrs...)
}

// logEnd says how a scan went, for who does not see the summary.
func logEnd(log *slog.Logger, end *results.ScanEnd, hint string) {
	attrs := []any{
		"scan_id", end.ScanID, "sent", end.Sent, "open", end.Open, "closed", end.Closed, "filtered", end.Filtered,
		"no_response", end.NoResponse, "duration_s", end.Duration, "pps", end.PPS, "coverage", end.Coverage, "complete", end.Complete,
	}
	if end.Evidence != nil {
		attrs = append(attrs, "evidence", end.Evidence)
	}
	if end.NotVerified > 0 {
		attrs = append(attrs, "not_verified", end.NotVerified, "not_verified_why", end.NotVerifiedWhy)
	}
	if end.ExcludedLive > 0 {
		attrs = append(attrs, "excluded_live", end.ExcludedLive)
	}
	if end.Paused > 0 {
		attrs = append(attrs, "paused_s", end.Paused)
	}
	if len(end.Outputs) > 0 {
		attrs = append(attrs, "outputs", end.Outputs)
	}
	log.Info(outcome(end), append(attrs, HintKey, hint)...)
}
