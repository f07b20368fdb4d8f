package engine

import (
	"encoding/binary"
	"errors"
)

// receiver gets what a decoder finds. The bytes are valid during the call only.
type receiver interface {
	message(payload []byte) // a whole message, text or binary
	frames(n int)           // so many data frames were complete
	ping(payload []byte)
}

// decoder takes the stream of a server apart. It holds bytes only of a message
// whose fragments are not all there.
type decoder struct {
	fragments []byte
	inside    bool // a message whose last fragment has not come
}

// decode hands over everything that is complete in b. It returns how many bytes
// it used, and how many the frame that follows them has in all where its header
// is there, else 0. An error ends the socket: *closedError is the other side's
// goodbye.
func (d *decoder) decode(b []byte, to receiver) (used, need int, err error) {
	count := 0
	for {
		h, err := parseHeader(b[used:])
		if errors.Is(err, errMore) {
			to.frames(count)
			return used, 0, nil
		}
		if err != nil {
			to.frames(count)
			return used, 0, err
		}
		whole := h.size + h.body
		if len(b)-used < whole {
			to.frames(count)
			return used, whole, nil
		}
		payload := b[used+h.size : used+whole]
		used += whole
		if h.op < opClose {
			count++
			err = d.data(h, payload, to)
		} else {
			err = control(h, payload, to)
		}
		if err != nil {
			to.frames(count)
			return used, 0, err
		}
	}
}

func (d *decoder) data(h header, payload []byte, to receiver) error {
	if (h.op == opContinuation) != d.inside {
		return &protocolError{closeProtocol, "a continuation without a beginning, or a beginning inside a message"}
	}
	if h.final && !d.inside {
		to.message(payload)
		return nil
	}
	if len(d.fragments)+len(payload) > mostMessage {
		return &protocolError{closeTooBig, "a message above 64 MiB"}
	}
	d.fragments = append(d.fragments, payload...)
	d.inside = !h.final
	if h.final {
		to.message(d.fragments)
		d.fragments = nil
	}
	return nil
}

func control(h header, payload []byte, to receiver) error {
	switch h.op {
	case opPing:
		to.ping(payload)
	case opClose:
		switch {
		case len(payload) == 1:
			return &protocolError{closeProtocol, "a close frame with one byte"}
		case len(payload) >= 2:
			return &closedError{binary.BigEndian.Uint16(payload), string(payload[2:])}
		}
		return &closedError{code: 1005}
	}
	return nil
}
