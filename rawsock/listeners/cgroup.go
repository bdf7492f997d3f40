package listeners

import "strings"

// unitOf is what the path of a control group says of its owner: the innermost systemd unit and the innermost container.
// The names are those that systemd, Docker, Podman, containerd, CRI-O, LXC and systemd-nspawn give.
func unitOf(path string) (unit, container string) {
	before := ""
	for name := range strings.SplitSeq(path, "/") {
		switch id := containerOf(name); {
		case id != "":
			container, unit = id, ""
		case before == "lxc" && name != "":
			container, unit = name, ""
		case strings.HasSuffix(name, ".service"), strings.HasSuffix(name, ".scope"), strings.HasSuffix(name, ".socket"), strings.HasSuffix(name, ".mount"):
			unit = name
		}
		before = name
	}
	return unit, container
}

// containerOf is the container that one name in a path stands for; "" where it is none.
func containerOf(name string) string {
	scope, isScope := strings.CutSuffix(name, ".scope")
	if id, ok := strings.CutPrefix(scope, "machine-"); ok && isScope {
		return strings.ReplaceAll(id, `\x2d`, "-") // systemd.unit(5), of a name that may have nothing else to escape
	}
	if id, ok := strings.CutPrefix(name, "systemd-nspawn@"); ok {
		return strings.ReplaceAll(strings.TrimSuffix(id, ".service"), `\x2d`, "-")
	}
	if id, ok := strings.CutPrefix(name, "lxc.payload."); ok {
		return id
	}
	id := scope[strings.LastIndexByte(scope, '-')+1:] // docker-ID.scope, libpod-ID.scope, cri-containerd-ID.scope, crio-ID.scope
	if isScope && id == scope {
		return ""
	}
	if len(id) != containerDigits || strings.Trim(id, "0123456789abcdef") != "" {
		return ""
	}
	return id
}

// containerDigits is how many hex digits the ID of an OCI container has with all the programs above.
const containerDigits = 64

// cgroupOf is the path in the hierarchy of cgroup2 that the text of /proc/PID/cgroup has; "" where it has none.
func cgroupOf(text string) string {
	for line := range strings.Lines(text) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return strings.TrimSuffix(path, " (deleted)")
		}
	}
	return ""
}
