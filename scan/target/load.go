package target

import (
	"context"
	"io"
	"iter"
	"net/netip"

	"go4.org/netipx"
)

// Config is what the user asked for. The zero value asks for nothing, which Load refuses.
type Config struct {
	// Targets are the words of the command line: address, CIDR, a-b, octet range (10.0.0-3.1-254, "*"
	// and comma lists inside octets), host name; each also with a port (ip:port, [v6]:port, host:port),
	// which is then scanned on it alone. "-" is Stdin, read as a file.
	Targets []string
	// TargetFiles hold the same, separated by white space; # begins a comment. "-" is Stdin. What could be columns of
	// a table is refused. Files may be in any form that package textfile reads. What they take is bounded whatever they
	// hold: what is said again takes nothing, and 2^18 host names are the most.
	TargetFiles []string
	// Exclude and ExcludeFiles name addresses that are never probed, in the same forms less the ports.
	// They apply to resolved names too. A file without any is an error, and so is a name without addresses.
	Exclude      []string
	ExcludeFiles []string
	// ScopeFiles list the authorized addresses and prefixes: a target outside of all of them that is not
	// excluded is an error. None means no scope.
	ScopeFiles []string
	// Beacons are ports of targets that answer for sure, as "ip:port", "[v6]:port" or "host:port"; of a name, those of
	// its addresses that are targets. The port need not be one of Ports.
	Beacons []string
	// Ports are scanned on every target that names no port of its own.
	Ports *Ports
	// ExcludePorts are never probed, on targets that name them neither; nil is none.
	ExcludePorts *Ports
	// Family leaves the targets of the other one out.
	Family Family
	// Strict refuses names without addresses among the targets. Otherwise they are skipped, as long as targets are left.
	Strict bool
	// Resolve returns the addresses of a host name; nil is net.DefaultResolver. It is called once per name, from
	// several goroutines.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Reaches says why an address cannot be probed from here; nil reaches all. Of a name with addresses of both families
	// one that cannot be reached is left out, and a name whose IPv6 addresses are all that it has is skipped.
	Reaches func(netip.Addr) error
	// Progress is told of look-ups as they end: so many of so many. Calls do not overlap. It may be nil.
	Progress func(done, total int)
	Stdin    io.Reader
	Open     func(name string) (io.ReadCloser, error) // nil is os.Open
}

// Targets is what a Config comes to.
type Targets struct {
	Space *Space
	// Names are the host names that addresses came from.
	Names *Names
	// HostNames is how many names were among the targets, and SkippedNames how many of them have come to nothing.
	HostNames, SkippedNames int
	// Excluded counts the addresses that were asked for and removed by exclusion; math.MaxUint64
	// stands for that many or more.
	Excluded uint64
	// Scope is nil without a scope file.
	Scope *Scope
	// Beacons are those of Config, ascending, each once.
	Beacons []netip.AddrPort
	// ExcludedPorts are Config.ExcludePorts.
	ExcludedPorts *Ports
	// Warnings are what was left out, or has no effect.
	Warnings []Warning
	// Taken are the first of NumTaken prefixes that were not written as they are.
	Taken    []Taken
	NumTaken int

	exclude ranges
}

// Exclusions yields what was excluded, whether it was asked for or not, as disjoint and non-adjacent ranges
// in ascending order, IPv4 first.
func (t *Targets) Exclusions() iter.Seq[netipx.IPRange] {
	return func(yield func(netipx.IPRange) bool) { t.exclude.each(yield) }
}

// Scope identifies the authorization a scan ran under.
type Scope struct {
	File      string // several are separated by ", "
	SHA256    string // of the file's bytes, lower-case hex; of several files of these digests, one a line
	Addresses uint64 // authorized addresses; math.MaxUint64 stands for that many or more
}

// Load reads, resolves, merges and checks everything c names. Its errors are *Error where the user can
// fix the input; when ctx ends, ctx's.
//
// Order: scope, exclusions, targets, beacons. So each target is checked while its file and line are known.
func Load(ctx context.Context, c Config) (*Targets, error) {
	loadRegistry() // or a receiver would stop for it at its first record
	l := loader{Config: c, ctx: ctx, resolved: map[string]lookup{}, rooted: map[string]bool{}, pairs: map[uint16]*ranges{}}
	for _, load := range []func() error{l.excludePorts, l.loadScope, l.loadExclusions, l.loadTargets, l.loadBeacons} {
		if err := load(); err != nil {
			return nil, err
		}
	}
	return l.finish()
}
