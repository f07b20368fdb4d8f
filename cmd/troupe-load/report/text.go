package report

import (
	"strings"
	"unicode"
)

// longest bounds what one text of somebody else may take of a line, in characters.
const longest = 400

// clean makes a text from outside fit for a terminal: one line, no control
// characters, nothing that turns the direction of writing, nothing invisible.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if r == '\t' || r == '\n' || r == '\r' {
			r = ' '
		}
		if !unicode.IsPrint(r) { // controls, formats and every space but the plain one
			continue
		}
		if n++; n > longest {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// columns is how wide a line is on a terminal. Our own colours take no room;
// nobody else's get this far.
func columns(s string) int {
	n, colour := 0, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			colour = true
		case colour:
			colour = r != 'm'
		default:
			n += across(r)
		}
	}
	return n
}

// across is how many columns one character takes.
func across(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana),
		r >= 0x3000 && r <= 0x303e, // CJK punctuation
		r >= 0xff01 && r <= 0xff60, // forms as wide as Han
		r >= 0x1f300 && r <= 0x1faff:
		return 2
	default:
		return 1
	}
}

// fit cuts a text to a width, and says so with an ellipsis. Our own colours
// take no room, and end with the text.
func fit(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	var b strings.Builder
	left, sequence, colours := width-1, false, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			sequence, colours = true, true
		case sequence:
			sequence = r != 'm'
		default:
			left -= across(r)
		}
		if left < 0 {
			break
		}
		b.WriteRune(r)
	}
	b.WriteRune('…')
	if colours {
		b.WriteString(plainAgain)
	}
	return b.String()
}

func padRight(s string, width int) string {
	return s + strings.Repeat(" ", max(width-columns(s), 0))
}

func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(width-columns(s), 0)) + s
}

// wrap joins parts with commas to lines of a width, the later ones indented.
func wrap(parts []string, width, indent int) (lines []string) {
	line := ""
	for i, p := range parts {
		if i < len(parts)-1 {
			p += ","
		}
		switch {
		case line == "":
			line = p
		case columns(line)+1+columns(p) <= width:
			line += " " + p
		default:
			lines = append(lines, line)
			line = strings.Repeat(" ", indent) + p
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
