package transport

import (
	"slices"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	// keptOutbox is the largest buffer that an outbox takes back into the pool.
	keptOutbox = 16 << 10
	// keptTail is the largest text of a joined chunk whose memory the next one
	// gets.
	keptTail = 4 << 10
)

// outbox holds what one client has been sent and has not taken yet. It is pure:
// it neither writes nor locks; its connection does both. A connection has an
// outbox only while something waits, so an idle one costs nothing.
//
// Order is the order of add. The one liberty it takes: while something waits,
// chunks of the same turn with consecutive seqs become one chunk, and so does
// what its model thinks aloud.
//
// Bound: frames are refused when they would bring the waiting bytes above the
// bound. Two kinds pass where they do not fit, and are then not counted against
// those behind them: what comes when nothing else waits, and a snapshot or the
// end of a turn, which come once each and cannot be sent in smaller pieces. Else
// no reader would be fast enough for an answer larger than the bound. At most
// two such frames wait at once: memory ≤ bound + two frames.
type outbox struct {
	bound int

	buf  []byte // encoded frames, in order
	next int    // buf[:next] is written
	head int    // where the first frame that is not wholly written begins
	lent int    // bytes behind next that a writer holds: they must not move

	tail   chunk // a chunk behind buf that can still grow
	excess [2]excess
	large  int // bytes of excess that still wait

	progress time.Duration // when a byte was last taken, or the first one queued
}

// excess is one frame that waits without being counted. The zero value is none.
type excess struct {
	behind int // bytes that wait in front of it
	size   int // bytes of it that wait
}

// chunk is a chunk frame before it is encoded. One that is not open is none; its
// text is an empty buffer then.
type chunk struct {
	open  bool
	kind  protocol.Type // chunk, or reasoning, which has no seq
	named bool
	id    string
	from  uint64
	seq   uint64
	text  []byte
}

// size is about what the chunk will take on the wire.
func (c *chunk) size() int {
	if !c.open {
		return 0
	}
	return len(c.text) + len(c.id) + envelope
}

// continues tells whether f is what comes right after c in the same turn. An
// unnamed turn shows no seq, and only one of them runs at a time.
func (c *chunk) continues(f *protocol.Frame) bool {
	if !c.open || c.kind != f.Type || c.named != f.Named || c.id != f.ID {
		return false
	}
	return !c.named || c.kind == protocol.TypeReasoning || firstSeq(f) == c.seq+1
}

// firstSeq is the first chunk inside a frame that may be joined already.
func firstSeq(f *protocol.Frame) uint64 {
	if f.From != 0 {
		return f.From
	}
	return f.Seq
}

// pending counts the bytes that wait.
func (o *outbox) pending() int { return len(o.buf) - o.next + o.tail.size() }

// empty tells whether nothing waits.
func (o *outbox) empty() bool { return o.next == len(o.buf) && !o.tail.open }

// add queues f. With join, a chunk stays open for its successors. It returns
// false, and queues nothing, if f does not fit.
func (o *outbox) add(f *protocol.Frame, join bool) bool {
	if size := len(f.Text) + len(f.Message) + envelope; !o.fits(size) {
		return o.exceed(f)
	}
	alone := o.empty()
	switch {
	case o.tail.continues(f):
		o.tail.text = append(o.tail.text, f.Text...)
		o.tail.seq = f.Seq
	case joins(f) && join:
		o.seal()
		o.tail = chunk{
			open: true, kind: f.Type, named: f.Named, id: f.ID, from: firstSeq(f), seq: f.Seq,
			text: append(o.tail.text, f.Text...),
		}
	default:
		o.seal()
		o.compact()
		o.buf = appendText(o.buf, f)
	}
	if waiting := o.pending(); alone && waiting > o.bound {
		o.excess[0], o.large = excess{size: waiting}, waiting
	}
	return true
}

// joins tells whether a frame is a piece of a longer text.
func joins(f *protocol.Frame) bool {
	return f.Type == protocol.TypeChunk || f.Type == protocol.TypeReasoning
}

// exceed queues a frame that does not fit, if it is of the kind that may pass.
func (o *outbox) exceed(f *protocol.Frame) bool {
	at := slices.Index(o.excess[:], excess{})
	if at < 0 || f.Type != protocol.TypeSnapshot && !ends(f) {
		return false
	}
	o.seal()
	o.compact()
	before := o.pending()
	o.buf = appendText(o.buf, f)
	size := o.pending() - before
	o.excess[at] = excess{behind: before, size: size}
	o.large += size
	return true
}

// fits applies the bound.
func (o *outbox) fits(size int) bool {
	return o.empty() || o.pending()-o.large+size <= o.bound
}

// addAnswer queues the handshake's answer, which is no frame. It comes first.
func (o *outbox) addAnswer(b []byte) {
	o.buf = append(o.buf, b...)
	o.head = len(o.buf)
}

// addEncoded queues a control frame. The bound does not apply: there is one
// close frame, and pongs have a rate and a bound of their own.
func (o *outbox) addEncoded(b []byte) {
	o.seal()
	o.compact()
	o.buf = append(o.buf, b...)
}

// seal encodes the open chunk: whatever comes now comes behind it.
func (o *outbox) seal() {
	if !o.tail.open {
		return
	}
	f := protocol.Frame{
		Type: o.tail.kind, Named: o.tail.named, ID: o.tail.id,
		Seq: o.tail.seq, Text: o.tail.text,
	}
	if o.tail.from != o.tail.seq {
		f.From = o.tail.from
	}
	o.compact()
	o.buf = appendText(o.buf, &f)
	o.tail = chunk{text: emptyText(o.tail.text)}
}

// emptyText is an empty buffer for the next chunk's text: over TLS each chunk is one
// that could still grow.
func emptyText(text []byte) []byte {
	if cap(text) > keptTail {
		return nil
	}
	return text[:0]
}

// compact moves what waits to the front, where more than half was written.
func (o *outbox) compact() {
	if o.lent > 0 || o.next == 0 || o.next < len(o.buf)/2 {
		return
	}
	o.skip()
	written := min(o.head, o.next)
	n := copy(o.buf, o.buf[written:])
	o.buf, o.next, o.head = o.buf[:n], o.next-written, o.head-written
}

// take seals everything and returns what waits, at most limit bytes of it; 0 =
// no limit. The bytes are lent until wrote.
func (o *outbox) take(limit int) []byte {
	o.seal()
	b := o.buf[o.next:]
	if limit > 0 && len(b) > limit {
		b = b[:limit]
	}
	o.lent = len(b)
	return b
}

// wrote gives back what take lent, of which the kernel took n bytes.
func (o *outbox) wrote(n int, now time.Duration) {
	o.lent = 0
	if n <= 0 {
		return
	}
	o.next += n
	o.progress = now
	o.settle(n)
	if o.next == len(o.buf) {
		o.buf, o.next, o.head = o.buf[:0], 0, 0
	}
}

// settle counts n written bytes against what is in excess.
func (o *outbox) settle(n int) {
	o.large = 0
	for i := range o.excess {
		x := &o.excess[i]
		front := min(n, x.behind)
		x.behind -= front
		if x.size -= min(n-front, x.size); x.size == 0 || o.next == len(o.buf) {
			*x = excess{}
		}
		o.large += x.size
	}
}

// skip moves head over the frames that are wholly written.
func (o *outbox) skip() {
	for o.head < o.next {
		end := o.head + frameSize(o.buf[o.head:])
		if end > o.next {
			return
		}
		o.head = end
	}
}

// abandon forgets every frame of which no byte was written or lent. What
// remains ends where a frame ends, so that a close frame can still follow.
func (o *outbox) abandon() {
	o.tail = chunk{}
	end := o.head
	for end < o.next+o.lent {
		end += frameSize(o.buf[end:])
	}
	o.buf = o.buf[:end]
	o.excess, o.large = [2]excess{}, 0
}
