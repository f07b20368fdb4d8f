package report

import (
	"cmp"
	"strings"
)

// narrowest is the width below which a picture is cut off instead of made to fit.
const narrowest = 24

// sketch is one state on its way to become lines of a width.
type sketch struct {
	Live
	palette
	history *history
	cols    int
}

// part is some lines of the picture. Where room is short its last lines go,
// down to as many as it needs.
type part struct {
	lines []string
	least int
}

// lines are the picture in at most height rows, the least telling ones left out
// where there are more.
func (s sketch) lines(height int) []string {
	parts := []part{
		{s.head(), 1},
		{[]string{s.progress()}, 1},
		{[]string{""}, 0},
		{s.sparks(), 1},
		{[]string{""}, 0},
		{s.table(), 3},
		{[]string{""}, 0},
		{s.totals(), 1},
		{s.errors(), 1},
		{[]string{s.tool()}, 1},
	}
	return squeeze(parts, max(height, 1))
}

// squeeze leaves lines out until the parts fit: blank ones first, from the
// bottom up, then what each part can spare, and at last whatever comes last.
func squeeze(parts []part, height int) (lines []string) {
	over := -height
	for _, p := range parts {
		over += len(p.lines)
	}
	for _, blank := range []bool{true, false} {
		for i := len(parts) - 1; i >= 0 && over > 0; i-- {
			p := &parts[i]
			if blank != (p.least == 0) {
				continue
			}
			cut := min(over, max(len(p.lines)-p.least, 0))
			p.lines = p.lines[:len(p.lines)-cut]
			over -= cut
		}
	}
	for _, p := range parts {
		if n := len(lines); p.least == 0 && n > 0 && lines[n-1] == "" {
			continue // nothing stands between two blanks
		}
		lines = append(lines, p.lines...)
	}
	return lines[:min(len(lines), height)]
}

// head names the scenario and the address, on one line where they fit.
func (s sketch) head() []string {
	name, url := clean(s.Scenario), clean(s.URL)
	tool := "troupe-load"
	if gap := s.cols - columns(tool+"  "+name) - columns(url); gap >= 2 {
		return []string{s.paint(bold, tool) + "  " + name + strings.Repeat(" ", gap) + s.paint(dim, url)}
	}
	name = fit(name, s.cols-columns(tool)-2)
	return []string{s.paint(bold, tool) + "  " + name, s.paint(dim, fit(url, s.cols))}
}

// progress is the phase, a bar and the time that is left.
func (s sketch) progress() string {
	phase := fit(cmp.Or(clean(s.Phase), "running"), labels-2)
	if s.Total <= 0 {
		return padRight(phase, labels) + span(s.Elapsed)
	}
	left, most := span(s.Total-s.Elapsed)+" left", 13
	if s.cols >= 60 {
		left, most = span(s.Elapsed)+" of "+span(s.Total)+", "+left, 28
	}
	left = padLeft(left, most) // so that the bar mostly keeps its length
	room := max(s.cols-labels-columns(left)-1, 4)
	full := int(min(max(float64(s.Elapsed)/float64(s.Total), 0), 1) * float64(room))
	return padRight(phase, labels) + s.paint(cyan, strings.Repeat("█", full)) + s.paint(dim, strings.Repeat("░", room-full)) + " " + left
}

// labels is how wide the first column is.
const labels = 13

// sparks are the last minute's rates.
func (s sketch) sparks() (lines []string) {
	for _, row := range []struct {
		label string
		value func(Point) float64
	}{
		{"frames/s", func(p Point) float64 { return p.Frames }},
		{"questions/s", func(p Point) float64 { return p.Questions }},
		{"open", func(p Point) float64 { return float64(p.Open) }},
		{"active", func(p Point) float64 { return float64(p.Active) }},
	} {
		lines = append(lines, s.spark(row.label, row.value))
	}
	return lines
}

func (s sketch) spark(label string, value func(Point) float64) string {
	const numbers, peaks = 10, 16
	line := s.paint(dim, padRight(label, labels)) + padLeft(rate(value(s.Last)), numbers) + "  "
	room := min(s.cols-labels-numbers-2, minute)
	roomy := room-peaks >= 20
	if roomy {
		room = min(s.cols-labels-numbers-2-peaks, minute)
	}
	if room < 1 {
		return strings.TrimRight(line, " ")
	}
	room = minute / ((minute + room - 1) / room) // what its bars will take
	bars, peak := s.history.spark(value, room)
	line += s.paint(cyan, bars)
	if roomy {
		line += strings.Repeat(" ", room-columns(bars)) + s.paint(dim, "  peak "+rate(peak))
	}
	return line
}
