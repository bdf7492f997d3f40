package dest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// PKI is an authority, certificates that it has made, and files of them.
type PKI struct {
	Roots       *x509.CertPool
	good, wrong tls.Certificate // for 127.0.0.1, for another name
	CA          string
	Cert, Key   string // of good
}

// NewPKI makes them.
func NewPKI(t *testing.T) *PKI {
	t.Helper()
	p := &PKI{Roots: x509.NewCertPool()}
	var ca *x509.Certificate
	var caKey *ecdsa.PrivateKey
	issue := func(serial int64, c x509.Certificate) tls.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c.SerialNumber, c.NotBefore, c.NotAfter, c.BasicConstraintsValid = big.NewInt(serial), time.Now().Add(-time.Hour), time.Now().Add(time.Hour), true
		if ca == nil {
			ca, caKey = &c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, &c, ca, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	authority := issue(1, x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	if ca, _ = x509.ParseCertificate(authority.Certificate[0]); ca == nil {
		t.Fatal("no authority")
	}
	p.Roots.AddCert(ca)
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	p.good = issue(2, x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: usage})
	p.wrong = issue(3, x509.Certificate{DNSNames: []string{"other.example.net"}, ExtKeyUsage: usage})
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	der, err := x509.MarshalPKCS8PrivateKey(p.good.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	p.CA, p.Cert, p.Key = write("ca.pem", "CERTIFICATE", ca.Raw), write("cert.pem", "CERTIFICATE", p.good.Certificate[0]), write("key.pem", "PRIVATE KEY", der)
	return p
}
