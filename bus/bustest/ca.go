package bustest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// CA signs the certificates of one test. Its own is ca.pem in Dir.
type CA struct {
	Dir string

	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes an authority that nobody else trusts.
func NewCA(t testing.TB) *CA {
	t.Helper()
	c := &CA{Dir: t.TempDir(), t: t}
	template := certificate("ca", time.Now().Add(time.Hour))
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	c.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, c.key.Public(), c.key)
	require.NoError(t, err)
	c.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	writePEM(t, c.File(), "CERTIFICATE", der)
	return c
}

// File is the PEM file of the authority itself.
func (c *CA) File() string { return filepath.Join(c.Dir, "ca.pem") }

// Issue writes <name>.pem and <name>.key into Dir, for both ends of a connection
// on this machine, over the ones of before. An end in the past makes a
// certificate that has expired.
func (c *CA) Issue(name string, end time.Time, hosts ...string) (certFile, keyFile string) {
	c.t.Helper()
	template := certificate(name, end)
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	if len(hosts) > 0 {
		template.IPAddresses, template.DNSNames = nil, hosts
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	key := newKey(c.t)
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key.Public(), c.key)
	require.NoError(c.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(c.t, err)
	certFile, keyFile = filepath.Join(c.Dir, name+".pem"), filepath.Join(c.Dir, name+".key")
	writePEM(c.t, certFile, "CERTIFICATE", der)
	writePEM(c.t, keyFile, "PRIVATE KEY", private)
	return certFile, keyFile
}

func certificate(name string, end time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // crypto/rand does not fail
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: end.Add(-24 * time.Hour), NotAfter: end,
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
