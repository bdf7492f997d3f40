package target

import (
	"encoding/csv"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// everydayRows reads the table as its readers do, its head checked.
func everydayRows(t *testing.T) [][]string {
	t.Helper()
	f, err := os.Open("everyday-services.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comment, r.FieldsPerRecord = '#', 4
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows[0], ","); got != "port,name,instead_of,source" {
		t.Fatalf("the head is %q", got)
	}
	return rows[1:]
}

// Every line of the table is needed: it says something else than IANA's registry, in a name as RFC 6335 section 5.1
// has them, says where that is from, and is what Service gives.
func TestEverydayServices(t *testing.T) {
	valid := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	letter := regexp.MustCompile(`[a-z]`)
	registered := map[int]string{}
	for _, s := range loadRegistry().rows {
		for p := int(s.first); p <= int(s.last); p++ {
			if _, have := registered[p]; !have {
				registered[p] = s.name
			}
		}
	}
	rows, last := everydayRows(t), 0
	for _, row := range rows {
		port, err := strconv.Atoi(row[0])
		name, insteadOf, source := row[1], row[2], row[3]
		switch {
		case err != nil || port <= last || port > 65535:
			t.Errorf("%v: the port is no port, or not above the one before", row)
		case !valid.MatchString(name) || len(name) > 15 || !letter.MatchString(name):
			t.Errorf("%v: %q is no name of a service", row, name)
		case insteadOf != registered[port]:
			t.Errorf("%v: IANA's name is %q", row, registered[port])
		case strings.EqualFold(name, registered[port]):
			t.Errorf("%v: IANA's registry has the same name", row)
		case len(source) < len("RFC 1 x"):
			t.Errorf("%v: no source", row)
		case Service(uint16(port)) != name || !Everyday(uint16(port)):
			t.Errorf("Service(%d) = %q, everyday %v", port, Service(uint16(port)), Everyday(uint16(port)))
		}
		last = port
	}
	if n := len(loadRegistry().everyday); n != len(rows) || n < 80 {
		t.Errorf("%d rows are read of %d", n, len(rows))
	}
}

// What people expect to read of a port, and what the registry is right about.
func TestEverydayNames(t *testing.T) {
	for port, want := range map[uint16]string{
		8000: "http-alt", 8081: "http-alt", 2222: "ssh", 3307: "mysql", 7777: "http-alt", 8443: "https-alt", 8888: "http-alt", 9090: "http-alt",
		9200: "elasticsearch", 5000: "http-alt", 6443: "kubernetes", 3389: "rdp", 5900: "vnc", 445: "smb", 10250: "kubelet", 6667: "irc", 9092: "kafka",
	} {
		if got := Service(port); got != want || !Everyday(port) {
			t.Errorf("Service(%d) = %q, everyday %v, want %q", port, got, Everyday(port), want)
		}
	}
	for port, want := range map[uint16]string{22: "ssh", 80: "http", 443: "https", 8080: "http-alt", 8008: "http-alt", 2375: "docker", 3306: "mysql", 5432: "postgresql", 6379: "redis", 27017: "mongodb", 10000: "ndmp", 4: ""} {
		if got := Service(port); got != want || Everyday(port) {
			t.Errorf("Service(%d) = %q, everyday %v, want IANA's %q", port, got, Everyday(port), want)
		}
	}
}

// Without -p, what an operator of a network cares for is probed: 20 of these are not in the thousand of other lists.
func TestDefaultPortsOfOperators(t *testing.T) {
	top, err := TopPorts(1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []uint16{
		21, 22, 23, 25, 53, 80, 88, 110, 111, 135, 139, 143, 389, 443, 445, 464, 465, 502, 512, 513, 514, 515, 548, 554, 587, 593, 623, 631, 636, 873, 993, 995,
		1080, 1433, 1521, 1723, 1883, 2049, 2181, 2222, 2375, 2376, 2379, 3000, 3128, 3268, 3269, 3306, 3389, 4786, 5000, 5060, 5432, 5601, 5672, 5900, 5984, 5985, 5986,
		6379, 6443, 7547, 8000, 8080, 8081, 8443, 8888, 9090, 9092, 9100, 9200, 9300, 10000, 10250, 11211, 15672, 27017, 49152, 49153, 49154, 49155, 49156, 49157,
	} {
		if !top.Contains(p) {
			t.Errorf("port %d (%s) is not among the default ports", p, Service(p))
		}
	}
}
