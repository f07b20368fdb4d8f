package main

import "fmt"

// picture is one file beside the page.
type picture struct {
	file, title, svg string
}

// pictures draws what the table has readings for.
func (t *table) pictures(p plan) []picture {
	var out []picture
	bars := func(file, title string, show func(float64) string, keys ...key) {
		var all []bar
		for _, k := range keys {
			if b, ok := t.bar(k); ok {
				all = append(all, b)
			}
		}
		if len(all) > 0 {
			out = append(out, picture{file, title, barChart(title, show, all)})
		}
	}
	bars("bench-chunk.svg", "CPU per chunk: less is better", us, serveEcho, serveOpenAI, gatewayChunk)
	bars("bench-firehose.svg", "Texts per second of CPU: more is better", perSecond, gatewayFire, serveFire)
	bars("bench-first.svg", "From the question to the first chunk: less is better", us, gatewayFirst50, gatewayFirst99)
	bars("bench-delay.svg", "Delay of a chunk: less is better", us, gatewayFew50, gatewayFew99, gatewayMany50, gatewayMany99)
	bars("bench-connect.svg", "Handshakes per second of CPU: more is better", perSecond, serveConnectsCPU)
	if pic, ok := t.idlePicture(p); ok {
		out = append(out, pic)
	}
	if pic, ok := t.growthPicture(p); ok {
		out = append(out, pic)
	}
	return out
}

// bar is the row of this reading as a bar. Of several goals it shows the one
// that asks for most.
func (t *table) bar(k key) (bar, bool) {
	for _, r := range t.rows {
		ours := t.of(r.ours)
		if r.ours != k || len(ours) == 0 {
			continue
		}
		b := bar{name: r.name, floorName: r.what, ours: median(ours), floor: median(t.of(r.floor...))}
		for _, g := range r.goals {
			v := max(g.times*b.floor, g.atLeast*b.floor, g.most, g.least)
			strict := b.goal == 0 || v > b.goal == (g.atLeast > 0 || g.least > 0)
			if v > 0 && strict {
				b.goal, b.goalSays = v, g.says(r)+", "+met(t.met(r, g))
			}
		}
		return b, true
	}
	return bar{}, false
}

// idlePicture is memory over connections, with the goal's slope from our first
// point on.
func (t *table) idlePicture(p plan) (picture, bool) {
	const file, title = "bench-idle.svg", "Memory over idle connections, each after one answer"
	const unit = 1 << 20
	goal := series{name: "goal: 2.5 KiB each", dashed: true}
	at := p.idlePoints()
	var lines []series
	for _, l := range []struct {
		name string
		keys [3]key
	}{
		{"troupe, private", troupeIdle().private},
		{"troupe, live", troupeIdle().live},
		{"parked goroutines, private", parkedIdle().private},
		{"parked goroutines, live", parkedIdle().live},
	} {
		s := series{name: l.name}
		for i, k := range l.keys {
			values := t.of(k)
			if len(values) == 0 {
				return picture{}, false
			}
			s.points = append(s.points, point{float64(at[i]), median(values) / unit})
		}
		lines = append(lines, s)
	}
	from := lines[0].points[0]
	to := float64(p.idleMany)
	goal.points = []point{from, {to, from.y + 2.5*1024*(to-from.x)/unit}}
	show := func(v float64) string { return fmt.Sprintf("%.0f MiB", v) }
	return picture{file, title, lineChart(title, "idle connections", show, append(lines, goal))}, true
}

// growthPicture is the cost of a chunk over idle connections.
func (t *table) growthPicture(p plan) (picture, bool) {
	const file, title = "bench-growth.svg", "CPU per chunk beside idle connections"
	ours, goal := series{name: "troupe serve"}, series{name: "goal: 1.1 × none", dashed: true}
	for i, k := range growthKeys() {
		values := t.of(k)
		if len(values) == 0 {
			return picture{}, false
		}
		x := float64(p.growth[i])
		ours.points = append(ours.points, point{x, median(values)})
		goal.points = append(goal.points, point{x, 1.1 * ours.points[0].y})
	}
	return picture{file, title, lineChart(title, "idle connections", us, []series{ours, goal})}, true
}
