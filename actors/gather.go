package actors

import (
	"sync"

	"github.com/troupe-chat/troupe/bus"
)

// gather puts all chunks in a message of the bus that are for one turn into one
// message for its connection: that actor wakes once and writes once, however the
// runs of a worker took turns. It is for the goroutine of the gateway's
// subscription; only the spares are shared.
type gather struct {
	gateway *Gateway
	slots   [gatherSlots]gathered // by turn
	used    []*gathered           // slots that were opened, in this order
	spares  sync.Pool             // of *chunksArrived
}

// gathered is what came for one turn.
type gathered struct {
	to    *mailbox
	open  *chunksArrived // nil = nothing
	inUse bool           // it stands in used
}

const (
	// gatherSlots is how many turns are gathered for at once. Turns of one slot,
	// whose numbers are that far apart, send each other off.
	gatherSlots = 256
	// keptChunks is how large a spare may be.
	keptChunks = 256
)

// add takes a chunk. Chunks for nobody are dropped.
func (g *gather) add(e *bus.Event) {
	s := &g.slots[e.To%gatherSlots]
	if s.open != nil && s.open.to != e.To {
		s.send()
	}
	if s.open == nil {
		if s.to = g.gateway.followers.box(e.To); s.to == nil {
			return
		}
		s.open = g.spare()
		s.open.to = e.To
		if !s.inUse {
			s.inUse = true
			g.used = append(g.used, s)
		}
	}
	s.open.chunks = append(s.open.chunks, arrived{seq: e.Seq, text: e.Text})
}

// send hands over all that was gathered.
func (g *gather) send() {
	for i, s := range g.used {
		s.send()
		s.inUse = false
		g.used[i] = nil
	}
	g.used = g.used[:0]
}

func (s *gathered) send() {
	if s.open == nil {
		return
	}
	m, to := s.open, s.to
	s.open, s.to = nil, nil
	to.PostUserMessage(m)
}

func (g *gather) spare() *chunksArrived {
	if m, ok := g.spares.Get().(*chunksArrived); ok {
		return m
	}
	return &chunksArrived{chunks: make([]arrived, 0, 1)}
}

// done takes a message back. Its texts are let go of: they hold whole messages
// of the bus.
func (g *gather) done(m *chunksArrived) {
	if cap(m.chunks) > keptChunks {
		return
	}
	clear(m.chunks)
	m.chunks = m.chunks[:0]
	g.spares.Put(m)
}
