package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fullTable has readings for every row.
func fullTable(p plan) *table {
	t := newTable(p)
	for round := range 3 {
		r := readings{}
		for k := range growthMany + 1 {
			r[k] = float64(1000 + 10*int(k) + round)
		}
		t.add(round, r)
	}
	return t
}

// TestPage: it has every row, a command for every suite, and its pictures are
// there and whole.
func TestPage(t *testing.T) {
	p := fullPlan()
	dir := t.TempDir()
	r := report{table: fullTable(p), options: options{plan: p}, took: time.Minute, machine: thisMachine(t.Context(), "loop")}
	require.NoError(t, r.writePage(filepath.Join(dir, "benchmarks.md")))
	b, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	require.NoError(t, err)
	page := string(b)
	for _, row := range rows(p) {
		require.Contains(t, page, "| "+row.name+" | ")
	}
	for _, s := range suites() {
		require.Contains(t, page, "-only \""+s.name+"\"`")
	}
	require.Contains(t, page, "| `websocket.reader` | loop |")
	pictures := r.table.pictures(p)
	require.Len(t, pictures, 7)
	for _, pic := range pictures {
		require.Contains(t, page, "](img/"+pic.file+")")
		svg, err := os.ReadFile(filepath.Join(dir, "img", pic.file))
		require.NoError(t, err)
		requireXML(t, string(svg))
	}
	require.Error(t, r.writePage(filepath.Join(dir, "benchmarks.md", "no")))
}

func requireXML(t *testing.T, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err, text)
	}
}

// TestPicturesOfLittle: what was not measured is not drawn.
func TestPicturesOfLittle(t *testing.T) {
	p := fullPlan()
	tb := newTable(p)
	require.Empty(t, tb.pictures(p))
	tb.add(0, readings{serveFire: 1, growthNone: 2, idlePrivate1: 3})
	pictures := tb.pictures(p)
	require.Len(t, pictures, 1)
	require.Equal(t, "bench-firehose.svg", pictures[0].file)
}

// TestBar: of several goals the one that asks for most is drawn.
func TestBar(t *testing.T) {
	for name, tt := range map[string]struct {
		floor, goal float64
		says        string
	}{
		"the floor's": {300_000, 450_000, "≥ 1.5 ×, missed"},
		"its own":     {200_000, 400_000, "≥ 400,000 /s, missed"},
	} {
		t.Run(name, func(t *testing.T) {
			tb := newTable(fullPlan())
			tb.add(0, readings{gatewayFire: 1, relayFire: tt.floor})
			b, ok := tb.bar(gatewayFire)
			require.True(t, ok)
			require.InDelta(t, tt.goal, b.goal, 1)
			require.Equal(t, tt.says, b.goalSays)
		})
	}
}

func TestChartsEscape(t *testing.T) {
	svg := barChart(`<&">`, plain, []bar{{name: "<b>&", ours: 1}})
	requireXML(t, svg)
	require.NotContains(t, svg, "<b>")
	requireXML(t, lineChart("a & b", "<x>", plain, []series{{name: "<l>", points: []point{{0, 0}}}}))
}

func TestTicks(t *testing.T) {
	require.Equal(t, []float64{0, 10, 20, 30, 40, 50}, ticks(47))
	require.Equal(t, []float64{0, 0.2, 0.4}, ticks(0.9)[:3])
	require.Equal(t, []float64{0, 1}, ticks(0))
	for _, most := range []float64{0.003, 1, 7, 99, 1e6} {
		got := ticks(most)
		require.GreaterOrEqual(t, got[len(got)-1], most)
		require.Less(t, len(got), 8)
	}
}

func TestLabelsDoNotCover(t *testing.T) {
	require.Equal(t, 106.0, labelAt(100, 0))
	require.Equal(t, 106.0, labelAt(100, 300))
	require.Equal(t, 126.0, labelAt(100, 120))
	require.Equal(t, 100.0, freeAt(nil, 100))
	require.NotEqual(t, 100.0, freeAt([]float64{98}, 100))
}
