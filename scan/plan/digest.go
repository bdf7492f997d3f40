package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"synoptic/scan/spec"
	"synoptic/scan/target"
)

// The digests are SHA-256 in lower-case hex over text that anybody can make again, which package spec writes: plan_digest over all of
// it, targets_digest over every address that is probed, and ports_digest over every port:
//
//	10.0.0.0-10.0.0.255           80-80
//	10.0.2.7-10.0.2.7             8000-8100
//
// So plans with the same plan_digest, seed and shard ask the same in the same order. Of a scan with parts that go different ways
// they are those of the whole; the order is each part's own.

// digests are the three; the zero value stands for those that are not computed yet.
type digests struct{ plan, targets, ports string }

// Digest identifies what is scanned and the rule of its order.
func (p *Plan) Digest() string { return p.allDigests().plan }

// TargetsDigest identifies the addresses that are probed, on whatever ports.
func (p *Plan) TargetsDigest() string { return p.allDigests().targets }

// PortsDigest identifies the ports that are probed, on whatever addresses.
func (p *Plan) PortsDigest() string { return p.allDigests().ports }

// allDigests computes those of a phase when they are asked for: few do.
func (p *Plan) allDigests() digests {
	if p.digests.plan != "" {
		return p.digests
	}
	return digestsOf(p.Space, p.Asked.Targets)
}

func digestsOf(space *target.Space, asked *target.Targets) digests {
	return digests{
		plan:    digest(func(w io.Writer) error { return spec.Write(w, space, asked.Exclusions()) }),
		targets: digest(func(w io.Writer) error { return spec.WriteTargets(w, space) }),
		ports:   digest(func(w io.Writer) error { return spec.WritePorts(w, space) }),
	}
}

// digest is the SHA-256 of what is written.
func digest(write func(io.Writer) error) string {
	h := sha256.New()
	_ = write(h) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}
