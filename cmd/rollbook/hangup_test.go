package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// SIGHUP lets certificate files be read again, also where their times tell nothing, and
// ends nothing: what cannot be read is told, and the old one goes on.
func TestHangup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, dir, "rollbook.db")("init")
	writePair(t, dir, "first")
	cmd := program(dir, "serve", "--addr", "127.0.0.1:0", "--cert", "cert.pem", "--key", "key.pem")
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, unless the test failed
	lines := json.NewDecoder(log)
	var line struct{ Msg, Address string }
	if err := lines.Decode(&line); err != nil || line.Msg != "serving" {
		t.Fatal(line, err)
	}
	address := line.Address
	const broken = "the new certificate cannot be read; the old one goes on"
	for _, step := range []struct {
		does       func() error
		told, name string
	}{
		{func() error { return nil }, "the certificate was read again", "first"},
		{func() error { writePair(t, dir, "second"); return nil }, "the certificate was read again",
			"second"},
		{func() error { return os.Truncate(filepath.Join(dir, "key.pem"), 0) },
			broken, "second"},
		{func() error { writePair(t, dir, "third"); return nil }, "the certificate was read again", "third"},
	} {
		if err := step.does(); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"cert.pem", "key.pem"} {
			if err := os.Chtimes(filepath.Join(dir, file), time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for line.Msg = ""; line.Msg == "" || line.Msg != step.told && line.Msg == broken; { // told again
			if err := lines.Decode(&line); err != nil {
				t.Fatal(err)
			}
		}
		if line.Msg != step.told {
			t.Fatalf("%q, not %q", line.Msg, step.told)
		}
		c, err := tls.Dial("tcp", address,
			&tls.Config{InsecureSkipVerify: true}) // the test looks at the name itself
		if err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != step.name {
			t.Errorf("the certificate is %s, not %s", got, step.name)
		}
		_ = c.Close()
	}
	_ = cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
}

// writePair writes a certificate and its key as files.
func writePair(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert},
		"key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
