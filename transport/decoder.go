package transport

import (
	"encoding/binary"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	// maxFragments bounds the frames of one message: a fragment costs the
	// server a step whatever it carries.
	maxFragments = 128

	// firstGrowth is the most that is allocated for a message before more of
	// it has arrived, whatever length its header declares.
	firstGrowth = 4 << 10
)

// violation is why a client's bytes were refused: the answer (a close code and
// a reason) and the cause that logs and metrics name.
type violation struct {
	close  ws.StatusCode
	cause  protocol.Cause
	code   protocol.Code // an error frame goes out first; empty = none
	reason string        // constant text, at most 123 bytes; never the client's
}

// Error implements error.
func (v *violation) Error() string { return v.reason }

func broken(reason string) error {
	return &violation{close: ws.StatusProtocolError, cause: protocol.CauseProtocol, reason: reason}
}

func notUTF8(reason string) error {
	return &violation{close: ws.StatusInvalidFramePayloadData, cause: protocol.CauseProtocol, reason: reason}
}

func abused(reason string) error {
	return &violation{close: ws.StatusPolicyViolation, cause: protocol.CauseProtocol, reason: reason}
}

// event is one thing a client said whole. The zero event says nothing yet.
// Control frames may arrive between the fragments of a message.
type event struct {
	op   ws.OpCode     // OpText, OpBinary, OpPing, OpPong or OpClose; OpContinuation = more bytes are needed
	data []byte        // a message or a control payload; borrowed until the next feed or release
	code ws.StatusCode // of OpClose; 0 = the client gave none
}

// decoder turns a client's bytes into events. It is a state machine without
// I/O and without a clock: how the bytes are cut into pieces makes no
// difference. It works in place, so fed bytes are overwritten.
//
// Bound: memory grows with the bytes that arrived, never with what a header
// declares, and a message never takes more than max. A frame that breaks a
// rule is refused when the byte that breaks it arrives. After an error the
// decoder must not be fed again.
type decoder struct {
	max int  // bytes of one message, all fragments together
	all bool // binary messages and any number of fragments too, as the RFC has it: for an Echo

	// The frame under way.
	head  [ws.MaxHeaderSize]byte
	have  int // bytes of head; the header is complete when body is set
	body  bool
	frame ws.Header
	seen  int // payload bytes that arrived

	// The message under way.
	binary    bool
	fragments int // frames begun; 0 = between messages
	message   []byte
	checked   int // bytes of message that are whole valid characters

	control []byte // payload of a control frame that came in pieces
}

// midway tells whether a frame or a message has begun and is not complete.
func (d *decoder) midway() bool { return d.have > 0 || d.fragments > 0 }

// release wipes and lets go of the message that was gathered: questions may
// carry keys.
func (d *decoder) release() {
	clear(d.message)
	d.message, d.checked = nil, 0
}

// feed takes bytes until one event is complete or b is used up, and returns
// what is left of b.
func (d *decoder) feed(b []byte) (rest []byte, ev event, err error) {
	for {
		if !d.body {
			if len(b) == 0 {
				return nil, event{}, nil
			}
			if b, err = d.header(b); err != nil {
				return nil, event{}, err
			}
			continue
		}
		n := int(min(int64(len(b)), d.frame.Length-int64(d.seen)))
		if ev, err = d.payload(b[:n:n]); err != nil {
			return nil, event{}, err
		}
		b = b[n:]
		if ev.op != ws.OpContinuation {
			return b, ev, nil
		}
		if d.body {
			return nil, event{}, nil
		}
	}
}

// payload takes the next bytes of a frame's payload, all of it if it is empty.
func (d *decoder) payload(piece []byte) (event, error) {
	ws.Cipher(piece, d.frame.Mask, d.seen&3)
	d.seen += len(piece)
	if d.frame.OpCode.IsControl() {
		return d.controlPiece(piece)
	}
	return d.dataPiece(piece)
}

// header takes the next bytes of a header: two that say how long it is, then
// the rest of it.
func (d *decoder) header(b []byte) ([]byte, error) {
	want := ws.MinHeaderSize
	if d.have >= ws.MinHeaderSize {
		want = d.headerLength()
	}
	n := copy(d.head[d.have:want], b)
	d.have += n
	if d.have < want {
		return b[n:], nil
	}
	if want == ws.MinHeaderSize {
		return b[n:], d.checkOpening()
	}
	return b[n:], d.open()
}

// headerLength is known from the second byte on. A client's header always
// holds a mask, so it is longer than the minimum.
func (d *decoder) headerLength() int {
	switch d.head[1] & 0x7f {
	case len16:
		return 4 + 4
	case len64:
		return 10 + 4
	default:
		return 2 + 4
	}
}

// checkOpening judges the first two bytes of a frame.
func (d *decoder) checkOpening() error {
	h := ws.Header{
		Fin:    d.head[0]&finalBit != 0,
		Rsv:    d.head[0] >> 4 & 0x7,
		OpCode: ws.OpCode(d.head[0] & 0xf),
		Masked: d.head[1]&0x80 != 0,
		Length: int64(d.head[1] & 0x7f), // 126 and 127 are too long for a control frame already
	}
	state := ws.StateServerSide
	if d.fragments > 0 {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return broken(err.Error())
	}
	switch {
	case h.OpCode == ws.OpBinary && !d.all:
		return &violation{
			close: ws.StatusUnsupportedData, cause: protocol.CauseProtocol,
			reason: "binary messages are not understood: send JSON as text",
		}
	case h.OpCode.IsData() && d.fragments >= maxFragments && !d.all:
		return abused("a message may have at most 128 fragments")
	}
	d.frame = h
	return nil
}

// open judges the declared length, before anything is allocated for it.
func (d *decoder) open() error {
	mask := d.head[2:]
	switch d.frame.Length {
	case len16:
		d.frame.Length, mask = int64(binary.BigEndian.Uint16(d.head[2:])), d.head[4:]
	case len64:
		n := binary.BigEndian.Uint64(d.head[2:])
		if n>>63 != 0 {
			return broken("a frame's length has its highest bit set")
		}
		d.frame.Length, mask = int64(n), d.head[10:]
	}
	copy(d.frame.Mask[:], mask)
	if d.frame.OpCode.IsData() {
		if d.frame.Length > int64(d.max-len(d.message)) {
			return &violation{
				close: ws.StatusMessageTooBig, cause: protocol.CauseTooBig,
				code: protocol.MessageTooBig, reason: string(protocol.MessageTooBig),
			}
		}
		if d.fragments++; d.fragments == 1 {
			d.binary = d.frame.OpCode == ws.OpBinary
		}
	}
	d.body, d.seen = true, 0
	return nil
}

// ended closes the frame under way if all of it is there.
func (d *decoder) ended() bool {
	if int64(d.seen) < d.frame.Length {
		return false
	}
	d.have, d.body = 0, false
	return true
}

// dataPiece takes unmasked bytes of a text message. A message that arrives in
// one piece is lent from where it lies; any other is gathered.
func (d *decoder) dataPiece(piece []byte) (event, error) {
	whole := d.fragments == 1 && d.frame.Fin && len(piece) == int(d.frame.Length)
	if whole {
		if !d.binary && !utf8.Valid(piece) {
			return event{}, notUTF8("a text message is not valid UTF-8")
		}
		d.ended()
		d.fragments = 0
		return event{op: d.kind(), data: piece}, nil
	}
	d.gather(piece)
	if err := d.check(); err != nil {
		return event{}, err
	}
	if !d.ended() || !d.frame.Fin {
		return event{}, nil
	}
	if d.checked < len(d.message) {
		return event{}, notUTF8("a text message ends inside a UTF-8 character")
	}
	d.fragments = 0
	return event{op: d.kind(), data: d.message}, nil
}

// kind is what the message under way is.
func (d *decoder) kind() ws.OpCode {
	if d.binary {
		return ws.OpBinary
	}
	return ws.OpText
}

// check fails a text at its first wrong byte, not at its end.
func (d *decoder) check() error {
	if d.binary {
		d.checked = len(d.message)
		return nil
	}
	n, ok := validPrefix(d.message[d.checked:])
	d.checked += n
	if !ok {
		return notUTF8("a text message is not valid UTF-8")
	}
	return nil
}

// gather appends a piece. The buffer doubles, but never past the bound, so its
// capacity follows what arrived. Outgrown buffers are wiped.
func (d *decoder) gather(piece []byte) {
	need := len(d.message) + len(piece)
	if need > cap(d.message) {
		size := max(need, min(2*cap(d.message), d.max))
		if d.message == nil {
			size = max(need, int(min(d.frame.Length, firstGrowth)))
		}
		grown := make([]byte, len(d.message), size)
		copy(grown, d.message)
		clear(d.message)
		d.message = grown
	}
	d.message = append(d.message, piece...)
}

// controlPiece takes unmasked bytes of a control frame.
func (d *decoder) controlPiece(piece []byte) (event, error) {
	if len(piece) < int(d.frame.Length) {
		if d.control == nil {
			d.control = make([]byte, 0, d.frame.Length)
		}
		d.control = append(d.control, piece...)
		piece = d.control
	}
	if !d.ended() {
		return event{}, nil
	}
	d.control = nil
	ev := event{op: d.frame.OpCode, data: piece}
	if ev.op == ws.OpClose {
		return closeEvent(piece)
	}
	return ev, nil
}

// closeEvent judges the payload of a close frame (RFC 6455, 5.5.1 and 7.4).
func closeEvent(payload []byte) (event, error) {
	ev := event{op: ws.OpClose}
	if len(payload) == 0 {
		return ev, nil
	}
	if len(payload) == 1 {
		return event{}, broken("a close frame has half a close code")
	}
	ev.code, ev.data = ws.StatusCode(binary.BigEndian.Uint16(payload)), payload[2:]
	if !validCloseCode(ev.code) {
		return event{}, broken("a close frame has a code that must not be sent")
	}
	if !utf8.Valid(ev.data) {
		return event{}, notUTF8("a close frame's reason is not valid UTF-8")
	}
	return ev, nil
}

// validCloseCode tells which codes a client may send. 1012 to 1014 were
// registered after the RFC.
func validCloseCode(code ws.StatusCode) bool {
	switch {
	case code >= 1012 && code <= 1014:
		return true
	case code.IsProtocolSpec():
		return code.IsProtocolDefined() && !code.IsProtocolReserved()
	default:
		return code.IsApplicationSpec() || code.IsPrivateSpec()
	}
}

// validPrefix returns how many bytes of b are whole valid characters. What
// follows them may be the beginning of one more; ok is false if it cannot be.
func validPrefix(b []byte) (n int, ok bool) {
	n = len(b)
	for i := n - 1; i >= 0 && i >= n-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				n = i
			}
			break
		}
	}
	return n, utf8.Valid(b[:n])
}

// rate is a token bucket without a clock of its own.
type rate struct {
	tokens float64
	last   time.Duration
}

const (
	controlRate  = 10 // control frames a second
	controlBurst = 20
)

func newRate(now time.Duration) rate { return rate{tokens: controlBurst, last: now} }

// take spends a token and tells whether there was one.
func (r *rate) take(now time.Duration) bool {
	r.tokens = min(controlBurst, r.tokens+(now-r.last).Seconds()*controlRate)
	r.last = now
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}
