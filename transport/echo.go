package transport

import (
	"net/http"

	"github.com/gobwas/ws"
	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// EchoOptions is what an Echo is made of.
type EchoOptions struct {
	Listen          []string // host:port
	Reader          string   // as websocket.reader
	MaxMessageBytes int      // may be above what a server takes
	Log             zerolog.Logger
}

// NewEcho builds a server that sends every message back, text or binary, in any
// number of fragments: the sockets of a Server without anything above them, so
// that a conformance suite can judge them. It starts, drains and stops as a
// Server does, takes WebSockets at /, and is in no server.
func NewEcho(o EchoOptions) (*Server, error) {
	ws := DefaultWebSocket()
	ws.Reader = o.Reader
	s, err := newServer(Options{
		HTTP: HTTPConfig{Listen: o.Listen}, WebSocket: ws, Log: o.Log, Version: "echo",
	}, HTTPConfig.ForGateway, echoRoutes(), echoing{})
	if err != nil {
		return nil, err
	}
	s.edge, s.counts = &edgeMetrics{}, newEdgeCounts()
	s.sockets = newSockets(ws, echoing{}, o.Log, s.edge)
	s.sockets.echoes = true
	s.sockets.cfg.MaxMessageBytes = o.MaxMessageBytes
	s.sockets.cfg.OutboxBytes = 2 * o.MaxMessageBytes
	return s, nil
}

func echoRoutes() []route {
	return []route{{"GET", "/", areaOpen, func(s *Server, w http.ResponseWriter, r *http.Request, _ params) {
		s.sockets.serve(w, r, protocol.Client{Connection: "echo", Address: addressKey(peerOf(r))})
	}}}
}

// echoing admits everybody and is told nothing: the sockets answer themselves.
type echoing struct{ Gateway }

func (echoing) Open(s Socket, _ protocol.Client) Session {
	s.Next()
	return echoing{}
}

func (echoing) Ready() (bool, string)             { return true, "" }
func (echoing) Who() (connection, address string) { return "echo", "" }
func (echoing) Offended(protocol.Client)          {}
func (echoing) Receive(protocol.Request)          {}
func (echoing) Closed(protocol.Cause)             {}

// echo sends a message back in one frame.
func (c *conn) echo(ev event) {
	c.began.Store(0)
	defer c.decoder.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state.phase != phaseOpen:
	case !c.outbox().fits(len(ev.data)):
		c.slow()
	default:
		var head [ws.MaxHeaderSize]byte
		c.queueFrame(appendHeader(head[:0], ev.op, len(ev.data)), ev.data)
	}
}

// queueFrame queues a data frame that is encoded already.
func (c *conn) queueFrame(head, payload []byte) {
	out := c.outbox()
	out.addEncoded(head)
	out.buf = append(out.buf, payload...)
	c.set.metrics.framesOut.Add(1)
	c.push()
}
