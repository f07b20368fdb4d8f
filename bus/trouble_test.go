package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

func TestTroubleNamesTheKey(t *testing.T) {
	for _, tt := range []struct {
		err         error
		credentials bool
		key         string
		remedy      string
	}{
		{nats.ErrAuthorization, false, "bus.url", "password"},
		{nats.ErrAuthorization, true, "bus.credentials", "replace"},
		{nats.ErrAuthExpired, true, "bus.credentials", "replace"},
		{nats.ErrAuthRevoked, false, "bus.url", "password"},
		{nats.ErrPermissionViolation, false, "bus.prefix", "Rights"},
		{nats.ErrSecureConnWanted, false, "bus.url", "no TLS"},
		{fmt.Errorf("%w: %w", nats.ErrTLS, io.EOF), false, "bus.tls.cert", "bus.tls.key"},
		{fmt.Errorf("%w: %w", nats.ErrTLS, os.ErrDeadlineExceeded), false, "bus.url", "host and port"},
		{fmt.Errorf("%w: %w", nats.ErrTLS, x509.UnknownAuthorityError{}), false, "bus.tls.ca", "authority"},
		{nats.ErrNoServers, false, "bus.url", "host and port"},
		{&net.DNSError{Err: "no such host"}, false, "bus.url", "host and port"},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, false, "bus.url", "host and port"},
		{x509.UnknownAuthorityError{}, false, "bus.tls.ca", "authority"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, false, "bus.tls.ca", "authority"},
		{x509.CertificateInvalidError{Reason: x509.Expired}, false, "bus.url", "renew"},
		{x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}, false, "bus.url", "another"},
		{x509.HostnameError{Certificate: &x509.Certificate{}}, false, "bus.url", "another host"},
		{tls.RecordHeaderError{}, false, "bus.url", "no TLS"},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(42)}, false, "bus.tls.cert", "bus.tls.key"},
		{errors.New("something else"), false, "", ""},
		{nil, false, "", ""},
	} {
		for _, err := range []error{tt.err, fmt.Errorf("around: %w", tt.err)} {
			if tt.err == nil {
				err = nil
			}
			key, remedy := trouble(err, tt.credentials)
			require.Equal(t, tt.key, key, "%v", err)
			require.Contains(t, remedy, tt.remedy)
			require.Equal(t, key == "", remedy == "", "%v", err)
		}
	}
}

func TestOneTroubleDoesNotHideAnother(t *testing.T) {
	var log troubles
	now := time.Now()
	allow := func(remedy string, after time.Duration) []any {
		folded, ok := log.allow(remedy, now.Add(after))
		return []any{folded, ok}
	}
	require.Equal(t, []any{0, true}, allow("renew", 0))
	require.Equal(t, []any{0, true}, allow("check", 0))
	for range 3 {
		require.Equal(t, []any{0, false}, allow("renew", time.Second))
	}
	require.Equal(t, []any{3, true}, allow("renew", troubleEvery))
	require.Equal(t, []any{0, true}, allow("check", troubleEvery))
	log.reset()
	require.Equal(t, []any{0, true}, allow("renew", troubleEvery+time.Second))
}
