package listeners

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// skLookups are the programs of type sk_lookup by the network namespace that they are attached to. Such a program gives a connection to any
// socket of the namespace, whatever that is bound to (Documentation/bpf/prog_sk_lookup.rst), and the kernel does not say which ones it takes.
func skLookups() (map[uint64][]string, error) {
	all := map[uint64][]string{}
	var links link.Iterator
	defer links.Close()
	for links.Next() {
		info, err := links.Link.Info()
		if err != nil || info.Type != link.NetNsType || info.NetNs() == nil || ebpf.AttachType(info.NetNs().AttachType) != ebpf.AttachSkLookup {
			continue
		}
		all[uint64(info.NetNs().NetnsInode)] = append(all[uint64(info.NetNs().NetnsInode)], programName(info.Program))
	}
	if err := links.Err(); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ebpf.ErrNotSupported) {
		return all, fmt.Errorf("list the BPF links: %w", err)
	}
	return all, nil
}

func programName(id ebpf.ProgramID) string {
	name := "a program"
	if p, err := ebpf.NewProgramFromID(id); err == nil {
		defer p.Close()
		if info, err := p.Info(); err == nil && info.Name != "" {
			name = info.Name
		}
	}
	return fmt.Sprintf("%s (id %d)", name, id)
}
