package natsproc

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// maxLogTail bounds what is kept of a log for the error of a failed start.
const maxLogTail = 2 << 10

// said when the client port is open; nats-server prints it once.
const listening = "Listening for client connections on "

// logWatch passes a server's log on and notices when it listens.
type logWatch struct {
	to    io.Writer
	ready chan struct{} // closed when the server listens

	mu   sync.Mutex
	seen bool
	tail []byte // the last bytes; a longer line than this is no line of ours
}

func newLogWatch(to io.Writer) *logWatch { return &logWatch{to: to, ready: make(chan struct{})} }

// Write implements io.Writer. A log that cannot be written does not stop the
// server.
func (w *logWatch) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.tail = append(w.tail, p...)
	if !w.seen && bytes.Contains(w.tail, []byte(listening)) {
		w.seen = true
		close(w.ready)
	}
	if extra := len(w.tail) - maxLogTail; extra > 0 {
		w.tail = append(w.tail[:0], w.tail[extra:]...)
	}
	w.mu.Unlock()
	_, _ = w.to.Write(p)
	return len(p), nil
}

// lastLines is the end of the log, at most two lines of it.
func (w *logWatch) lastLines() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(w.tail)), "\n")
	return strings.Join(lines[max(0, len(lines)-2):], "; ")
}
