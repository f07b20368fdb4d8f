package transport

import (
	"context"
	"fmt"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// sockets are all WebSockets of one server: it opens them (serve), watches
// their clocks (run) and closes what is left (shutdown).
//
// A socket is in the set from its upgrade until after its Session.Closed, so an
// empty set means that the house of actors has been told about every end.
type sockets struct {
	// Set once.
	cfg     WebSocketConfig
	gateway Gateway
	log     zerolog.Logger
	metrics *edgeMetrics
	told    func(protocol.Code) // counts an error frame
	buffers *buffers
	echoes  bool    // of an Echo: messages go back as they came
	loops   []*loop // none: a goroutine for each socket
	tick    time.Duration

	turn atomic.Uint64 // whose turn it is among the loops

	// clock counts observed time for the sweep, in nanoseconds. See run.
	clock atomic.Int64

	mu      sync.Mutex
	conns   []*conn // in no order; each knows its place
	stopped bool
	none    chan struct{} // made by shutdown, closed when conns is empty
}

func newSockets(cfg WebSocketConfig, gw Gateway, log zerolog.Logger, m *edgeMetrics) *sockets {
	s := &sockets{
		cfg: cfg, gateway: gw, log: log, metrics: m, told: func(protocol.Code) {},
		buffers: newBuffers(),
		tick:    tickFor(cfg),
	}
	s.clock.Store(int64(time.Second)) // not 0: a moment of 0 means none
	return s
}

// openLoops makes as many event loops as there are processors, where the
// configuration asks for them. The caller runs each until all sockets are gone.
func (s *sockets) openLoops() error {
	if s.cfg.Reader == ReaderGoroutine || s.cfg.Reader != ReaderLoop && runtime.GOOS != "linux" {
		return nil
	}
	for range runtime.GOMAXPROCS(0) {
		l, err := newLoop()
		if err != nil {
			return fmt.Errorf("websocket.reader: no event loop can be had here: %w; %s works everywhere", err, ReaderGoroutine)
		}
		s.loops = append(s.loops, l)
	}
	return nil
}

// newLink chooses an event loop where there is one and nothing has to be
// decrypted.
func (s *sockets) newLink(c *conn, nc net.Conn) link {
	if tcp, ok := nc.(*net.TCPConn); ok && len(s.loops) > 0 {
		k, err := s.loops[s.turn.Add(1)%uint64(len(s.loops))].link(c, tcp)
		if err == nil {
			return k
		}
		s.log.Debug().Err(err).Stringer("peer", nc.RemoteAddr()).Msg("Connection could not be moved to an event loop")
	}
	return newParked(c, nc)
}

// decoder is what a socket begins with.
func (s *sockets) decoder() decoder {
	return decoder{max: s.cfg.MaxMessageBytes, all: s.echoes}
}

// now is the sweep's clock: coarse, monotonic, and standing still while nobody
// sweeps.
func (s *sockets) now() time.Duration { return time.Duration(s.clock.Load()) }

// count tells how many sockets there are.
func (s *sockets) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// add takes a new socket in, unless shutdown has begun.
func (s *sockets) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	c.place = len(s.conns)
	s.conns = append(s.conns, c)
	return true
}

func (s *sockets) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.conns[len(s.conns)-1]
	last.place, s.conns[c.place] = c.place, last
	s.conns[len(s.conns)-1] = nil
	s.conns = s.conns[:len(s.conns)-1]
	if len(s.conns) == 0 && s.none != nil {
		close(s.none)
		s.none = nil
	}
}

// sweepBatch is how many sockets are looked at between two looks at the set.
const sweepBatch = 256

// each calls do with every socket that is there from the beginning to the end,
// and with some of those that come or go meanwhile; one may come twice. Nobody
// holds the set while do runs.
func (s *sockets) each(do func(*conn)) {
	var batch [sweepBatch]*conn
	for from := math.MaxInt; from > 0; {
		var n int
		n, from = s.before(from, batch[:])
		for _, c := range batch[:n] {
			do(c)
		}
	}
}

// before copies the sockets in front of a place, and tells how many and where the
// first of them stands. A socket moves only to the front, where one leaves.
func (s *sockets) before(place int, into []*conn) (n, first int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := min(place, len(s.conns))
	first = max(0, end-len(into))
	return copy(into, s.conns[first:end]), first
}

// shutdown refuses new sockets, closes those that are left with 1001, and
// returns when their sessions were told. What has not said goodbye when ctx
// ends is cut.
func (s *sockets) shutdown(ctx context.Context) {
	none := s.stop()
	s.each(func(c *conn) { c.Close(protocol.ShuttingDown) })
	select {
	case <-none:
		return
	case <-ctx.Done():
	}
	s.each(func(c *conn) { c.cut(protocol.CauseServer) })
	<-none // readers wake at once; a session does not block
}

// stop closes the door and returns a channel that closes when the set is empty.
func (s *sockets) stop() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if len(s.conns) == 0 {
		none := make(chan struct{})
		close(none)
		return none
	}
	if s.none == nil {
		s.none = make(chan struct{})
	}
	return s.none
}
