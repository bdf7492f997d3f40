package scan

import (
	"strings"
	"testing"

	"synoptic/scan/judge"
)

// greetings are what servers say first, each as it is sent.
var greetings = map[string][]string{
	"ssh": {
		"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", "SSH-2.0-dropbear_2022.83\r\n", "SSH-1.99-Cisco-1.25\n", "SSH-1.5-1.2.27\n", "SSH-2.0-Go\r\n",
		"Authorized users only.\r\nAll is logged.\r\nSSH-2.0-OpenSSH_8.0\r\n", "SSH-2.0-libssh_0.9.6\n",
	},
	"ftp": {
		"220 (vsFTPd 3.0.3)\r\n", "220 ProFTPD Server (Debian) [::ffff:192.0.2.1]\r\n", "220 Microsoft FTP Service\r\n", "220-FileZilla Server 1.7.0\r\n220 Please visit\r\n",
		"220---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\r\n220-You are user number 1 of 50 allowed.\r\n", "220 FTP Server ready.\r\n",
		"220 Service ready for new user.\r\n", "220 ftp.example.com FTP server (Version 6.4/OpenBSD) ready.\r\n", "220 smtp FTP server ready\r\n", "220 Serv-U FTP Server v15.1 ready...\r\n",
		"220 printer-7 FTP Server (MP C3003) ready.\r\n", "220 ftp\r\n",
	},
	"smtp": {
		"220 mail.example.com ESMTP Postfix (Debian/GNU)\r\n", "220 mx.example.com Microsoft ESMTP MAIL Service ready at Thu, 26 Nov 2026 20:00:00 +0000\r\n",
		"220 ftp.example.com ESMTP Exim 4.96 Thu, 26 Nov 2026 20:00:00 +0000\r\n", "220 foo.com Simple Mail Transfer Service Ready\r\n", "220-mail.example.com ESMTP Sendmail\r\n220 ready\r\n",
		"220 ftp ESMTP\r\n", "220 mail SMTP ready\r\n", "554 mx.example.com ESMTP not accepting messages\r\n", "220 smtp.example.com ESMTP - gsmtp\r\n",
	},
	"lmtp":        {"220 mail.example.com LMTP Dovecot ready.\r\n"},
	"dict":        {"220 dict.example.org dictd 1.12.1/rf on Linux 6.1 <auth.mime> <1.2.3@dict.example.org>\r\n"},
	"vmware-auth": {"220 VMware Authentication Daemon Version 1.10: SSL Required, ServerDaemonProtocol:SOAP, MKSDisplayProtocol:VNC , , \r\n"},
	"pop3":        {"+OK Dovecot ready.\r\n", "+OK POP3 server ready <1896.697170952@dbc.example.com>\r\n", "+OK Hello there.\r\n", "+OK\r\n"},
	"imap":        {"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS] Dovecot ready.\r\n", "* PREAUTH IMAP4rev2 server logged in as Smith\r\n", "* OK The Microsoft Exchange IMAP4 service is ready.\r\n"},
	"sieve":       {"\"IMPLEMENTATION\" \"Dovecot Pigeonhole\"\r\n\"SIEVE\" \"fileinto reject\"\r\n"},
	"nntp":        {"200 news.example.com InterNetNews NNRP server INN 2.6.3 ready (posting ok)\r\n", "201 NNTP Service Ready, posting prohibited\r\n"},
	"mysql": {
		"\x4a\x00\x00\x00\x0a8.0.36-0ubuntu0.22.04.1\x00\x08\x00\x00\x00" + strings.Repeat("x", 41), "\x46\x00\x00\x00\x0a5.7.44\x00" + strings.Repeat("s", 60),
		"\x42\x00\x00\x00\xff\x6a\x04Host '192.0.2.1' is not allowed to connect to this MySQL server", "\x17\x00\x00\x00\xff\x10\x04Too many connections",
	},
	"mariadb": {
		"\x6d\x00\x00\x00\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\x00\x1e\x00\x00\x00" + strings.Repeat("x", 60), "\x59\x00\x00\x00\x0a11.4.2-MariaDB\x00" + strings.Repeat("x", 70),
		"\x43\x00\x00\x00\xff\x6a\x04Host '10.0.0.5' is not allowed to connect to this MariaDB server",
	},
	"mysqlx":        {"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00"},
	"vnc":           {"RFB 003.008\n", "RFB 003.003\n", "RFB 004.001\n", "RFB 005.000\n\x01"},
	"telnet":        {"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27", "\xff\xfb\x01\xff\xfb\x03\r\nUser Access Verification\r\n", "\xff\xfe\x01", "\xff\xfc\xff"},
	"bgp":           {strings.Repeat("\xff", 16) + "\x00\x1d\x01\x04\xfd\xe8\x00\xb4\x0a\x00\x00\x01\x00", strings.Repeat("\xff", 16) + "\x00\x15\x03\x06\x05"},
	"redis":         {"-DENIED Redis is running in protected mode because protected mode is enabled\r\n", "-ERR max number of clients reached\r\n"},
	"rsync":         {"@RSYNCD: 31.0\n", "@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n"},
	"irc":           {":irc.example.net NOTICE AUTH :*** Looking up your hostname...\r\n", "NOTICE AUTH :*** Processing connection\r\n", ":a.example NOTICE * :*** Checking Ident\r\n", "ERROR :Closing Link: [192.0.2.1] (Throttled)\r\n"},
	"svn":           {"( success ( 2 2 ( ) ( edit-pipeline svndiff1 accepts-svndiff2 ) ) ) "},
	"http":          {"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", "HTTP/1.0 400 Bad Request\r\n"},
	"munin":         {"# munin node at db01.example.com\n"},
	"checkmk-agent": {"<<<check_mk>>>\nVersion: 2.2.0p17\nAgentOS: linux\n"},
	"asterisk-ami":  {"Asterisk Call Manager/7.0.3\r\n"},
	"mpd":           {"OK MPD 0.23.5\n"},
	"teamspeak":     {"TS3\n\rWelcome to the TeamSpeak 3 ServerQuery interface"},
	"openvpn-mgmt":  {">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n"},
	"ceph":          {"ceph v027\x00\x01\x1a", "ceph v2\n\x10\x00"},
	"": {
		"", "\x00", "\r\n", "220", "220 ", "220 \r\n", "220 mail.example.com\r\n", "220 host ready\r\n", "220 Welcome\r\n", "220 ftp.example.com\r\n", "220 ftp.example.com ready\r\n",
		"220 host ESMTP and FTP gateway\r\n", "220 proftpd ESMTP\r\n", "221 ESMTP\r\n", "2200 ESMTP FTP\r\n", "421 Service not available\r\n", "554 No\r\n", "554 esmtp\r\n", "200 hello\r\n", "200 ok posting\r\n",
		"+OKAY\r\n", "-ERR\r\n", "* BYE\r\n", "* bad\r\n", "SSH", "SSH-", "SSH-3.0-x\r\n", "XSSH-2.0-x\r\n", "an SSH-2.0-server speaks here\r\n", "SSH-2.0", "SSH-1.\n",
		"RFB 003.00", "RFB 003,008\n", "RFB 00a.008\n", "rfb 003.008\n", "\xff", "\xff\xfb", "\xff\xfa\x01", "\xff\xff\x01", "\xff\xfd\x90", "\xff\xf4\x01",
		strings.Repeat("\xff", 16), strings.Repeat("\xff", 16) + "\x00\x10\x01", strings.Repeat("\xff", 16) + "\x00\x1d\x04", strings.Repeat("\xff", 15) + "\x00\x00\x1d\x01",
		"\x4a\x00\x00\x00\x0a", "\x4a\x00\x00\x01\x0a8.0.36\x00" + strings.Repeat("x", 60), "\x4a\x00\x00\x00\x0a8.0.36", "\x4a\x00\x00\x00\x09" + "3.20.0\x00", "\x4a\x00\x00\x00\x0ax.y.z\x00" + strings.Repeat("x", 60),
		"\x08\x00\x00\x00\x0a8.0.36\x00" + strings.Repeat("x", 60), "\x17\x00\x00\x00\xff\x00\x00Too many connections", "\xff\xff\xff\x00\xff\x10\x04Too many connections",
		"@RSYNCD: ", "@RSYNCD: x", "@RSYNC", ":irc.example.net", ":irc.example.net PRIVMSG x :NOTICE AUTH :\r\n", "NOTICE", "ERROR 1\n", "( failure ( ) ) ", "HTTP/2", "HTTP/1.1", "http/1.1 200 OK\r\n",
		"<?xml version='1.0'?>", "{\"v\":1}", "Welcome\r\nlogin: ", "AMQP\x00\x00\x09\x01", "\x15\x03\x01\x00\x02\x02\x46", "OK", "ceph v", "ceph v3\n", "TS3\n", "<<<cmk>>>\n",
	},
}

func TestDetect(t *testing.T) {
	for want, banners := range greetings {
		for _, banner := range banners {
			if got := judge.Detect([]byte(banner)); got != want {
				t.Errorf("Detect(%q) = %q, want %q", banner, got, want)
			}
		}
	}
}

// What is cut off is told as the whole, or not at all, but never as something else.
func TestDetectCutOff(t *testing.T) {
	for want, banners := range greetings {
		if want == "" {
			continue
		}
		for _, banner := range banners {
			for n := range len(banner) {
				got := judge.Detect([]byte(banner[:n]))
				if got != "" && got != want {
					t.Errorf("%q is %q, and all of it is %q", banner[:n], got, want)
				}
			}
		}
	}
}

// FuzzDetect: nothing a server says does harm; the name is one that fits into a record, and hangs on nothing but what
// was said.
func FuzzDetect(f *testing.F) {
	for _, banners := range greetings {
		for _, banner := range banners {
			f.Add([]byte(banner))
		}
	}
	f.Fuzz(func(t *testing.T, banner []byte) {
		before := string(banner)
		name := judge.Detect(banner)
		if _, known := greetings[name]; !known || name != judge.Detect([]byte(before)) || string(banner) != before {
			t.Errorf("%q: %q", banner, name)
		}
	})
}
