package main

import (
	"io"
	"sync"
	"time"
)

const (
	logPace  = 5 * time.Millisecond // how long a line waits for others
	logPiece = 32 << 10             // bytes that may wait for it
)

// pacedWriter writes the lines of a log in pieces, on a goroutine of its own: a
// system call for each would be the dearest part of a client that comes and goes,
// and the first word of an answer would wait for the line that says it was asked
// for. A line waits at most logPace, in whole lines and in order. Who says more
// than is read waits for the reader. Only a process that is killed, or dies of the
// runtime itself, loses the lines that wait.
type pacedWriter struct {
	out   sync.Mutex // held while a piece is written, and taken before mu
	w     io.Writer  // guarded by out
	spare []byte     // guarded by out

	mu      sync.Mutex
	waiting []byte      // guarded by mu
	late    *time.Timer // guarded by mu: armed while something waits
}

func newPacedWriter(w io.Writer) *pacedWriter { return &pacedWriter{w: w} }

// Write implements io.Writer for one or more whole lines. Their error is nobody's.
func (p *pacedWriter) Write(line []byte) (int, error) {
	if p.add(line) >= logPiece {
		p.flush()
	}
	return len(line), nil
}

// add has a line wait, and tells how much does.
func (p *pacedWriter) add(line []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.waiting) > 0:
	case p.late == nil:
		p.late = time.AfterFunc(logPace, p.flush)
	default:
		p.late.Reset(logPace)
	}
	p.waiting = append(p.waiting, line...)
	return len(p.waiting)
}

// flush writes what waits. Lines that come meanwhile wait for the next piece.
func (p *pacedWriter) flush() {
	p.out.Lock()
	defer p.out.Unlock()
	piece := p.take()
	if len(piece) == 0 {
		return
	}
	_, _ = p.w.Write(piece)
	if cap(piece) <= 2*logPiece {
		p.spare = piece[:0]
	}
}

// take empties what waits. The caller holds out.
func (p *pacedWriter) take() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		return nil
	}
	p.late.Stop()
	piece := p.waiting
	p.waiting, p.spare = p.spare, nil
	return piece
}
