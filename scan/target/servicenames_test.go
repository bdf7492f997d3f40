package target

import (
	"strings"
	"testing"
)

// Names of everyday use are names of ports where IANA's registry has none, or one that nobody uses.
func TestServiceNames(t *testing.T) {
	for name, want := range map[string]string{
		"rdp": "3389", "RDP": "3389", "smb": "445", "vnc": "5900-5903", "kafka": "9092", "elasticsearch": "9200,9300", "kubernetes": "6443", "kubelet": "10250", "oracle": "1521",
		"jetdirect": "9100", "db2": "50000", "rdp,ssh": "22,3389", "T:rdp": "3389", "rdp/tcp": "3389", "nomad": "4646,5209", "consul": "8300-8302,8500", "irc": "194",
		"ssh": "22", "http": "80", "https": "443", "mysql": "3306", "http-alt": "591,8008,8080", "postgresql": "5432", "mongodb": "27017", "nfs": "2049", "microsoft-ds": "445", "ms-wbt-server": "3389",
	} {
		if got := mustPorts(t, name).String(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for port := uint32(1); port <= 65535; port++ { // what a record calls a port is a name of that port, or of others that IANA calls so
		if s := Service(uint16(port)); s != "" {
			p, err := ParsePorts(s)
			if err != nil {
				t.Errorf("Service(%d) is %q, which -p does not take: %v", port, s, err)
			} else if _, registered := map[string]bool{"http-alt": true, "ssh": true, "mysql": true, "postgresql": true, "redis": true, "irc": true, "mongodb": true, "submissions": true}[s]; !p.Contains(uint16(port)) && !registered {
				t.Errorf("Service(%d) is %q, which -p takes for %s", port, s, p)
			}
		}
	}
}

// A word that is none gets the one that was meant, or none: most names of the registry nobody means.
func TestLikelyService(t *testing.T) {
	for word, want := range map[string]string{
		"dns": "domain", "mssql": "ms-sql-s", "mongo": "mongodb", "k8s": "kubernetes", "memcached": "memcache", "postgres": "postgresql", "elastic": "elasticsearch", "kube": "kubernetes",
		"smtps": "submissions", "etcd": "etcd-client", "rdb": "rdp", "vcn": "vnc", "sbm": "smb", "htpp": "http", "htpps": "https", "hhtps": "https", "sssh": "ssh", "telent": "telnet",
		"modbus": "mbap", "syslog": "syslog-conn", "rabbitmq": "amqp", "DNS": "domain", "mysq1": "mysql", "kafak": "kafka", "docekr": "docker", "elasticsaerch": "elasticsearch",
		"x": "", "q": "", "zzzz": "", "nonsense": "", "foobar": "", "": "", strings.Repeat("a", 100): "",
	} {
		if got := likelyService(strings.ToLower(word)); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	for word, service := range alsoCalled {
		if _, err := ParsePorts(service); err != nil {
			t.Errorf("%s: %v", service, err)
		}
		if p, err := ParsePorts(word); err == nil {
			t.Errorf("%s is a service itself, of %s", word, p)
		}
	}
}
