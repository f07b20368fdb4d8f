package transport

import (
	"sync"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// frameOverhead is about what a queued frame costs beside its text.
const frameOverhead = 256

// sink is the Socket of one HTTP exchange: the actor puts frames in, the
// handler takes them out. It keeps copies, joins chunks that wait, and holds at
// most bound bytes. Snapshot and terminal stand outside of the account: each
// comes once, and a fast reader must not be cut for a long answer.
type sink struct {
	// Set once.
	bound    int
	terminal bool                // keep nothing but the frame that ends the exchange (JSON answers)
	onCut    func()              // called at most once, under mu, never after detach
	told     func(protocol.Code) // counts an error frame; nil: nobody counts
	wake     chan struct{}

	mu       sync.Mutex
	frames   []protocol.Frame
	bytes    int
	admitted bool
	closed   bool // by the actor
	code     protocol.Code
	cut      bool // the reader was too slow
	detached bool // by the handler: whatever comes now is late
}

func newSink(bound int, terminal bool, onCut func()) *sink {
	return &sink{bound: bound, terminal: terminal, onCut: onCut, wake: make(chan struct{}, 1)}
}

// Next implements Socket. An exchange has one request, so only the first counts.
func (k *sink) Next() {
	k.mu.Lock()
	k.admitted = true
	k.mu.Unlock()
	k.signal()
}

// Send implements Socket.
func (k *sink) Send(f *protocol.Frame) {
	if f.Type == protocol.TypeError && k.told != nil {
		k.told(f.Code)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.detached || k.closed || k.cut || k.terminal && !ends(f) {
		return
	}
	free := ends(f) || f.Type == protocol.TypeSnapshot
	size := frameOverhead + len(f.Text)
	switch {
	case k.join(f):
		size = len(f.Text)
	default:
		k.frames = append(k.frames, kept(f))
	}
	if !free {
		k.bytes += size
		if k.bytes > k.bound && (k.bytes > size || len(k.frames) > 1) {
			k.cutOff()
		}
	}
	k.signal()
}

// Queue implements Socket. The handler takes all that waits at once anyway.
func (k *sink) Queue(f *protocol.Frame) { k.Send(f) }

// Close implements Socket.
func (k *sink) Close(code protocol.Code) {
	k.mu.Lock()
	if !k.closed {
		k.closed, k.code = true, code
	}
	k.mu.Unlock()
	k.signal()
}

// join appends a piece to the one that waits last, if it follows on it.
func (k *sink) join(f *protocol.Frame) bool {
	if !joins(f) || len(k.frames) == 0 {
		return false
	}
	last := &k.frames[len(k.frames)-1]
	if last.Type != f.Type || last.RunID != f.RunID || last.ID != f.ID {
		return false
	}
	if f.Type == protocol.TypeChunk {
		if last.From == 0 {
			last.From = last.Seq
		}
		last.Seq = f.Seq
	}
	last.Text = append(last.Text, f.Text...)
	return true
}

// cutOff lets go of everything that waits; what is left is to tell the reader,
// who can resume after the last event it got.
func (k *sink) cutOff() {
	k.cut = true
	k.bytes = 0
	k.frames = []protocol.Frame{{
		Type: protocol.TypeError, Named: true, Code: protocol.SlowConsumer,
		Message: "The answer was read too slowly; resume it with Last-Event-ID.",
	}}
	k.onCut()
}

// batch is what the handler takes at once.
type batch struct {
	frames   []protocol.Frame
	admitted bool
	closed   bool
	code     protocol.Code
	cut      bool
}

func (k *sink) take() batch {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := batch{frames: k.frames, admitted: k.admitted, closed: k.closed, code: k.code, cut: k.cut}
	k.frames, k.bytes = nil, 0
	return b
}

// detach ends the sink for the actor; nothing is queued or cut afterwards.
func (k *sink) detach() {
	k.mu.Lock()
	k.detached = true
	k.frames = nil
	k.mu.Unlock()
}

func (k *sink) isCut() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cut
}

func (k *sink) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// ends tells whether a frame is the last of an exchange. An exchange asks one
// thing, so an error that answers a request ends it too.
func ends(f *protocol.Frame) bool {
	return f.Type == protocol.TypeComplete || f.Type == protocol.TypeCancelled || f.Type == protocol.TypeError
}

// kept copies a borrowed frame.
func kept(f *protocol.Frame) protocol.Frame {
	c := *f
	c.Named = true
	if f.Text != nil {
		c.Text = append([]byte{}, f.Text...)
	}
	if f.Usage != nil {
		usage := *f.Usage
		c.Usage = &usage
	}
	return c
}
