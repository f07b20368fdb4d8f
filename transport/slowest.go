package transport

import (
	"slices"
	"sync"
)

const (
	// slowLeast is from how many waiting bytes on a reader is a slow one.
	slowLeast = 16 << 10
	// slowShare is which part of the slow readers goes in one round, and
	// slowFew how many go at least.
	slowShare = 10
	slowFew   = 8
)

// reader is a client that is behind, in one of the two ways to stream.
type reader struct {
	waits int         // bytes
	cut   func() bool // false: it is not behind any more
}

// CutSlowest cuts the readers for whom most waits: a tenth of those with 16 KiB
// or more, and eight at least. They are told SLOW_CONSUMER, as if they had
// reached the bound of websocket.outbox_bytes, and can resume. It tells how many
// were cut, and never blocks.
func (s *Server) CutSlowest() (n int) {
	if s.sockets == nil {
		return 0
	}
	slow := s.sinks.slow(s.sockets.slow(nil))
	slices.SortFunc(slow, func(a, b reader) int { return b.waits - a.waits })
	for _, r := range slow[:min(len(slow), max(slowFew, len(slow)/slowShare))] {
		if r.cut() {
			n++
		}
	}
	return n
}

// slow appends the sockets that are behind.
func (s *sockets) slow(all []reader) []reader {
	s.each(func(c *conn) {
		if n := c.behind(); n >= slowLeast {
			all = append(all, reader{n, c.cutSlow})
		}
	})
	return all
}

// behind is how many bytes wait for the client, while it is one.
func (c *conn) behind() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.phase != phaseOpen || c.state.out == nil {
		return 0
	}
	return c.state.out.pending()
}

// cutSlow ends a client that is still behind.
func (c *conn) cutSlow() bool {
	defer c.guard()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.phase != phaseOpen || c.state.out == nil || c.state.out.pending() < slowLeast {
		return false
	}
	c.slow()
	return true
}

// sinks are the HTTP exchanges of one server. The zero value holds none.
type sinks struct {
	mu  sync.Mutex
	all map[*sink]struct{} // guarded by mu
}

// add takes an exchange in and returns how to take it out again.
func (s *sinks) add(k *sink) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*sink]struct{}{}
	}
	s.all[k] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, k)
	}
}

// slow appends the exchanges that are behind.
func (s *sinks) slow(all []reader) []reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.all {
		if n := k.behind(); n >= slowLeast {
			all = append(all, reader{n, k.cutSlow})
		}
	}
	return all
}

// behind is how many bytes the handler has not taken yet.
func (k *sink) behind() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.detached || k.closed || k.cut {
		return 0
	}
	return k.bytes
}

// cutSlow ends an exchange that is still behind.
func (k *sink) cutSlow() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.detached || k.closed || k.cut || k.bytes < slowLeast {
		return false
	}
	k.cutOff()
	k.signal()
	return true
}
