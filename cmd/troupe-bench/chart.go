package main

import "fmt"

// bar is one figure of a bar chart: ours, the floor and the goal, in one unit.
type bar struct {
	name, floorName string
	ours, floor     float64 // floor 0 = there is none
	goal            float64 // 0 = there is none
	goalSays        string
}

// barChart draws ours above the floor for each figure, all on one scale, and a
// line where the goal is.
func barChart(title string, show func(float64) string, bars []bar) string {
	const width, left, right, group, thick = 820.0, 16.0, 130.0, 78.0, 18.0
	most := 0.0
	says := ""
	for _, b := range bars {
		most = max(most, b.ours, b.floor, b.goal)
		says += fmt.Sprintf("%s: %s. ", b.name, show(b.ours))
	}
	height := 56 + group*float64(len(bars))
	d := newDrawing(width, height, title, says)
	scale := (width - left - right) / max(most, 1e-9)
	for i, b := range bars {
		top := 48 + group*float64(i)
		d.text("ink", "start", left, top+12, b.name)
		d.rect("ours", left, top+18, b.ours*scale, thick)
		d.text("ink", "start", labelAt(left+b.ours*scale, left+b.goal*scale), top+32, show(b.ours))
		if b.floor > 0 {
			d.rect("floor", left, top+18+thick+2, b.floor*scale, thick)
			d.text("soft", "start", left+b.floor*scale+6, top+34+thick, show(b.floor)+" "+b.floorName)
		}
		if b.goal > 0 {
			d.line("goal", left+b.goal*scale, top+15, left+b.goal*scale, top+18+thick)
			d.text("goaltext", "end", width-16, top+12, "goal "+b.goalSays)
		}
	}
	return d.String()
}

// labelAt is where the label of a bar begins: behind its end, and behind the
// goal's line where that would cross the label.
func labelAt(end, goal float64) float64 {
	const gap, label = 6, 80
	if goal > end && goal < end+label {
		return goal + gap
	}
	return end + gap
}

// series is one line of a line chart.
type series struct {
	name   string
	points []point
	dashed bool // a goal, not a measurement
}

// lineChart draws lines over numbers of connections, from zero on both sides.
func lineChart(title, xName string, show func(float64) string, lines []series) string {
	const width, height, left, right, top, bottom = 820.0, 420.0, 96.0, 250.0, 56.0, 56.0
	mostX, mostY := 0.0, 0.0
	says := ""
	for _, s := range lines {
		for _, p := range s.points {
			mostX, mostY = max(mostX, p.x), max(mostY, p.y)
		}
		last := s.points[len(s.points)-1]
		says += fmt.Sprintf("%s: %s at %s. ", s.name, show(last.y), thousands(int(last.x)))
	}
	d := newDrawing(width, height, title, says)
	marks := ticks(mostY)
	highest := marks[len(marks)-1]
	at := func(p point) point {
		return point{left + p.x/max(mostX, 1)*(width-left-right), height - bottom - p.y/highest*(height-top-bottom)}
	}
	for _, y := range marks {
		p := at(point{0, y})
		d.line("grid", left, p.y, width-right, p.y)
		d.text("soft", "end", left-8, p.y+4, show(y))
	}
	for _, p := range lines[0].points {
		d.text("soft", "middle", at(p).x, height-bottom+20, thousands(int(p.x)))
	}
	d.text("soft", "middle", (left+width-right)/2, height-bottom+42, xName)
	var used []float64
	for i, s := range lines {
		var points []point
		for _, p := range s.points {
			points = append(points, at(p))
		}
		last := points[len(points)-1]
		y := freeAt(used, last.y+4)
		used = append(used, y)
		if s.dashed {
			for j := 1; j < len(points); j++ {
				d.line("goal", points[j-1].x, points[j-1].y, points[j].x, points[j].y)
			}
			d.text("goaltext", "start", last.x+10, y, s.name)
			continue
		}
		d.path(i, points)
		d.text(fmt.Sprintf("f%d", i), "start", last.x+10, y, s.name+" "+show(s.points[len(s.points)-1].y))
	}
	return d.String()
}

// freeAt is the nearest height to y, upwards first, at which a label covers none
// of those used.
func freeAt(used []float64, y float64) float64 {
	const line = 16
	free := func(y float64) bool {
		for _, u := range used {
			if u-y < line && y-u < line {
				return false
			}
		}
		return true
	}
	for off := 0.0; ; off += 4 {
		if free(y - off) {
			return y - off
		}
		if free(y + off) {
			return y + off
		}
	}
}
