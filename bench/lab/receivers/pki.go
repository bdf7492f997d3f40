package receivers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// PKI is an authority, what it has signed, and PEM files of that.
type PKI struct {
	Roots       *x509.CertPool
	Good, Wrong tls.Certificate // for 127.0.0.1, for another name
	Dir         string          // of the files
	CA          string          // ca.pem
	Cert, Key   string          // cert.pem and key.pem, of Good
}

// NewPKI makes one for the time of a test.
func NewPKI(t testing.TB) *PKI {
	t.Helper()
	p := &PKI{Roots: x509.NewCertPool(), Dir: t.TempDir()}
	var ca *x509.Certificate
	var caKey *ecdsa.PrivateKey
	issue := func(serial int64, c x509.Certificate) tls.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c.SerialNumber, c.Subject = big.NewInt(serial), pkix.Name{CommonName: fmt.Sprint("test ", serial)} // syslog daemons need a name
		c.NotBefore, c.NotAfter, c.BasicConstraintsValid = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour), true
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
	var err error
	if ca, err = x509.ParseCertificate(authority.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	p.Roots.AddCert(ca)
	leaf := x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	good, wrong := leaf, leaf
	good.IPAddresses, wrong.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"other.example.net"}
	p.Good, p.Wrong = issue(2, good), issue(3, wrong)
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(p.Dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	der, err := x509.MarshalPKCS8PrivateKey(p.Good.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	p.CA, p.Cert, p.Key = write("ca.pem", "CERTIFICATE", ca.Raw), write("cert.pem", "CERTIFICATE", p.Good.Certificate[0]), write("key.pem", "PRIVATE KEY", der)
	return p
}
