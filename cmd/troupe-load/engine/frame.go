package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
)

// Opcodes of RFC 6455.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// Close codes that the tool itself sends.
const (
	closeNormal   = 1000
	closeProtocol = 1002
	closeTooBig   = 1009
	closeNone     = 1006 // never sent: the socket ended without a close frame
)

const (
	finalBit   = 0x80
	maskBit    = 0x80
	mostHeader = 14
	// mostMessage bounds one message, all fragments together.
	mostMessage = 64 << 20
)

// appendFrame appends one final, masked frame.
func appendFrame(dst []byte, op byte, payload []byte) []byte {
	dst = append(dst, finalBit|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, maskBit|byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, maskBit|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, maskBit|127), uint64(n))
	}
	key := rand.Uint32()
	dst = binary.LittleEndian.AppendUint32(dst, key)
	start := len(dst)
	dst = append(dst, payload...)
	mask(dst[start:], key)
	return dst
}

// appendClose appends a close frame with a code.
func appendClose(dst []byte, code uint16) []byte {
	return appendFrame(dst, opClose, binary.BigEndian.AppendUint16(nil, code))
}

// mask applies the key, whose lowest byte comes first, to b.
func mask(b []byte, key uint32) {
	double := uint64(key) | uint64(key)<<32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^double)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * (i % 4)))
	}
}

// protocolError is a frame that a server must not send.
type protocolError struct {
	code uint16 // to close with
	text string
}

func (e *protocolError) Error() string { return e.text }

// closedError is the other side's close frame.
type closedError struct {
	code   uint16
	reason string
}

func (e *closedError) Error() string { return fmt.Sprintf("closed %d %s", e.code, e.reason) }

var errMore = errors.New("the frame is not complete")

// header is the beginning of a frame.
type header struct {
	op    byte
	final bool
	size  int // of the header itself
	body  int // of the payload
}

// parseHeader reads a header that a server sent. It returns errMore where b
// ends inside it.
func parseHeader(b []byte) (h header, err error) {
	if len(b) < 2 {
		return h, errMore
	}
	h.op, h.final, h.size, h.body = b[0]&0x0f, b[0]&finalBit != 0, 2, int(b[1]&0x7f)
	if b[0]&0x70 != 0 {
		return h, &protocolError{closeProtocol, "a frame with reserved bits: no extension was agreed on"}
	}
	if b[1]&maskBit != 0 {
		return h, &protocolError{closeProtocol, "a masked frame: only clients mask"}
	}
	switch h.body {
	case 126:
		if len(b) < 4 {
			return h, errMore
		}
		h.size, h.body = 4, int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if len(b) < 10 {
			return h, errMore
		}
		long := binary.BigEndian.Uint64(b[2:])
		if long > mostMessage {
			return h, &protocolError{closeTooBig, fmt.Sprintf("a frame of %d bytes; the tool takes %d", long, mostMessage)}
		}
		h.size, h.body = 10, int(long)
	}
	return h, h.check()
}

func (h *header) check() error {
	switch h.op {
	case opContinuation, opText, opBinary:
		return nil
	case opClose, opPing, opPong:
		if !h.final || h.body > 125 {
			return &protocolError{closeProtocol, "a control frame that is fragmented or longer than 125 bytes"}
		}
		return nil
	}
	return &protocolError{closeProtocol, fmt.Sprintf("a frame with the unknown opcode %d", h.op)}
}
