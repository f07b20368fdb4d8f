package report

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// Picture shows how a run goes: on a terminal as a picture that is drawn anew
// in place, elsewhere as a calm line now and then. It may be used by several
// goroutines at once.
type Picture struct {
	w       io.Writer
	width   func() (cols, rows int)
	plain   bool
	colours palette

	mu      sync.Mutex
	history history
	drawn   []int // the width of each line on the screen
	log     log
	closed  bool
}

// NewPicture begins a picture on w, which stays the caller's. width tells the
// terminal's size each time it is asked; 0 stands for unknown. Where plain is
// set, or TERM is dumb, there are lines instead of a picture. NO_COLOR is obeyed.
// Nothing is written before the first Update.
func NewPicture(w io.Writer, width func() (cols, rows int), plain bool) *Picture {
	return &Picture{w: w, width: width, plain: plain || os.Getenv("TERM") == "dumb", colours: wanted()}
}

// Update shows a new state. It may come as often as one likes; a terminal that
// cannot be written to is left alone, for the run matters more than its picture.
func (p *Picture) Update(l Live) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.history.add(l.Last)
	if p.plain {
		if line := p.log.line(l); line != "" {
			fmt.Fprintln(p.w, line)
		}
		return
	}
	cols, rows := p.size()
	lines := sketch{Live: l, history: &p.history, palette: p.colours, cols: max(cols-1, narrowest)}.lines(rows - 1)
	for i := range lines {
		lines[i] = fit(lines[i], max(cols-1, 1)) // the last column stays free: to write there may wrap
	}
	p.redraw(lines, cols)
}

// Close leaves the last picture where it is, gives the cursor back and puts it
// below. What is updated later is not shown.
func (p *Picture) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && p.drawn != nil {
		io.WriteString(p.w, showCursor)
	}
	p.closed = true
}

const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	clearRight = "\x1b[K"
	clearBelow = "\x1b[J"
)

// size is the terminal's, or the usual one where it is unknown.
func (p *Picture) size() (cols, rows int) {
	cols, rows = p.width()
	if cols <= 0 {
		cols = 80
	}
	if rows <= 0 {
		rows = 24
	}
	return cols, rows
}

// redraw puts lines over those of the last time, in one write. Each line clears
// only what is right of it, so nothing blinks.
func (p *Picture) redraw(lines []string, cols int) {
	var b strings.Builder
	if p.drawn == nil {
		b.WriteString(hideCursor)
	}
	if up := tall(p.drawn, cols); up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", up)
	}
	p.drawn = make([]int, len(lines))
	for i, line := range lines {
		p.drawn[i] = columns(line)
		b.WriteString(line + clearRight + "\r\n")
	}
	b.WriteString(clearBelow)
	io.WriteString(p.w, b.String())
}

// tall is how many rows lines take on a terminal that may have become narrower
// and wrapped them.
func tall(widths []int, cols int) (rows int) {
	for _, w := range widths {
		rows += max((w+cols-1)/cols, 1)
	}
	return rows
}
