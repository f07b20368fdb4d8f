package bus

import (
	"net"
	"time"
)

// dialer makes the client's TCP connections, one after the other: the client
// has one at a time and dials under its own lock. It closes the last one before
// it dials anew. The client itself does so only with a connection that worked:
// one whose server was reached and then did not speak, or not NATS, it leaves to
// the garbage collector, and a server that hangs would cost a descriptor for
// every attempt.
//
// TLS and WebSocket are laid over these connections by the client.
type dialer struct {
	net  net.Dialer
	last net.Conn // nil before the first
}

// newDialer bounds each dial. A name with several addresses is tried at one after
// the other, each within the bound.
func newDialer(timeout time.Duration) *dialer {
	return &dialer{net: net.Dialer{Timeout: timeout}}
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	if d.last != nil {
		_ = d.last.Close() // closed already, where the client did it
		d.last = nil
	}
	conn, err := d.net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	d.last = conn
	return conn, nil
}
