package judge

import (
	"bytes"
	"cmp"
	"strings"
)

// Detect names the protocol that the first bytes of a server show, in IANA's word for the service where it has one; ""
// where they show none. It goes by what the server says, not by its port, and only by protocols in which the server
// speaks first: of the others (HTTP, TLS, SMB, RDP, LDAP, PostgreSQL, AMQP, MQTT …) nothing comes to listen to.
//
// banner is the beginning of what came, which may end anywhere.
func Detect(banner []byte) string {
	for i := range protocols {
		if name := protocols[i].detect(banner); name != "" {
			return name
		}
	}
	return ""
}

// protocol is a way to tell one protocol, or several that greet alike.
type protocol struct {
	source string // where it is written how a server begins
	detect func(banner []byte) string
}

var protocols = []protocol{
	{"RFC 4253 section 4.2: identification string, lines may go before it", detectSSH},
	{"RFC 959 section 5.4, RFC 5321 section 4.3.1, RFC 2033 section 3, RFC 2229 section 3.1, VMware Authentication Daemon: reply 220", detectReply220},
	{"RFC 5321 section 3.1: a server that takes no mail says 554", detectReply554},
	{"RFC 3977 section 5.1: 200 and 201, which others say too", detectNNTP},
	{"RFC 1939 section 4: +OK", prefixes("pop3", "+OK ", "+OK\r\n")},
	{"RFC 9051 section 7.1: untagged OK and PREAUTH", prefixes("imap", "* OK ", "* PREAUTH ")},
	{"RFC 5804 section 1.7: capabilities", prefixes("sieve", `"IMPLEMENTATION" "`)},
	{"MySQL Source Code Documentation, Protocol::HandshakeV10 and ERR_Packet; MariaDB names itself in the version", detectMySQL},
	{"MySQL Source Code Documentation, Mysqlx.Notice: SERVER_HELLO", prefixes("mysqlx", "\x05\x00\x00\x00\x0b\x08\x05\x1a\x00")},
	{"RFC 6143 section 7.1.1: ProtocolVersion", detectVNC},
	{"RFC 854: IAC and WILL, WONT, DO or DONT; IANA's Telnet Options", detectTelnet},
	{"RFC 4271 section 4.1: marker, length, OPEN or NOTIFICATION", detectBGP},
	{"Redis, Security: protected mode; maxclients in redis.conf", prefixes("redis", "-DENIED Redis ", "-ERR max number of clients reached")},
	{"rsync, clientserver.c: exchange of the protocol version", detectRsync},
	{"RFC 2812 sections 2.3.1, 3.3.2 and 3.7.4: NOTICE and ERROR before registration", detectIRC},
	{"Subversion, libsvn_ra_svn/protocol section 2.1.1: greeting", prefixes("svn", "( success ( ")},
	{"RFC 9112 section 4: status line, of servers that have waited long enough", prefixes("http", "HTTP/1.0 ", "HTTP/1.1 ")},
	{"Munin, Network protocol: greeting", prefixes("munin", "# munin node at ")},
	{"Checkmk, Writing agent-based check plug-ins: first section", prefixes("checkmk-agent", "<<<check_mk>>>\n")},
	{"Asterisk, AMI Libraries and Frameworks: greeting", prefixes("asterisk-ami", "Asterisk Call Manager/")},
	{"MPD, Protocol: greeting", prefixes("mpd", "OK MPD ")},
	{"TeamSpeak 3 Server Query Manual: greeting", prefixes("teamspeak", "TS3\n\r")},
	{"OpenVPN, Management Interface Notes: greeting", prefixes("openvpn-mgmt", ">INFO:OpenVPN Management Interface")},
	{"Ceph, msgr v1 and msgr2 protocols: banner", prefixes("ceph", "ceph v0", "ceph v2\n")},
}

// prefixes names a protocol by the beginning of what a server says.
func prefixes(name string, begin ...string) func([]byte) string {
	return func(banner []byte) string {
		for _, b := range begin {
			if hasPrefix(banner, b) {
				return name
			}
		}
		return ""
	}
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// detectSSH takes versions 1 and 2, and 1.99, which is both (RFC 4253 section 5.1).
func detectSSH(banner []byte) string {
	for line := range bytes.Lines(banner) {
		if hasPrefix(line, "SSH-2.0-") || hasPrefix(line, "SSH-1.") && bytes.IndexByte(line[len("SSH-1."):], '-') > 0 {
			return "ssh"
		}
	}
	return ""
}

// detectReply220 tells apart who says 220, by words such as FTP and ESMTP. With SMTP the first word is the server's
// domain, which may be called anything, ftp.example.com too. Where no word is a sign, or two contradict, nobody knows.
func detectReply220(banner []byte) string {
	end := bytes.LastIndexByte(banner, '\n') // half a line may say another thing than all of it
	if !hasPrefix(banner, "220 ") && !hasPrefix(banner, "220-") || end < 4 {
		return ""
	}
	text := strings.ToLower(string(banner[4:end]))
	switch {
	case strings.HasPrefix(text, "vmware authentication daemon "):
		return "vmware-auth"
	case strings.Contains(text, "simple mail transfer"):
		return "smtp"
	case strings.Contains(text, "service ready for new user"):
		return "ftp"
	}
	words := strings.FieldsFunc(text, between)
	found := ""
	for i, w := range words {
		name := sign220(w)
		if i == 0 && (name != "ftp" || w == "ftp") {
			continue
		}
		if name != "" && found != "" && name != found {
			return ""
		}
		found = cmp.Or(found, name)
	}
	if found == "" && len(words) > 0 && words[0] == "ftp" {
		return "ftp"
	}
	return found
}

// sign220 is what a word of a greeting is a sign of.
func sign220(word string) string {
	switch {
	case word == "smtp" || word == "esmtp":
		return "smtp"
	case word == "lmtp":
		return "lmtp"
	case strings.HasPrefix(word, "dictd"):
		return "dict"
	case word == "filezilla" || strings.Contains(word, "ftp") && !isDomain(word):
		return "ftp"
	}
	return ""
}

// between are the characters between words in the greetings of mail and file servers.
func between(r rune) bool { return r <= ' ' || strings.ContainsRune("()[]<>,;:!\"'*=|", r) }

// isDomain tells that a word is a name with dots, as hosts have it and programs do not: "ftp.example.com".
func isDomain(word string) bool {
	for i := 1; i+1 < len(word); i++ {
		if word[i] == '.' && isLetter(word[i-1]) && isLetter(word[i+1]) {
			return true
		}
	}
	return false
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' }

func detectReply554(banner []byte) string {
	if !hasPrefix(banner, "554 ") && !hasPrefix(banner, "554-") {
		return ""
	}
	for i, w := range strings.FieldsFunc(strings.ToLower(string(banner[4:])), between) {
		if i > 0 && sign220(w) == "smtp" {
			return "smtp"
		}
	}
	return ""
}

func detectNNTP(banner []byte) string {
	if !hasPrefix(banner, "200 ") && !hasPrefix(banner, "201 ") {
		return ""
	}
	for _, w := range strings.FieldsFunc(strings.ToLower(string(banner[4:])), between) {
		if w == "nntp" || w == "nnrp" || w == "internetnews" {
			return "nntp"
		}
	}
	return ""
}

// detectMySQL reads the first packet: 3 bytes of length, little endian, a number, which is 0, and the payload, which is
// the greeting (10, then the version, ending in a zero byte) or an error (255, its number, the words).
func detectMySQL(banner []byte) string {
	const head, minGreeting = 4, 20
	if len(banner) < head+4 || banner[3] != 0 {
		return ""
	}
	length := int(banner[0]) | int(banner[1])<<8 | int(banner[2])<<16
	payload := banner[head:]
	if length > 1<<10 || len(payload) > length {
		return ""
	}
	switch payload[0] {
	case 10:
		version, _, found := bytes.Cut(payload[1:], []byte{0})
		if !found || length < minGreeting || len(version) < len("5.0") || version[0] < '0' || version[0] > '9' || !isText(version) {
			return ""
		}
		if bytes.Contains(version, []byte("MariaDB")) {
			return "mariadb"
		}
		return "mysql"
	case 255:
		number, words := int(payload[1])|int(payload[2])<<8, payload[3:]
		// Too many connections; host is blocked; host is not allowed to connect.
		if number != 1040 && number != 1129 && number != 1130 || !isText(words) || len(payload) < length {
			return ""
		}
		if bytes.Contains(words, []byte("MariaDB")) {
			return "mariadb"
		}
		return "mysql"
	}
	return ""
}

// isText tells that all bytes are printable ASCII.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

func detectVNC(banner []byte) string {
	const form = "RFB ddd.ddd\n"
	if len(banner) < len(form) {
		return ""
	}
	for i := range len(form) {
		c := banner[i]
		if form[i] == 'd' && (c < '0' || c > '9') || form[i] != 'd' && c != form[i] {
			return ""
		}
	}
	return "vnc"
}

func detectTelnet(banner []byte) string {
	const iac, will, dont = 255, 251, 254
	const lastOption, extended = 49, 255 // and 138 to 140, which no server begins with
	if len(banner) < 3 || banner[0] != iac || banner[1] < will || banner[1] > dont {
		return ""
	}
	if option := banner[2]; option > lastOption && option != extended {
		return ""
	}
	return "telnet"
}

func detectBGP(banner []byte) string {
	const marker, head, longest = 16, 19, 4096
	const opens, notifies = 1, 3
	if len(banner) < head {
		return ""
	}
	for _, c := range banner[:marker] {
		if c != 0xff {
			return ""
		}
	}
	length, kind := int(banner[marker])<<8|int(banner[marker+1]), banner[marker+2]
	if kind == opens && length >= 29 && length <= longest || kind == notifies && length >= 21 && length <= longest {
		return "bgp"
	}
	return ""
}

func detectRsync(banner []byte) string {
	const begin = "@RSYNCD: "
	if hasPrefix(banner, begin) && len(banner) > len(begin) && '0' <= banner[len(begin)] && banner[len(begin)] <= '9' {
		return "rsync"
	}
	return ""
}

func detectIRC(banner []byte) string {
	line, _, _ := bytes.Cut(banner, []byte("\n"))
	if hasPrefix(line, ":") { // the server's name goes before the command
		_, rest, found := bytes.Cut(line, []byte(" "))
		if !found {
			return ""
		}
		line = rest
	}
	for _, begin := range []string{"NOTICE AUTH :", "NOTICE * :", "ERROR :Closing Link"} {
		if hasPrefix(line, begin) {
			return "irc"
		}
	}
	return ""
}
