package dest_test

import (
	"crypto/tls"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"synoptic/bench/lab/encodings"
	"synoptic/bench/lab/receivers"
	"synoptic/results/sink/dest"
)

func TestTLSFiles(t *testing.T) {
	files := receivers.NewPKI(t)
	cert, key, otherKey := files.Cert, files.Key, receivers.NewPKI(t).Key
	empty := filepath.Join(t.TempDir(), "empty.pem")
	must(t, os.WriteFile(empty, []byte("no PEM"), 0o600))
	huge := filepath.Join(t.TempDir(), "huge.pem")
	must(t, os.WriteFile(huge, nil, 0o600))
	must(t, os.Truncate(huge, 5<<20))
	for _, c := range []struct {
		tls  dest.TLS
		name string
	}{
		{dest.TLS{CAFile: "/nonexistent/ca.pem"}, "/nonexistent/ca.pem"},
		{dest.TLS{CAFile: empty}, empty},
		{dest.TLS{CAFile: huge}, huge},
		{dest.TLS{CertFile: cert}, cert},
		{dest.TLS{KeyFile: key}, key},
		{dest.TLS{CertFile: cert, KeyFile: "/nonexistent/key"}, "/nonexistent/key"},
		{dest.TLS{CertFile: "/nonexistent/cert", KeyFile: key}, "/nonexistent/cert"},
		{dest.TLS{CertFile: cert, KeyFile: empty}, empty},
		{dest.TLS{CertFile: cert, KeyFile: otherKey}, otherKey},
	} {
		_, err := c.tls.Config("host")
		if err == nil || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%+v: %v", c.tls, err)
			continue
		}
		wantHint(t, err)
	}
	config, err := dest.TLS{CAFile: cert, CertFile: cert, KeyFile: key}.Config("host")
	must(t, err)
	if config.InsecureSkipVerify || config.MinVersion != tls.VersionTLS12 || config.ServerName != "host" || len(config.Certificates) != 1 {
		t.Errorf("%+v", config)
	}
	if config, err = (dest.TLS{}).Config(""); err != nil || config.RootCAs != nil {
		t.Errorf("the system's roots are not taken: %v, %v", config, err)
	}
}

// Certificates and keys are the same however their files are saved.
func TestTLSFilesInEveryEncoding(t *testing.T) {
	files := receivers.NewPKI(t)
	plain := dest.TLS{CAFile: files.CA, CertFile: files.Cert, KeyFile: files.Key}
	want, err := plain.Config("host")
	must(t, err)
	for _, e := range encodings.All {
		dir := t.TempDir()
		save := func(name string) string {
			text, err := os.ReadFile(name)
			must(t, err)
			saved := filepath.Join(dir, filepath.Base(name))
			must(t, os.WriteFile(saved, []byte(e.Save(string(text))), 0o600))
			return saved
		}
		got, err := dest.TLS{CAFile: save(files.CA), CertFile: save(files.Cert), KeyFile: save(files.Key)}.Config("host")
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		if !got.RootCAs.Equal(want.RootCAs) || !reflect.DeepEqual(got.Certificates, want.Certificates) {
			t.Errorf("%s: other certificates", e.Name)
		}
	}
	archive := filepath.Join(t.TempDir(), "pem.zip")
	must(t, os.WriteFile(archive, []byte("PK\x03\x04rest of it"), 0o600))
	for _, c := range []dest.TLS{{CAFile: archive}, {CertFile: archive, KeyFile: files.Key}, {CertFile: files.Cert, KeyFile: archive}} {
		if _, err := c.Config("host"); err == nil || !strings.Contains(err.Error(), archive+": the file is a zip archive") {
			t.Errorf("%+v: %v", c, err)
		} else {
			wantHint(t, err)
		}
	}
}

// Nothing is sent to a receiver whose certificate does not verify.
func TestReceiverIsVerified(t *testing.T) {
	s := newHECStub(t, false)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger := receivers.NewPKI(t).CA
	for what, file := range map[string]string{"unknown authority": "", "another authority": stranger} {
		o := s.options()
		o.TLS.CAFile = file
		_, err := s.tryOpen("hec+https", "", o)
		if err == nil {
			t.Errorf("%s: taken", what)
			continue
		}
		wantHint(t, err)
	}
	s.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1) // not in the certificate
	if _, err := s.tryOpen("hec+https", "", s.options()); err == nil {
		t.Error("a certificate for another name is taken")
	}
}

func TestClientCertificate(t *testing.T) {
	files := receivers.NewPKI(t)
	s := newHECStub(t, false)
	s.Close()
	s.Server = httptest.NewUnstartedServer(s.stub)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: files.Roots}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	o := s.options()
	o.TLS.CertFile, o.TLS.KeyFile = files.Cert, files.Key
	d, err := s.tryOpen("hec+https", "", o)
	must(t, err)
	b := encoded(t, 2)
	pump(t, d, b)
	s.wantAll(b, nil, 0)
	// Without a certificate the receiver hangs up: it is not for us to say that this cannot change.
	d, err = s.tryOpen("hec+https", "", s.options())
	must(t, err)
	if _, err := d.Deliver(t.Context(), b); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
}
