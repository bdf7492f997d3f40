package main

import (
	"fmt"
	"log/slog"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
)

const (
	// Interfaces count frames of protocols that nobody takes as dropped, too, some each minute on most networks: fewer
	// drops than these say nothing.
	fewDrops = 100
	// dropShare of the replies is as much as estimates of loss can tell from chance.
	dropShare = 1000
)

// warnOfDrops tells of frames that were lost before anybody could see whether they are replies.
func warnOfDrops(log *slog.Logger, end *results.ScanEnd) {
	if end.IfaceDrops < max(fewDrops, end.Replies/dropShare) {
		return
	}
	log.Warn(fmt.Sprintf("the interfaces lost %s frames before they could be read, and replies may be among them",
		screen.Grouped(end.IfaceDrops)), "iface_drops", end.IfaceDrops, hintKey, "lower Rate, or give the interface larger receive rings: ethtool -G")
}
