package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-isatty"

	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos"
)

// faultPicture shows on standard error how a fault run goes: in place on a
// terminal, elsewhere one line a second.
func (p *program) faultPicture() func(chaos.Live) {
	f, _ := p.stderr.(*os.File)
	if f == nil || !isatty.IsTerminal(f.Fd()) || os.Getenv("TERM") == "dumb" {
		return func(l chaos.Live) { fmt.Fprintln(p.stderr, l) }
	}
	drawn := 0
	return func(l chaos.Live) {
		cols, _ := terminalSize(f)
		lines := faultLines(l, max(20, cols-1))
		redrawLines(p.stderr, lines, drawn)
		drawn = len(lines)
	}
}

// redrawLines puts lines over those of the last time, in one write.
func redrawLines(w io.Writer, lines []string, drawn int) {
	var b strings.Builder
	if drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", drawn)
	}
	for _, line := range lines {
		b.WriteString(line + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	_, _ = io.WriteString(w, b.String()) // a picture is not worth a run
}

// faultLines are what a terminal of so many columns shows.
func faultLines(l chaos.Live, cols int) []string {
	done := min(1, l.Elapsed.Seconds()/max(1, l.Length.Seconds()))
	width := max(10, min(50, cols-30))
	full := int(done * float64(width))
	now := "calm"
	if len(l.Faults) > 0 {
		now = strings.Join(l.Faults, ", ")
	}
	lines := []string{
		fmt.Sprintf("%s  %s%s %.0fs of %.0fs", l.Scenario, strings.Repeat("█", full), strings.Repeat("░", width-full), l.Elapsed.Seconds(), l.Length.Seconds()),
		fmt.Sprintf("  streams   %d live   %d asked   %d complete   %d chunks/s", l.Now, l.Streams, l.Complete, l.Chunks),
		fmt.Sprintf("  touched   %d ended by an error   %d sockets lost", l.Errors, l.Lost),
		"  now       " + now,
	}
	for _, f := range l.Done {
		lines = append(lines, "  done      "+f.String())
	}
	for _, t := range l.Touched {
		lines = append(lines, "  last      stream "+t.String())
	}
	lines = append(lines, fmt.Sprintf("  breaches  %d so far", l.Breaches))
	for i, line := range lines {
		if utf8.RuneCountInString(line) > cols {
			lines[i] = string([]rune(line)[:cols-1]) + "…"
		}
	}
	return lines
}
