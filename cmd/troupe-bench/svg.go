package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// drawing is an SVG under way. It brings its own background and colours for
// light and dark, so that it can be read wherever it is shown.
type drawing struct {
	b             strings.Builder
	width, height float64
}

const drawingStyle = `<style>
.paper { fill: #ffffff } .ink { fill: #1f2328 } .soft { fill: #59636e } .title { fill: #1f2328; font-size: 16px; font-weight: 600 }
.ours { fill: #0b5cad } .floor { fill: #8c959f } .grid { stroke: #d1d9e0 } .goal { stroke: #bc4c00; stroke-width: 2; stroke-dasharray: 5 4 }
.goaltext { fill: #bc4c00 } .line { fill: none; stroke-width: 2.5 }
.s0 { stroke: #0b5cad } .s1 { stroke: #1a7f37 } .s2 { stroke: #59636e } .s3 { stroke: #9a6700 }
.f0 { fill: #0b5cad } .f1 { fill: #1a7f37 } .f2 { fill: #59636e } .f3 { fill: #9a6700 }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117 } .ink { fill: #f0f6fc } .soft { fill: #9198a1 } .title { fill: #f0f6fc }
.ours { fill: #58a6ff } .floor { fill: #6e7681 } .grid { stroke: #30363d } .goal { stroke: #f0883e } .goaltext { fill: #f0883e }
.s0 { stroke: #58a6ff } .s1 { stroke: #56d364 } .s2 { stroke: #9198a1 } .s3 { stroke: #e3b341 }
.f0 { fill: #58a6ff } .f1 { fill: #56d364 } .f2 { fill: #9198a1 } .f3 { fill: #e3b341 }
}
</style>
`

// newDrawing begins one; title names it to readers and to screen readers, and
// says tells the latter what is to be seen.
func newDrawing(width, height float64, title, says string) *drawing {
	d := &drawing{width: width, height: height}
	fmt.Fprintf(&d.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-labelledby="title desc" `+
		`font-family="ui-sans-serif, system-ui, -apple-system, 'Segoe UI', sans-serif" font-size="13">`+"\n", width, height, width, height)
	fmt.Fprintf(&d.b, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n", html.EscapeString(title), html.EscapeString(says))
	d.b.WriteString(drawingStyle)
	d.rect("paper", 0, 0, width, height)
	d.text("title", "start", 16, 28, title)
	return d
}

// text writes s at a point; anchor is start, middle or end.
func (d *drawing) text(class, anchor string, x, y float64, s string) {
	fmt.Fprintf(&d.b, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, anchor, x, y, html.EscapeString(s))
}

func (d *drawing) rect(class string, x, y, w, h float64) {
	fmt.Fprintf(&d.b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`+"\n", class, x, y, max(w, 0), h)
}

func (d *drawing) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&d.b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

// path joins points by lines, with a dot on each. series chooses the colour.
func (d *drawing) path(series int, points []point) {
	fmt.Fprintf(&d.b, `<polyline class="line s%d" points="`, series)
	for _, p := range points {
		fmt.Fprintf(&d.b, "%.1f,%.1f ", p.x, p.y)
	}
	d.b.WriteString("\"/>\n")
	for _, p := range points {
		fmt.Fprintf(&d.b, `<circle class="f%d" cx="%.1f" cy="%.1f" r="3.5"/>`+"\n", series, p.x, p.y)
	}
}

// String ends the drawing.
func (d *drawing) String() string { return d.b.String() + "</svg>\n" }

type point struct{ x, y float64 }

// ticks are about five round numbers from 0 to at least most.
func ticks(most float64) []float64 {
	if most <= 0 {
		return []float64{0, 1}
	}
	unit := math.Pow(10, math.Floor(math.Log10(most/5)))
	for _, times := range []float64{1, 2, 5, 10} {
		if unit*times*5 >= most {
			unit *= times
			break
		}
	}
	out := []float64{0}
	for i := 1; out[len(out)-1] < most; i++ {
		out = append(out, unit*float64(i))
	}
	return out
}
