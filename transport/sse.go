package transport

import (
	"errors"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	eventStream   = "text/event-stream"
	commentPeriod = 15 * time.Second
	writePiece    = 16 << 10        // bytes that must be taken within writeTimeout
	lastWords     = 5 * time.Second // to tell a slow reader that it is cut
)

// wantsEvents tells whether a client asks for a stream of events.
func wantsEvents(h http.Header) bool {
	for _, line := range h["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			kind, params, err := mime.ParseMediaType(part)
			if err == nil && kind == eventStream && params["q"] != "0" {
				return true
			}
		}
	}
	return false
}

// parseEventID reads the id of an event: run_id:seq.
func parseEventID(s string) (run string, seq uint64, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 || i > protocol.MaxLabel {
		return "", 0, false
	}
	seq, err := strconv.ParseUint(s[i+1:], 10, 64)
	return s[:i], seq, err == nil
}

// begin answers 200; from here on an error is an event.
func (x *exchange) begin() {
	x.started = true
	h := x.w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Connection", "close") // so that no late deadline of this stream meets a next request
	x.w.WriteHeader(http.StatusOK)
}

// event writes one frame. The id lets a client resume: after an accept from the
// beginning of its run, later from the last seq.
func (x *exchange) event(f *protocol.Frame) error {
	if f.RunID != "" {
		x.runID = f.RunID
	}
	b := append(x.buf[:0], "event: "...)
	b = append(b, f.Type...)
	if x.runID != "" && (f.Seq > 0 || f.Type == protocol.TypeAccepted || f.Type == protocol.TypeSnapshot) {
		b = append(b, "\nid: "...)
		b = append(b, x.runID...)
		b = strconv.AppendUint(append(b, ':'), f.Seq, 10)
	}
	b = f.Append(append(b, "\ndata: "...))
	b = append(b, "\n\n"...)
	err := x.write(b)
	if cap(b) <= writePiece {
		x.buf = b
	}
	return err
}

func (x *exchange) comment() error { return x.write([]byte(":\n\n")) }

// write hands bytes to the client piece by piece, each with a deadline of its
// own: a slow client is not a dead one as long as it takes something.
func (x *exchange) write(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), writePiece)
		if !x.sink.isCut() {
			_ = x.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
		}
		if _, err := x.w.Write(b[:n]); err != nil {
			return err
		}
		if err := x.rc.Flush(); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// writeCause names what a failed write means.
func writeCause(err error) protocol.Cause {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return protocol.CauseSlowConsumer
	}
	return protocol.CauseGone
}
