package provider

import (
	"bytes"
	"errors"
	"io"
)

// Bounds of a vendor's event stream.
const (
	maxEvent    = 1 << 20  // bytes of one line, and of one event's data
	firstBuffer = 4 << 10  // where a reader's buffer starts
	keepBuffer  = 64 << 10 // a larger buffer is not kept for the next answer
	emptyReads  = 100      // reads of nothing before the source counts as broken
)

var errEventTooLong = errors.New("an event is longer than 1 MiB")

// event is one event of the stream. Its data is borrowed until the next call.
type event struct {
	data   []byte
	failed bool // the event's name is "error"
}

// sseReader reads an event stream as the HTML standard describes it: lines end
// with LF, CR or CRLF, data lines of one event are joined by LF, comments and
// unknown fields are skipped. It owns one buffer and reuses it.
type sseReader struct {
	src io.Reader
	err error // of src, kept until what came before it is used up

	buf     []byte
	pos     int // buf[pos:end] is not read yet
	end     int
	scanned int  // buf[pos:scanned] holds no line end
	skipLF  bool // the last line ended with CR: an LF right behind it is part of it
	begun   bool // the first line, which may start with a byte order mark, is read

	data    []byte // of the event being read
	hasData bool
	failed  bool

	bare []byte // what is no event: from a line on that opens a JSON value
}

// reset makes the reader ready for another stream.
func (r *sseReader) reset(src io.Reader) {
	if len(r.buf) == 0 || len(r.buf) > keepBuffer {
		r.buf = make([]byte, firstBuffer)
	}
	if cap(r.data) > keepBuffer {
		r.data = nil
	}
	*r = sseReader{src: src, buf: r.buf, data: r.data[:0], bare: r.bare[:0]}
}

// next reads until an event is whole. An event without data and a nil error
// mean that bytes arrived which are no event yet, or never will be: the vendor
// is alive. io.EOF is the orderly end of the stream, and nothing more.
func (r *sseReader) next() (event, error) {
	arrived := false
	for {
		for {
			line, ok := r.line()
			if !ok {
				break
			}
			whole, err := r.field(line)
			if err != nil {
				return event{}, err
			}
			if whole {
				return r.dispatch(), nil
			}
		}
		if arrived {
			return event{}, nil
		}
		if r.err != nil {
			return r.last()
		}
		if err := r.fill(); err != nil {
			return event{}, err
		}
		arrived = r.err == nil
	}
}

// line cuts the next line off the buffer.
func (r *sseReader) line() ([]byte, bool) {
	if r.skipLF && r.pos < r.end {
		if r.buf[r.pos] == '\n' {
			r.pos++
		}
		r.skipLF = false
	}
	from := max(r.scanned, r.pos)
	fresh := r.buf[from:r.end]
	n := bytes.IndexByte(fresh, '\n')
	if n >= 0 {
		fresh = fresh[:n]
	}
	if cr := bytes.IndexByte(fresh, '\r'); cr >= 0 {
		n, r.skipLF = cr, true
	}
	if n < 0 {
		r.scanned = r.end
		return nil, false
	}
	line := r.buf[r.pos : from+n]
	r.pos = from + n + 1
	r.scanned = r.pos
	if !r.begun {
		r.begun = true
		line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
	}
	return line, true
}

// field takes one line; true where it ends an event that has data.
func (r *sseReader) field(line []byte) (bool, error) {
	if len(line) == 0 {
		if !r.hasData {
			r.failed = false
		}
		return r.hasData, nil
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "data":
		if len(r.data)+len(value) >= maxEvent {
			return false, errEventTooLong
		}
		if r.hasData {
			r.data = append(r.data, '\n')
		}
		r.data = append(r.data, value...)
		r.hasData = true
	case "event":
		r.failed = string(value) == "error"
	case "": // a comment
	default:
		r.keepBare(line)
	}
	return false, nil
}

// keepBare keeps a line that no event can have, as far as an error's body may go.
func (r *sseReader) keepBare(line []byte) {
	if len(r.bare) == 0 && line[0] != '{' && line[0] != '[' {
		return
	}
	if len(r.bare)+len(line) < maxErrorBody {
		r.bare = append(append(r.bare, line...), '\n')
	}
}

// rest is what the source ended with besides events: a bare JSON value, or half
// a line.
func (r *sseReader) rest() []byte {
	return bytes.TrimSpace(append(r.bare, r.buf[r.pos:r.end]...))
}

func (r *sseReader) dispatch() event {
	ev := event{data: r.data, failed: r.failed}
	r.data, r.hasData, r.failed = r.data[:0], false, false
	return ev
}

// last decides at the end of the source. An event whose lines are all whole
// counts though its empty line is missing, but only where the source ended in
// good order; half a line never counts.
func (r *sseReader) last() (event, error) {
	if r.err == io.EOF && r.hasData && r.pos == r.end {
		return r.dispatch(), nil
	}
	return event{}, r.err
}

// fill reads once, making room first where there is none.
func (r *sseReader) fill() error {
	if r.pos > 0 {
		n := copy(r.buf, r.buf[r.pos:r.end])
		r.scanned, r.end, r.pos = max(0, r.scanned-r.pos), n, 0
	}
	if r.end == len(r.buf) {
		if len(r.buf) >= maxEvent {
			return errEventTooLong
		}
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	for range emptyReads {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		r.err = err
		if n > 0 || err != nil {
			return nil
		}
	}
	return io.ErrNoProgress
}
