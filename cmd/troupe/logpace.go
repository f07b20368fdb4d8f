package main

import (
	"io"
	"sync"
	"time"
)

const (
	logPace  = 5 * time.Millisecond // from one write of a busy log to the next
	logPiece = 32 << 10             // bytes that may wait for it
)

// pacedWriter writes a quiet log line by line, as it comes, and a busy one in
// pieces of many lines: a system call for each would be the dearest part of a
// client that comes and goes. A line waits at most logPace, in whole lines and in
// order. Only a process that is killed, or dies of the runtime itself, loses
// those that wait.
type pacedWriter struct {
	w io.Writer

	mu      sync.Mutex
	waiting []byte
	last    time.Time   // of the newest write
	late    *time.Timer // armed while something waits
}

func newPacedWriter(w io.Writer) *pacedWriter { return &pacedWriter{w: w} }

// Write implements io.Writer for one or more whole lines. The error of a line
// that waits is nobody's.
func (p *pacedWriter) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	rest := logPace - now.Sub(p.last)
	if len(p.waiting) == 0 && rest <= 0 {
		p.last = now
		return p.w.Write(line)
	}
	if len(p.waiting) == 0 {
		p.wake(rest)
	}
	p.waiting = append(p.waiting, line...)
	if len(p.waiting) >= logPiece {
		p.write()
	}
	return len(line), nil
}

// flush writes what waits.
func (p *pacedWriter) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write()
}

func (p *pacedWriter) wake(after time.Duration) {
	if p.late == nil {
		p.late = time.AfterFunc(after, p.flush)
		return
	}
	p.late.Reset(after)
}

func (p *pacedWriter) write() {
	if len(p.waiting) == 0 {
		return
	}
	p.late.Stop()
	p.last = time.Now()
	_, _ = p.w.Write(p.waiting)
	p.waiting = p.waiting[:0]
	if cap(p.waiting) > 2*logPiece {
		p.waiting = nil
	}
}
