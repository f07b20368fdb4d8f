// Package natsrun is a NATS server as the whole of a process: for tools that need
// one to kill, where nobody wants to install one. It keeps nothing.
package natsrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Clocks: a client that stopped answering is noticed as fast as it would notice a
// server that did.
const (
	startTimeout  = 10 * time.Second
	pingInterval  = 2 * time.Second
	writeDeadline = 5 * time.Second
	maxPayload    = 8 << 20
)

// Run serves NATS at addr, a loopback address with a port, until ctx ends. It
// writes one line to ready when clients are accepted.
func Run(ctx context.Context, addr string, ready io.Writer) error {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("natsrun: %w", err)
	}
	port, err := strconv.Atoi(text)
	if ip := net.ParseIP(host); err != nil || port < 1 || port > 65535 || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("natsrun: %q is no loopback address with a port, like 127.0.0.1:4222", addr)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "troupe-load", Host: host, Port: port, NoSigs: true, NoLog: true,
		MaxPayload: maxPayload, PingInterval: pingInterval, WriteDeadline: writeDeadline,
	})
	if err != nil {
		return fmt.Errorf("natsrun: %w", err)
	}
	s.Start()
	defer func() {
		s.Shutdown()
		s.WaitForShutdown()
	}()
	if !s.ReadyForConnections(startTimeout) {
		return errors.New("natsrun: the server did not become ready; is " + addr + " taken?")
	}
	if _, err := fmt.Fprintln(ready, "ready at "+addr); err != nil {
		return fmt.Errorf("natsrun: %w", err)
	}
	<-ctx.Done()
	return nil
}
