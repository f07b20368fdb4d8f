package transport

import (
	"encoding/binary"

	"github.com/gobwas/ws"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	finalBit = 0x80 // FIN, in a frame's first byte

	// len16 and len64 in the second byte announce a longer length field.
	len16 = 126
	len64 = 127

	// envelope is about what a frame's JSON needs around its text. It only
	// guides a guess; a wrong guess costs one copy.
	envelope = 96
)

// headerSize is the size of the unmasked header in front of n bytes of payload.
func headerSize(n int) int {
	return ws.HeaderSize(ws.Header{Length: int64(n)})
}

// appendHeader writes the header of an unmasked, final frame.
func appendHeader(dst []byte, op ws.OpCode, n int) []byte {
	dst = append(dst, finalBit|byte(op))
	switch headerSize(n) {
	case 2:
		return append(dst, byte(n))
	case 4:
		return binary.BigEndian.AppendUint16(append(dst, len16), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, len64), uint64(n))
	}
}

// appendControl writes a whole control frame. More than 125 bytes of payload
// do not fit into one and are cut.
func appendControl(dst []byte, op ws.OpCode, payload []byte) []byte {
	payload = payload[:min(len(payload), ws.MaxControlFramePayloadSize)]
	return append(appendHeader(dst, op, len(payload)), payload...)
}

// appendClose writes a close frame; the reason is cut to what fits. Code 0
// makes a frame without a body.
func appendClose(dst []byte, code ws.StatusCode, reason string) []byte {
	if code.Empty() {
		return appendControl(dst, ws.OpClose, nil)
	}
	var body [ws.MaxControlFramePayloadSize]byte
	binary.BigEndian.PutUint16(body[:], uint16(code))
	n := copy(body[2:], reason)
	return appendControl(dst, ws.OpClose, body[:2+n])
}

// appendText writes f as one text frame, header and payload side by side. The
// payload's length is known only once it is written, so room for the likely
// header is left in front of it and corrected afterwards.
func appendText(dst []byte, f *protocol.Frame) []byte {
	start := len(dst)
	var room [ws.MaxHeaderSize]byte
	guess := headerSize(len(f.Text) + envelope)
	dst = append(dst, room[:guess]...)
	dst = f.Append(dst)

	n := len(dst) - start - guess
	if size := headerSize(n); size != guess {
		dst = append(dst, room[:max(0, size-guess)]...)
		copy(dst[start+size:], dst[start+guess:start+guess+n])
		dst = dst[:start+size+n]
	}
	appendHeader(dst[:start], ws.OpText, n)
	return dst
}

// frameSize is the size of the server frame at the head of b, which appendText
// or appendControl wrote.
func frameSize(b []byte) int {
	switch n := int(b[1]); n {
	case len16:
		return 4 + int(binary.BigEndian.Uint16(b[2:]))
	case len64:
		return 10 + int(binary.BigEndian.Uint64(b[2:]))
	default:
		return 2 + n
	}
}
