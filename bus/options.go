package bus

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// How the client behaves. A server that restarted is back within about 100 ms of
// its port; one that stopped answering is noticed after three unanswered ticks.
const (
	reconnectWait   = 50 * time.Millisecond
	reconnectJitter = 50 * time.Millisecond
	pingInterval    = 1500 * time.Millisecond
	maxPingsOut     = 2
	dialTimeout     = 500 * time.Millisecond
	// A TLS handshake is several round trips.
	dialTimeoutTLS = 2 * time.Second
	// The in-process server has no network to fail on, only a busy processor.
	dialTimeoutInProcess = 5 * time.Second
	// writeTimeout bounds how long a publish can wait behind a write to a server
	// that stopped reading; after it the connection is given up.
	writeTimeout = 2 * time.Second
	// patienceInProcess takes the place of both where the server is in this process:
	// it cannot be gone, only wait for a processor, and so can we. It is longer than
	// a process may be stopped and go on.
	patienceInProcess = 60 * time.Second
	// drainTimeout bounds the client's own drain; Close brings its own deadline.
	drainTimeout = 30 * time.Second
)

func (b *Bus) clientOptions(cfg Config) ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name(b.opts.Name),
		nats.Timeout(dialTimeoutFor(cfg)),
		nats.SetCustomDialer(newDialer(dialTimeoutFor(cfg))),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // else a second refused log-in ends the client for good
		nats.CustomReconnectDelay(b.reconnectDelay),
		nats.ReconnectBufSize(-1), // a message of before an outage is never sent after it
		nats.PingInterval(patienceFor(cfg, pingInterval)),
		nats.MaxPingsOutstanding(maxPingsOut),
		nats.FlusherTimeout(patienceFor(cfg, writeTimeout)),
		nats.ReconnectOnFlusherError(),
		nats.DrainTimeout(drainTimeout),
		nats.ConnectHandler(b.onUp),
		nats.ReconnectHandler(b.onUp),
		nats.DisconnectErrHandler(b.onDown),
		nats.ReconnectErrHandler(b.onRetry),
		nats.ErrorHandler(b.onError),
		nats.ClosedHandler(b.onClosed),
	}
	if cfg.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(cfg.InboxPrefix))
	}
	if cfg.URL == "" {
		if b.opts.InProcess == nil {
			return nil, errors.New("bus.url: is empty and this role has no embedded server: set it, for example nats://127.0.0.1:4222")
		}
		return append(options, nats.InProcessServer(b.opts.InProcess)), nil
	}
	return appendSecurity(options, cfg)
}

func dialTimeoutFor(cfg Config) time.Duration {
	switch {
	case cfg.URL == "":
		return dialTimeoutInProcess
	case cfg.usesTLS():
		return dialTimeoutTLS
	}
	return dialTimeout
}

// patienceFor is d, but for the embedded server.
func patienceFor(cfg Config, d time.Duration) time.Duration {
	if cfg.URL == "" {
		return patienceInProcess
	}
	return d
}

// usesTLS tells whether the configuration asks for TLS by itself.
func (c Config) usesTLS() bool {
	if (c.TLS != TLSConfig{}) {
		return true
	}
	for _, s := range c.servers() {
		if u, ok := parseServer(s); ok && (u.Scheme == "tls" || u.Scheme == "wss") {
			return true
		}
	}
	return false
}

// appendSecurity reads every file once, so that a wrong path stops the start
// and names its key. The client reads them again at each connect: replaced
// certificates and credentials need no restart.
func appendSecurity(options []nats.Option, cfg Config) ([]nats.Option, error) {
	probe := nats.GetDefaultOptions()
	try := func(key string, o nats.Option) error {
		if err := o(&probe); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		options = append(options, o)
		return nil
	}
	if cfg.Credentials != "" {
		if _, err := os.ReadFile(cfg.Credentials); err != nil {
			return nil, fmt.Errorf("bus.credentials: %w", err)
		}
		if err := try("bus.credentials", nats.UserCredentials(cfg.Credentials)); err != nil {
			return nil, err
		}
	}
	if cfg.TLS.CA != "" {
		if err := try("bus.tls.ca", nats.RootCAs(cfg.TLS.CA)); err != nil {
			return nil, err
		}
	}
	if cfg.TLS.Cert != "" {
		if err := try("bus.tls.cert and bus.tls.key", nats.ClientCert(cfg.TLS.Cert, cfg.TLS.Key)); err != nil {
			return nil, err
		}
	}
	return options, nil
}
