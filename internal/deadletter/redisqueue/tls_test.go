package redisqueue

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/redistest"
)

// certificate is a self-signed one for 127.0.0.1, in files.
type certificate struct{ cert, key string }

// trusted is signed by an authority that this process trusts: itself.
var trusted certificate

func newCertificate(dir string) (certificate, error) {
	c := certificate{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return c, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return c, err
	}
	if err := writePEM(c.cert, "CERTIFICATE", der); err != nil {
		return c, err
	}
	return c, writePEM(c.key, "PRIVATE KEY", private)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// startTLS starts a server that also listens with a certificate, and returns its URL there.
func startTLS(t *testing.T, c certificate) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	redistest.Start(t, "--tls-port", strconv.Itoa(port), "--tls-auth-clients", "no",
		"--tls-cert-file", c.cert, "--tls-key-file", c.key, "--tls-ca-cert-file", c.cert)
	return fmt.Sprintf("rediss://127.0.0.1:%d/0", port)
}

func TestOpen_TLS(t *testing.T) {
	t.Parallel()
	q := openTest(t, startTLS(t, trusted))
	mustPut(t, q, testMessage("c"))
	wantDepth(t, q, 1, 0)
}

// TestOpen_TLSUnknown: a server whose certificate nobody vouches for is refused.
func TestOpen_TLSUnknown(t *testing.T) {
	t.Parallel()
	unknown, err := newCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, startTLS(t, unknown), "failed to verify certificate")
}

// refuses checks that a server is not taken although much is allowed.
func refuses(t *testing.T, url, want string) {
	t.Helper()
	opts := testOptions(url, 1<<20)
	opts.AllowUnsafe = true
	q, err := Open(t.Context(), opts)
	if err == nil {
		_ = q.Close()
		t.Fatal("the server is taken")
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is %q, want %q", err, want)
	}
}
