package transport

import "sync"

const (
	largeRead = 16 << 10 // taken while a descriptor is readable
	smallRead = 4 << 10  // held by a parked reader that has no descriptor (TLS)
)

// buffers are the pools that all sockets of one server share. What leaves them
// is wiped before it comes back: questions may carry keys.
type buffers struct {
	larges, smalls sync.Pool // of *[largeRead]byte and *[smallRead]byte
	writes         sync.Pool // of *rawWrite
	outboxes       sync.Pool // of *outbox
}

func newBuffers() *buffers {
	return &buffers{
		larges:   sync.Pool{New: func() any { return new([largeRead]byte) }},
		smalls:   sync.Pool{New: func() any { return new([smallRead]byte) }},
		writes:   sync.Pool{New: newRawWrite},
		outboxes: sync.Pool{New: func() any { return new(outbox) }},
	}
}

func (p *buffers) large() []byte { return p.larges.Get().(*[largeRead]byte)[:] }

func (p *buffers) small() []byte { return p.smalls.Get().(*[smallRead]byte)[:] }

// put takes back a read buffer of which the first used bytes were written.
func (p *buffers) put(b []byte, used int) {
	b = b[:cap(b)]
	clear(b[:used])
	switch len(b) {
	case largeRead:
		p.larges.Put((*[largeRead]byte)(b))
	case smallRead:
		p.smalls.Put((*[smallRead]byte)(b))
	}
}

func (p *buffers) outbox(bound int) *outbox {
	o := p.outboxes.Get().(*outbox)
	o.bound = bound
	return o
}

// putOutbox takes back an empty outbox.
func (p *buffers) putOutbox(o *outbox) {
	if cap(o.buf) > keptOutbox {
		o.buf = nil
	}
	*o = outbox{buf: o.buf[:0], tail: chunk{text: emptyText(o.tail.text)}}
	p.outboxes.Put(o)
}
