// Package natsd is a NATS server inside this process. It opens no listener:
// clients come in through InProcessConn, so there is nothing to secure and
// nothing to configure. It stores nothing.
//
// Start returns a server that is ready; Shutdown returns when it is gone.
package natsd

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// defaultMaxPayload is the most that nats-server calls reasonable. A resumed
// answer of 1 MiB grows up to sixfold when escaped; 8 MiB spare it most of its
// cuts, and in one process there is no slow network to be kind to.
const defaultMaxPayload = 8 << 20

// startTimeout bounds a start, which has nothing to wait for but the processor.
const startTimeout = 10 * time.Second

// writeDeadline bounds a write to a client. All of them are in this process:
// one that does not read waits for a processor, and is not gone.
const writeDeadline = time.Minute

// Options of an embedded server. The zero value is useful.
type Options struct {
	Log        zerolog.Logger
	MaxPayload int32 // bytes of one message; 0 = 8 MiB
}

// Server is an embedded NATS server.
type Server struct{ server *server.Server }

// Start returns a running server without any listener.
func Start(o Options) (*Server, error) {
	if o.MaxPayload < 0 {
		return nil, errors.New("natsd: MaxPayload is negative")
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = defaultMaxPayload
	}
	s, err := server.NewServer(&server.Options{
		ServerName:    "troupe-embedded",
		DontListen:    true,
		NoSigs:        true, // signals are the process's
		NoLog:         true, // the bridge below is set by hand
		MaxPayload:    o.MaxPayload,
		WriteDeadline: writeDeadline,
	})
	if err != nil {
		return nil, fmt.Errorf("natsd: %w", err)
	}
	s.SetLoggerV2(bridge{log: o.Log}, o.Log.GetLevel() <= zerolog.DebugLevel, false, false)
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, errors.New("natsd: embedded NATS server did not become ready")
	}
	return &Server{server: s}, nil
}

// InProcessConn is one client's connection; it makes a Server the in-process
// provider of the NATS client.
func (s *Server) InProcessConn() (net.Conn, error) {
	conn, err := s.server.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("natsd: %w", err)
	}
	return conn, nil
}

// Shutdown ends every connection and waits until the server is gone. A second
// call does nothing.
func (s *Server) Shutdown() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}
