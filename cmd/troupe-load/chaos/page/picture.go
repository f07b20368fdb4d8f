package page

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos"
)

// Measures of the picture, in its own units.
const (
	wide      = 1200.0
	left      = 10.0
	headRoom  = 46.0 // title and words
	laneRoom  = 19.0
	blockRoom = 22.0
	footRoom  = 58.0 // axis and legend
	tallRows  = 480.0
	letter    = 6.6 // about as wide as a letter of 12 is
)

// Picture draws the timeline of a run as an SVG that stands alone, light or dark
// as its reader is: a thousand clients take some hundred kilobytes.
func Picture(r *chaos.Result) []byte {
	p := &picture{rows: rows(r), lanes: lanes(r), length: max(r.Length, 1)}
	p.layout()
	p.open(r)
	p.axis()
	p.bands()
	p.lines()
	p.ends()
	p.faults()
	p.headings()
	p.legend()
	p.b.WriteString("</svg>\n")
	return []byte(p.b.String())
}

type picture struct {
	rows    []row
	lanes   []lane
	length  float64
	touched int // rows that are, the first ones
	step    float64
	top     float64 // of the rows
	bottom  float64
	b       strings.Builder
}

func (p *picture) layout() {
	for _, of := range p.rows {
		if of.Touched {
			p.touched++
		}
	}
	p.step = min(12, tallRows/float64(max(len(p.rows), 1)))
	p.top = headRoom + laneRoom*float64(len(p.lanes)) + 8
	p.bottom = p.y(len(p.rows)-1) + p.step
}

// y is the upper edge of a row: each of the two blocks has a heading.
func (p *picture) y(i int) float64 {
	y := p.top + blockRoom + float64(i)*p.step
	if p.touched > 0 && i >= p.touched {
		y += blockRoom
	}
	return y
}

func (p *picture) x(ms float64) float64 {
	return left + max(0, min(ms, p.length))/p.length*(wide-2*left)
}

func (p *picture) add(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

// text escapes what may have been written by anybody.
func text(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

func num(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

func (p *picture) open(r *chaos.Result) {
	verdict := "everything held that must"
	if !r.Green {
		verdict = strconv.Itoa(len(r.Breaches)) + " breaches"
	}
	said := fmt.Sprintf("%d clients, %d touched, %d not; %d questions in %s s; %s",
		len(p.rows), p.touched, len(p.rows)-p.touched, r.Totals.Asked, num(r.Length/1000), verdict)
	high := num(p.bottom + footRoom)
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-labelledby="title desc" font-family="ui-sans-serif, system-ui, sans-serif" font-size="12">`, num(wide), high, num(wide), high)
	p.add(`<title id="title">%s</title>`, text(r.About))
	p.add(`<desc id="desc">%s</desc>`, text(said))
	p.add(`<style>%s</style>`, pictureStyle)
	p.add(`<rect class="paper" width="%s" height="%s"/>`, num(wide), high)
	p.add(`<text class="title" x="%s" y="20">%s</text>`, num(left), text(r.About))
	p.add(`<text class="soft" x="%s" y="38">%s</text>`, num(left), text(said))
}

const pictureStyle = `
.paper { fill: #fff } text { fill: #1f2328 } .lane { stroke: #fff; stroke-width: 4px; paint-order: stroke } .soft { fill: #59636e } .title { font-size: 16px; font-weight: 600 }
.grid { stroke: #d1d9e0; fill: none } .band { fill: #7c3aed; fill-opacity: .12 } .fault { fill: #7c3aed } .back { fill: #12703b }
path { fill: none } .calm { stroke-opacity: .5 }
.s0 { stroke: #b9c0cb } .s1 { stroke: #3b82c4 } .s2 { stroke: #0f9d8a } .s3 { stroke: #e8590c } .s4 { stroke: #c026d3 }
.m0 { stroke: #12703b } .m1 { stroke: #b9c0cb } .m2, .m3 { stroke: #c81e1e } .m4 { stroke: #e8590c }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117 } text { fill: #f0f6fc } .lane { stroke: #0d1117 } .soft { fill: #9198a1 } .grid { stroke: #30363d }
.band { fill: #b197fc; fill-opacity: .15 } .fault { fill: #b197fc } .back { fill: #5fd38d }
.s0 { stroke: #4a5361 } .s1 { stroke: #5aa9ee } .s2 { stroke: #34d3bd } .s3 { stroke: #ff922b } .s4 { stroke: #e58bf0 }
.m0 { stroke: #5fd38d } .m1 { stroke: #4a5361 } .m2, .m3 { stroke: #ff6b6b } .m4 { stroke: #ff922b }
}
`

func (p *picture) axis() {
	steps := []float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400}
	every := steps[len(steps)-1]
	for _, s := range steps {
		if p.length/1000/s <= 14 {
			every = s
			break
		}
	}
	for s := 0.0; s*1000 <= p.length; s += every {
		x := p.x(s * 1000)
		p.add(`<path class="grid" d="M%s %sV%s"/>`, num(x), num(p.top), num(p.bottom+4))
		anchor := "middle"
		switch {
		case x < left+20:
			anchor = "start"
		case x > wide-left-20:
			anchor = "end"
		}
		p.add(`<text class="soft" x="%s" y="%s" text-anchor="%s">%s s</text>`, num(x), num(p.bottom+19), anchor, num(s))
	}
}

func (p *picture) bands() {
	for _, l := range p.lanes {
		for _, s := range l.Spans {
			p.add(`<rect class="band" x="%s" y="%s" width="%s" height="%s"/>`,
				num(p.x(s[0])), num(p.top), num(max(p.x(s[1])-p.x(s[0]), 1.5)), num(p.bottom-p.top))
		}
	}
}

// lines draws every state of all rows as one path, and so small.
func (p *picture) lines() {
	thick := p.step
	if thick >= 3 {
		thick--
	}
	for state := range states {
		for _, touched := range []bool{false, true} {
			var d strings.Builder
			for i, of := range p.rows {
				if of.Touched != touched {
					continue
				}
				for _, s := range of.Segments {
					if int(s[2]) == state {
						stroke(&d, p.x(s[0]), p.y(i)+p.step/2, max(p.x(s[1])-p.x(s[0]), 0.5))
					}
				}
			}
			class := "s" + strconv.Itoa(state)
			if !touched && state <= stateStreaming {
				class += " calm"
			}
			p.path(class, d.String(), thick, state > stateStreaming)
		}
	}
}

func (p *picture) ends() {
	for mark := range marks {
		var d strings.Builder
		length := 1.5
		if mark != markComplete {
			length = 3
		}
		for i, of := range p.rows {
			for _, m := range of.Marks {
				if int(m[1]) == mark {
					stroke(&d, p.x(m[0])-length/2, p.y(i)+p.step/2, length)
				}
			}
		}
		p.path("m"+strconv.Itoa(mark), d.String(), p.step, mark != markComplete)
	}
}

// path draws lines of one class; what must be seen is never thinner than one.
func (p *picture) path(class, d string, thick float64, seen bool) {
	if d == "" {
		return
	}
	if seen {
		thick = max(thick, 1.2)
	}
	p.add(`<path class="%s" stroke-width="%s" d="%s"/>`, class, strconv.FormatFloat(thick, 'f', 2, 64), d)
}

func stroke(d *strings.Builder, x, y, length float64) {
	d.WriteString("M" + num(x) + " " + num(y) + "h" + num(length))
}

func (p *picture) faults() {
	for i, l := range p.lanes {
		y := headRoom + laneRoom*float64(i)
		first, last := wide, 0.0
		for _, s := range l.Spans {
			from, to := p.x(s[0]), max(p.x(s[1]), p.x(s[0])+3)
			first, last = min(first, from), max(last, to)
			p.add(`<rect class="fault" x="%s" y="%s" width="%s" height="%s"/>`, num(from), num(y+5), num(to-from), num(laneRoom-9))
		}
		for _, at := range l.Recoveries {
			x := p.x(at)
			last = max(last, x+4)
			p.add(`<polygon class="back" points="%s,%s %s,%s %s,%s"/>`,
				num(x-4), num(y+laneRoom-4), num(x+4), num(y+laneRoom-4), num(x), num(y+5))
		}
		x, anchor := last+8, "start"
		if room := float64(len([]rune(l.Label)))*letter + 8; first-left > room {
			x, anchor = first-6, "end"
		} else if x+room > wide {
			x, anchor = wide-left, "end"
		}
		p.add(`<text class="lane" x="%s" y="%s" text-anchor="%s">%s</text>`, num(x), num(y+14), anchor, text(l.Label))
	}
}

func (p *picture) headings() {
	if p.touched > 0 {
		p.add(`<text class="soft" x="%s" y="%s">%d clients touched</text>`, num(left), num(p.top+15), p.touched)
	}
	if calm := len(p.rows) - p.touched; calm > 0 {
		p.add(`<text class="soft" x="%s" y="%s">%d untouched, each a line</text>`, num(left), num(p.y(p.touched)-7), calm)
	}
}

func (p *picture) legend() {
	x, y := left, p.bottom+footRoom-18
	for _, key := range []struct{ class, words string }{
		{"s0", "waiting"},
		{"s1", "streaming"},
		{"s2", "resumed"},
		{"s3", "socket lost"},
		{"s4", "silent for too long"},
		{"m0", "complete"},
		{"m2", "told an error"},
	} {
		p.add(`<path class="%s" stroke-width="10" d="M%s %sh14"/>`, key.class, num(x), num(y-4))
		p.add(`<text class="soft" x="%s" y="%s">%s</text>`, num(x+20), num(y), key.words)
		x += 20 + float64(len(key.words))*letter + 22
	}
	for _, key := range []struct{ class, words string }{{"fault", "fault"}, {"back", "answers again"}} {
		p.add(`<rect class="%s" x="%s" y="%s" width="14" height="10"/>`, key.class, num(x), num(y-9))
		p.add(`<text class="soft" x="%s" y="%s">%s</text>`, num(x+20), num(y), key.words)
		x += 20 + float64(len(key.words))*letter + 22
	}
}
