package report

import (
	"math"
	"strings"
)

// minute is how many points a sparkline looks back on.
const minute = 60

// history holds the last minute's points, oldest first.
type history struct {
	points []Point
}

// add takes a point that is newer than the last, and leaves out all others.
func (h *history) add(p Point) {
	if n := len(h.points); n > 0 && p.At <= h.points[n-1].At {
		return
	}
	if len(h.points) == minute {
		copy(h.points, h.points[1:])
		h.points = h.points[:minute-1]
	}
	h.points = append(h.points, p)
}

// spark draws a value over the last minute in at most width columns, and tells
// its peak. Where there is less room than seconds several share a column; which
// ones depends on their time alone, so columns move but do not flicker.
func (h *history) spark(value func(Point) float64, width int) (line string, peak float64) {
	each := float64((minute + width - 1) / width)
	var bars []float64
	slot, n := math.Inf(-1), 0.0
	for _, p := range h.points {
		v := value(p)
		if math.IsNaN(v) || v < 0 {
			v = 0
		}
		peak = max(peak, v)
		if s := math.Floor(p.At / each); s != slot {
			bars, slot, n = append(bars, 0), s, 0
		}
		n++
		bars[len(bars)-1] += (v - bars[len(bars)-1]) / n // the mean so far
	}
	return blocks(bars[max(len(bars)-width, 0):], peak), peak
}

// blocks draws bars from nothing to peak, one column each.
func blocks(bars []float64, peak float64) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range bars {
		i := 0
		if peak > 0 && !math.IsInf(peak, 0) {
			i = int(math.Round(v / peak * float64(len(levels)-1)))
			if v > 0 && v < peak {
				i = max(i, 1) // little is not nothing
			}
		}
		b.WriteRune(levels[min(i, len(levels)-1)])
	}
	return b.String()
}
