package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watch shows the first seconds of a run on a terminal, four times each.
func watch(t *testing.T, m *terminal, r *Result, seconds int) *Picture {
	t.Helper()
	p := NewPicture(m, m.size, false)
	for s := 1; s <= seconds; s++ {
		for range 4 {
			p.Update(lived(r, s))
		}
	}
	return p
}

func usual(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
}

func TestPictureOnTerminals(t *testing.T) {
	usual(t)
	for _, size := range [][2]int{{80, 24}, {40, 24}, {80, 12}, {120, 40}} {
		name := fmt.Sprintf("picture_%dx%d.txt", size[0], size[1])
		t.Run(name, func(t *testing.T) {
			m := newTerminal(t, size[0], size[1])
			watch(t, m, sample(1, 1), 41).Close()
			golden(t, name, m.String())
		})
	}
}

func TestPictureIsOneWriteARedraw(t *testing.T) {
	usual(t)
	m := newTerminal(t, 80, 24)
	watch(t, m, sample(1, 1), 5)
	require.Equal(t, 20, m.writes)
}

func TestPictureGivesTheCursorBack(t *testing.T) {
	usual(t)
	m := newTerminal(t, 80, 24)
	p := watch(t, m, sample(1, 1), 2)
	require.True(t, m.hidden)
	p.Close()
	require.False(t, m.hidden)
	require.Zero(t, m.x)
	require.Empty(t, m.screen[m.y], "the cursor stands below the picture")
	writes := m.writes
	p.Close()
	p.Update(lived(sample(1, 1), 3))
	require.Equal(t, writes, m.writes, "nothing is shown after Close")
}

func TestPictureThatNeverBeganWritesNothing(t *testing.T) {
	m := newTerminal(t, 80, 24)
	NewPicture(m, m.size, false).Close()
	require.Zero(t, m.writes)
}

func TestPictureFitsEveryTerminal(t *testing.T) {
	usual(t)
	hostile := lived(soiled(), 7)
	for cols := 1; cols < 200; cols += 3 {
		for rows := 1; rows < 40; rows += 2 {
			m := newTerminal(t, cols, rows)
			p := NewPicture(m, m.size, false)
			p.Update(hostile)
			require.Less(t, len(p.drawn), max(rows, 2), "%d×%d", cols, rows)
			require.LessOrEqual(t, slices.Max(p.drawn), max(cols-1, 1), "%d×%d", cols, rows)
		}
	}
}

func TestPictureLeavesNothingBehind(t *testing.T) {
	usual(t)
	r := sample(1, 1)
	m := newTerminal(t, 100, 50)
	p := watch(t, m, r, 30)
	m.resize(60)
	less := lived(r, 31)
	less.Errors, less.Latencies = nil, nil
	p.Update(less)
	fresh := newTerminal(t, 60, 50)
	q := NewPicture(fresh, fresh.size, false)
	for s := 1; s <= 30; s++ {
		q.history.add(r.Series[s-1])
	}
	q.Update(less)
	require.Equal(t, fresh.String(), m.String())
}

func TestPictureColours(t *testing.T) {
	usual(t)
	m := newTerminal(t, 80, 24)
	watch(t, m, sample(1, 1), 1)
	require.True(t, m.coloured)
	t.Setenv("NO_COLOR", "1")
	m = newTerminal(t, 80, 24)
	watch(t, m, sample(1, 1), 1)
	require.False(t, m.coloured)
}

func TestPictureSaysWhenTheToolIsTheBottleneck(t *testing.T) {
	usual(t)
	m := newTerminal(t, 80, 24)
	l := lived(sample(1, 1), 9)
	l.LoadBusy, l.Totals.Late = 0.93, 12
	NewPicture(m, m.size, false).Update(l)
	require.Contains(t, m.String(), "93 % busy, 12 questions late: it may be the bottleneck")
}

func TestHostileTextReachesNoTerminal(t *testing.T) {
	usual(t)
	m := newTerminal(t, 80, 24) // fails at a sequence that is not ours
	watch(t, m, soiled(), 3)
	require.Contains(t, m.String(), "</script>")
	require.NotContains(t, m.String(), "\u202e")
}

func TestPlainLines(t *testing.T) {
	for _, dumb := range []bool{false, true} {
		t.Setenv("TERM", "xterm")
		if dumb {
			t.Setenv("TERM", "dumb")
		}
		var out strings.Builder
		p := NewPicture(&out, nil, !dumb)
		r := sample(1, 1)
		for s := 1; s <= 23; s++ {
			l := lived(r, s)
			if s < 8 {
				l.Phase = "warm-up"
			}
			for i := range 4 {
				l.Elapsed = time.Duration(s)*time.Second + time.Duration(i)*250*time.Millisecond
				p.Update(l)
			}
		}
		p.Close()
		golden(t, "plain.txt", out.String())
	}
}
