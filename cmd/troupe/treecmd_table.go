package main

import (
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// tone is how much a line wants to be seen.
type tone uint8

const (
	tonePlain tone = iota
	toneHead
	toneWarn
	toneBad
)

// hangs is how long one message takes in an actor that is not well.
const hangs = protocol.Duration(time.Second)

func toneOf(waiting int, oldest, busy protocol.Duration) tone {
	switch {
	case oldest >= hangs || busy >= hangs:
		return toneBad
	case waiting > 0 && oldest > 0:
		return toneWarn
	}
	return tonePlain
}

// drawn is one line of a picture.
type drawn struct {
	text string
	tone tone
}

// styled cuts a line to the columns there are, and colours it.
func (d drawn) styled(columns int, colour bool) string {
	text := d.text
	if columns > 0 && width(text) > columns {
		text = string([]rune(text)[:columns-1]) + "…"
	}
	codes := [...]string{toneHead: "2", toneWarn: "33", toneBad: "31"}
	if !colour || d.tone == tonePlain || text == "" {
		return text
	}
	return "\x1b[" + codes[d.tone] + "m" + text + "\x1b[0m"
}

// column is one of a table.
type column struct {
	head string
	left bool // else its cells end together
	rank int  // where there is no room the highest goes first; 0 stays
}

// table is cells in columns.
type table struct {
	columns []column
	rows    []row
	hidden  []bool
}

type row struct {
	tone  tone
	cells []string
}

func (t *table) add(tone tone, cells ...string) {
	for i := range cells {
		cells[i] = oneLine(cells[i])
	}
	t.rows = append(t.rows, row{tone: tone, cells: cells})
}

// without hides every column with this head.
func (t *table) without(head string) {
	t.hidden = make([]bool, len(t.columns))
	for i, c := range t.columns {
		t.hidden[i] = c.head == head
	}
}

// draw writes the table with its heads, in as many columns of it as fit.
func (t *table) draw(room int) []drawn {
	if t.hidden == nil {
		t.hidden = make([]bool, len(t.columns))
	}
	widths := make([]int, len(t.columns))
	heads := row{tone: toneHead}
	for _, c := range t.columns {
		heads.cells = append(heads.cells, c.head)
	}
	all := append([]row{heads}, t.rows...)
	for _, r := range all {
		for i, cell := range r.cells {
			widths[i] = max(widths[i], width(cell))
		}
	}
	t.fit(widths, room)
	var out []drawn
	for _, r := range all {
		out = append(out, drawn{text: t.line(r, widths), tone: r.tone})
	}
	return out
}

const columnGap = 2

// fit hides columns until the others have room.
func (t *table) fit(widths []int, room int) {
	for room > 0 {
		all, least := -columnGap, -1
		for i, c := range t.columns {
			if t.hidden[i] {
				continue
			}
			all += columnGap + widths[i]
			if c.rank > 0 && (least < 0 || c.rank > t.columns[least].rank) {
				least = i
			}
		}
		if all <= room || least < 0 {
			return
		}
		t.hidden[least] = true
	}
}

func (t *table) line(r row, widths []int) string {
	var b strings.Builder
	for i, cell := range r.cells {
		if t.hidden[i] {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(strings.Repeat(" ", columnGap))
		}
		pad := strings.Repeat(" ", widths[i]-width(cell))
		if t.columns[i].left {
			b.WriteString(cell + pad)
		} else {
			b.WriteString(pad + cell)
		}
	}
	return strings.TrimRight(b.String(), " ")
}
