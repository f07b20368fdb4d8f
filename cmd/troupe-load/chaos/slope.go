package chaos

import (
	"fmt"
	"time"
)

// slopesFrom is the shortest run whose growth says something.
const slopesFrom = time.Minute

// judgedFrom is the shortest time over which growth is held against a bound:
// before, caches and ended runs that are kept still fill.
const judgedFrom = 5 * time.Minute

// settledAfter is how long a process that was started again is left out, likewise.
const settledAfter = 3 * time.Minute

// judgeSlopes fits a line through the second half of the run for each figure of
// each process that lived through all of it.
func (v *verdict) judgeSlopes(r *Result) {
	r.Slopes = []SlopeResult{}
	if v.Ended.Sub(v.Began) < slopesFrom {
		return
	}
	half := v.Began.Add(v.Ended.Sub(v.Began) / 2)
	lines := map[string]*trend{}
	lives := map[string]int{}
	born := map[string]map[int]time.Time{}
	for _, s := range v.Sizes {
		if born[s.Process] == nil {
			born[s.Process] = map[int]time.Time{s.Life: v.Began.Add(-settledAfter)} // the first life counts from the start
		}
		if _, known := born[s.Process][s.Life]; !known {
			born[s.Process][s.Life] = s.At
		}
		if s.At.Before(half) || s.At.Sub(born[s.Process][s.Life]) < settledAfter {
			continue
		}
		for _, f := range []struct {
			name  string
			value float64
		}{{"resident MiB", s.Resident / (1 << 20)}, {"goroutines", float64(s.Goroutines)}, {"descriptors", float64(s.Descriptors)}} {
			key := s.Process + "\x00" + f.name
			if lives[key] != s.Life || lines[key] == nil {
				lines[key], lives[key] = &trend{process: s.Process, figure: f.name}, s.Life // a new life begins anew
			}
			lines[key].add(s.At.Sub(half).Hours(), f.value)
		}
	}
	for _, key := range sortedKeys(lines) {
		r.Slopes = append(r.Slopes, v.slope(r, lines[key]))
	}
}

func (v *verdict) slope(r *Result, l *trend) SlopeResult {
	bound := map[string]float64{"resident MiB": v.Plan.Expect.Slope.Resident, "goroutines": v.Plan.Expect.Slope.Goroutines}[l.figure]
	out := SlopeResult{Member: l.process, Figure: l.figure, PerHour: l.slope(), Mean: l.mean(), Bound: bound, Samples: int(l.n), OK: true}
	if bound > 0 && l.last-l.first >= judgedFrom.Hours() {
		out.OK = out.PerHour <= bound
		v.bound(r, BoundResult{
			Name: l.process + " " + l.figure + " an hour", Want: fmt.Sprintf("≤ %+.0f", bound), Got: fmt.Sprintf("%+.1f", out.PerHour), OK: out.OK, Visible: true,
		})
	}
	return out
}

// trend fits a straight line by least squares.
type trend struct {
	process, figure string
	n, x, y, xx, xy float64
	first, last     float64
}

func (l *trend) add(x, y float64) {
	if l.n == 0 {
		l.first = x
	}
	l.last = x
	l.n, l.x, l.y, l.xx, l.xy = l.n+1, l.x+x, l.y+y, l.xx+x*x, l.xy+x*y
}

// slope is the growth of y per x; 0 where all x are the same.
func (l *trend) slope() float64 {
	d := l.n*l.xx - l.x*l.x
	if d <= 0 {
		return 0
	}
	return (l.n*l.xy - l.x*l.y) / d
}

func (l *trend) mean() float64 { return l.y / max(1, l.n) }
