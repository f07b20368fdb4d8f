package main

import (
	"bytes"
	"strconv"
)

const (
	// maxControlLine is far above what a server sends: an INFO grows with the
	// cluster, subjects with their makers.
	maxControlLine = 1 << 20

	// maxBody is above every max_payload that nats-server accepts (64 MiB),
	// with its headers.
	maxBody = 72 << 20
)

// operation is one thing a NATS server said, whole, with its line end. raw is
// valid until emit returns.
type operation struct {
	raw     []byte
	subject string // of a MSG or HMSG; empty for everything else
}

// natsParser cuts the server's half of the NATS client protocol into operations,
// wherever it was split on the way:
// https://docs.nats.io/reference/reference-protocols/nats-protocol
//
// It never loses or invents a byte: what emit gets, and rest after it, joined are
// what feed got. A stream it does not understand goes through as it is from there
// on. It holds one unfinished operation at most, so about maxBody.
type natsParser struct {
	held    []byte // the unfinished operation
	scanned int    // of held, without a line end
	need    int    // length of held when it is whole; 0 = its line is not there yet
	subject string // of held, once need is known
	lost    bool   // not understood: everything passes
}

// feed takes the next bytes and emits every operation that is whole now.
func (p *natsParser) feed(b []byte, emit func(operation)) {
	p.held = append(p.held, b...)
	data := p.held
	for len(data) > 0 {
		n, ok := p.whole(data)
		if !ok {
			break
		}
		emit(operation{raw: data[:n], subject: p.subject})
		data = data[n:]
		p.scanned, p.need, p.subject = 0, 0, ""
	}
	if len(data) < len(p.held) { // a long body would else be copied onto itself, piece by piece
		p.held = p.held[:copy(p.held, data)]
	}
	if cap(p.held) > maxControlLine && len(p.held) == 0 {
		p.held = nil // one large message does not stay in memory
	}
}

// rest is what an ended stream leaves: an operation that never became whole.
func (p *natsParser) rest() []byte {
	b := p.held
	*p = natsParser{lost: true}
	return b
}

// whole returns the length of the operation that data begins with, when all of
// it is there.
func (p *natsParser) whole(data []byte) (n int, ok bool) {
	if p.lost {
		return len(data), true
	}
	if p.need == 0 && !p.line(data) {
		return len(data), p.lost
	}
	if len(data) < p.need {
		return 0, false
	}
	if p.subject != "" && !bytes.HasSuffix(data[:p.need], []byte("\r\n")) {
		p.lost, p.subject = true, ""
		return len(data), true
	}
	return p.need, true
}

// line looks for the end of the first line and learns from it how long the
// operation is.
func (p *natsParser) line(data []byte) bool {
	end := bytes.IndexByte(data[p.scanned:], '\n')
	if end < 0 {
		p.scanned = len(data)
		p.lost = len(data) > maxControlLine
		return false
	}
	end += p.scanned + 1
	body, subject, ok := message(data[:end])
	if !ok {
		p.lost = true
		return false
	}
	p.need, p.subject = end+body, subject
	return true
}

// message reads a control line:
//
//	MSG <subject> <sid> [reply] <size>
//	HMSG <subject> <sid> [reply] <header size> <size>
//
// and returns how many bytes follow it. Every other line stands alone. A message
// whose size is not to be read is not ok: nobody knows where it ends.
func message(line []byte) (body int, subject string, ok bool) {
	fields := bytes.Fields(line)
	if len(fields) == 0 {
		return 0, "", true
	}
	least := 4
	switch string(bytes.ToUpper(fields[0])) {
	case "MSG":
	case "HMSG":
		least = 5
	default:
		return 0, "", true
	}
	if len(fields) < least || len(fields) > least+1 {
		return 0, "", false
	}
	size, err := strconv.ParseUint(string(fields[len(fields)-1]), 10, 31)
	if err != nil || size > maxBody {
		return 0, "", false
	}
	return int(size) + len("\r\n"), string(fields[1]), true
}
