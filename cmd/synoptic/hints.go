package main

import (
	"errors"
	"strings"
)

// flags names the flag that fills a field of a configuration. Libraries know fields only, and name them in
// their errors and hints by their Go names; what is printed names flags.
var flags = map[string]string{
	// target.Config
	"Targets":      "targets", // the words of the command line
	"TargetFiles":  "--targets-file",
	"Exclude":      "--exclude",
	"ExcludeFiles": "--exclude-file",
	"ScopeFiles":   "--scope",
	"Ports":        "--ports",
	"ExcludePorts": "--exclude-ports",
	"Family":       "-4 or -6",
	"Strict":       "--strict",
	"Beacons":      "--beacon",
	// plan.Config
	"Seed":          "--seed",
	"ShardI":        "--shard",
	"ShardOf":       "--shard",
	"Rate":          "--rate",
	"Bandwidth":     "--bandwidth",
	"MinRate":       "--min-rate",
	"MaxRate":       "--max-rate",
	"RatePerHost":   "--rate-per-host",
	"RatePerPrefix": "--rate-per-prefix",
	"Backend":       "--backend",
	"Interface":     "--interface",
	"Source":        "--source-ip",
	"SpoofSource":   "--spoof-source",
	"SourcePort":    "--source-port",
	"GatewayMAC":    "--gateway-mac",
	"Profile":       "--syn-profile",
	"Attempts":      "--retries",
	"RetryGap":      "--retry-gap",
	"TargetRecall":  "--target-recall",
	"Canaries":      "--canaries",
	"Verify":        "--verify",
	"ShowHosts":     "--show-hosts",
	"Lanes":         "--lanes",
	"Batch":         "--batch",
	"Wait":          "--wait",
	"Patience":      "--patience",
	"MaxMemory":     "--max-memory",
	"Show":          "--show",
	// tags.Config
	"Tags":      "--tag",
	"TagsFiles": "--tags-file",
	// sink.Config, and the options of formats and destinations in it
	"Spool":           "--spool",
	"SpoolMax":        "--spool-max",
	"DeadLetters":     "--dead-letters",
	"DeliveryTimeout": "--delivery-timeout",
	"TempDir":         "--spool",
	"CAFile":          "--ca-file",
	"CertFile":        "--client-cert",
	"KeyFile":         "--client-key",
	"HECToken":        "--hec-token-file",
	"ElasticAPIKey":   "--elastic-api-key-file",
	"ElasticUser":     "--elastic-user",
	"ElasticPassword": "--elastic-password-file",
}

// withFlags writes flags where a hint or a message names fields. A word in quotes is somebody else's.
func withFlags(s string) string {
	var b strings.Builder
	for at := 0; at < len(s); {
		end := at
		for end < len(s) && isWord(s[end]) {
			end++
		}
		if end == at {
			b.WriteByte(s[at])
			at++
			continue
		}
		flag, known := flags[s[at:end]]
		apart := (at == 0 || strings.IndexByte(`"/\.-`, s[at-1]) < 0) && (end == len(s) || strings.IndexByte(`"/\-`, s[end]) < 0)
		if known && apart {
			b.WriteString(flag)
		} else {
			b.WriteString(s[at:end])
		}
		at = end
	}
	return b.String()
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// messageOf is what an error says, with flags where it is about a field.
func messageOf(err error) string {
	if firstOf(err, fieldOf) == "" {
		return err.Error()
	}
	return withFlags(err.Error())
}

// hintOf is how to fix an error, where it or an error that it wraps knows. It names fields.
func hintOf(err error) string {
	return firstOf(err, func(err error) string {
		if h, ok := err.(interface{ Hint() string }); ok {
			return h.Hint()
		}
		return ""
	})
}

func fieldOf(err error) string {
	if f, ok := err.(interface{ Field() string }); ok {
		return f.Field()
	}
	return ""
}

// firstOf is the first answer of an error and all that it wraps, in the order of errors.As, that is not empty:
// an error that has nothing to say does not hide one below it.
func firstOf(err error, ask func(error) string) string {
	if err == nil {
		return ""
	}
	if s := ask(err); s != "" {
		return s
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range all.Unwrap() {
			if s := firstOf(e, ask); s != "" {
				return s
			}
		}
		return ""
	}
	return firstOf(errors.Unwrap(err), ask)
}
