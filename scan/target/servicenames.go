package target

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// namedPorts yields first and last port of every row with the name: of IANA's registry, and of everyday use where none of IANA's
// is a ranked port. So ssh is 22 and not 2222, rdp is 3389, and nomad, IANA's name of something that nobody has, is HashiCorp's, too.
func namedPorts(name string) iter.Seq2[uint16, uint16] {
	return func(yield func(first, last uint16) bool) {
		everyday := true
		for _, s := range loadRegistry().rows {
			if !strings.EqualFold(s.name, name) {
				continue
			}
			if !yield(s.first, s.last) {
				return
			}
			everyday = everyday && !slices.Contains(loadTopPorts(), s.first)
		}
		for _, s := range loadRegistry().everyday {
			if everyday && strings.EqualFold(s.name, name) && !yield(s.first, s.last) {
				return
			}
		}
	}
}

// alsoCalled are names that people have for services besides those that are known.
var alsoCalled = map[string]string{
	"dns": "domain", "mssql": "ms-sql-s", "sqlserver": "ms-sql-s", "k8s": "kubernetes", "rpc": "sunrpc", "rpcbind": "sunrpc", "portmapper": "sunrpc", "msrpc": "epmap",
	"smtps": "submissions", "modbus": "mbap", "etcd": "etcd-client", "ajp": "ajp13", "samba": "smb", "netbios": "netbios-ssn", "syslog": "syslog-conn",
	"rsh": "shell", "rexec": "exec", "rlogin": "login", "printer-raw": "jetdirect", "lpd": "printer", "tsmm": "rdp", "ms-rdp": "rdp", "termsrv": "rdp",
	"winrm-http": "wsman", "winrm-https": "wsmans", "rabbitmq": "amqp", "mariadb": "mysql", "pgsql": "postgresql", "mongo": "mongodb", "gc": "msft-gc", "globalcatalog": "msft-gc",
	"upnp": "ssdp", "wazuh": "wazuh-agent", "docker-tls": "docker-s", "krb5": "kerberos", "tacacs+": "tacacs",
}

// nameHint proposes the name that was most likely meant.
func nameHint(name string) string {
	if best := likelyService(strings.ToLower(name)); best != "" {
		return fmt.Sprintf("did you mean %q? %s", best, portsHint)
	}
	return portsHint
}

// likelyService is the service that a word means: one that is also called so, one of the ranked ports that begins so or is
// nearest to it in spelling, else the nearest of the whole registry, most of which nobody means.
func likelyService(word string) string {
	if service := alsoCalled[word]; service != "" {
		return service
	}
	if len(word) > 31 { // the longest name has 15 letters (RFC 6335 section 5.1); some old ones a few more
		return ""
	}
	var known []string
	for _, port := range loadTopPorts() {
		if s := Service(port); s != "" && !slices.Contains(known, s) {
			known = append(known, s)
		}
	}
	for _, s := range known {
		if len(word) >= 4 && strings.HasPrefix(strings.ToLower(s), word) {
			return s
		}
	}
	limit := 3
	if len(word) < 5 {
		limit = 2 // two changes in a short name make it any other short name
	}
	if s := nearestService(word, known, limit); s != "" {
		return s
	}
	if len(word) < 5 {
		return ""
	}
	var all []string
	for _, s := range loadRegistry().rows {
		all = append(all, s.name)
	}
	return nearestService(word, all, limit-1)
}

// nearestService is the first of the names with the fewest changes, fewer than limit; two neighbours that have changed places are one.
func nearestService(word string, names []string, limit int) (best string) {
	for _, name := range names {
		d := editDistance(word, strings.ToLower(name), limit)
		if d > 1 && swapped(word, strings.ToLower(name)) {
			d = 1
		}
		if d < limit {
			best, limit = name, d
		}
	}
	return best
}

// swapped tells whether two words differ by two neighbours that have changed places.
func swapped(a, b string) bool {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return len(a) == len(b) && i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// editDistance is Levenshtein's, or limit where it cannot be below it.
func editDistance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return min(limit, row[len(b)])
}

// ServicesLike returns the names of services that begin so, in either case, each once: IANA's in its order, then those of everyday use.
func ServicesLike(prefix string) (names []string) {
	r, have := loadRegistry(), map[string]bool{}
	for _, rows := range [][]service{r.rows, r.everyday} {
		for _, s := range rows {
			if key := strings.ToLower(s.name); len(s.name) >= len(prefix) && strings.EqualFold(s.name[:len(prefix)], prefix) && !have[key] {
				have[key] = true
				names = append(names, s.name)
			}
		}
	}
	return names
}
