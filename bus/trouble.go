package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// troubleEvery is how often the same trouble is a line of the log.
const troubleEvery = 30 * time.Second

// troubles folds log lines by what is to be done: one that goes on does not hide
// the next one behind it, and two in turn are two lines. There are no more kinds
// than remedies below.
type troubles struct {
	mu   sync.Mutex
	said map[string]*seldom // by remedy; guarded by mu
}

func (t *troubles) allow(remedy string, now time.Time) (folded int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.said == nil {
		t.said = make(map[string]*seldom)
	}
	if t.said[remedy] == nil {
		t.said[remedy] = &seldom{every: troubleEvery}
	}
	return t.said[remedy].allow(now)
}

// reset makes every kind pass again: it is over.
func (t *troubles) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.said)
}

// trouble says which key of the configuration an error of the connection is
// about, and what to do; credentials tells whether a file of them is in use.
// Both are empty where the error speaks for itself.
func trouble(err error, credentials bool) (key, remedy string) {
	switch {
	case err == nil:
		return "", ""
	case refused(err) && credentials:
		return "bus.credentials", "the server refuses these credentials: replace the file of bus.credentials, it is read again at each attempt"
	case refused(err):
		return "bus.url", "the server refuses this user or password: put the right ones into bus.url, or name a file in bus.credentials"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "bus.prefix", "this user's rights at the NATS server do not cover its role, or another bus.prefix: see docs/bus.md, Rights"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "bus.url", "the server speaks no TLS: switch it on there, or use nats:// without bus.tls"
	}
	if key, remedy = certificateTrouble(err); key != "" {
		return key, remedy
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, nats.ErrNoServers) {
		return "bus.url", "nobody answers there: check host and port, that NATS runs, and what is between"
	}
	return "", ""
}

// refused tells that the server knows who asks and does not want it.
func refused(err error) bool {
	for _, refusal := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// certificateTrouble tells which end's certificate the other does not take.
func certificateTrouble(err error) (key, remedy string) {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "bus.tls.ca", "nobody who is trusted here signed the server's certificate: name the PEM file of its authority in bus.tls.ca"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return "bus.url", "the server's certificate is expired or not valid yet: renew it at the server, or set this machine's clock"
		}
		return "bus.url", "the server's certificate is not valid: issue another one"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "bus.url", "the server's certificate is for another host: use a host that it names in bus.url, or issue one for this host"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "bus.url", "what answers there speaks no TLS: check host and port"
	}
	if !refusedTLS(err) {
		return "", ""
	}
	return "bus.tls.cert", "the server ended the TLS handshake, as it does for a certificate that it does not take: set bus.tls.cert and bus.tls.key to one that its authority signed and that is valid today"
}

// refusedTLS tells that the server ended a TLS connection while it was made.
// With TLS 1.3 it judges the client's certificate after the client is done, so
// its alert arrives at the next read, or a write finds the connection closed.
func refusedTLS(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" { // how crypto/tls spells an alert
		return true
	}
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, nats.ErrTLS) && !(ok && timeout.Timeout())
}
