package page

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos"
)

func pageOf(t *testing.T, r *chaos.Result) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.html")
	require.NoError(t, Write(path, r))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func TestPageStandsAlone(t *testing.T) {
	for _, r := range []*chaos.Result{sample(30), soiled(), {}} {
		page := pageOf(t, r)
		require.NotRegexp(t, `\b(src|href|srcset|poster)="`, strings.ReplaceAll(page, `\u003c`, ""))
		require.NotContains(t, page, "{{policy}}")
		require.Contains(t, page, "default-src 'none'")
		for _, name := range []string{"drawing.js", "timeline.js", "tables.js", "page.js"} {
			script, err := parts.ReadFile(name)
			require.NoError(t, err)
			require.Contains(t, page, string(script))
			require.NotRegexp(t, `\bfetch\(|XMLHttpRequest|WebSocket|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|setAttribute\("style"`, string(script))
		}
		require.NotRegexp(t, `url\(|@import`, page[:strings.Index(page, "</style>")])
	}
}

func TestPageHoldsTheWholeResult(t *testing.T) {
	r := sample(20)
	page := pageOf(t, r)
	data := regexp.MustCompile(`(?s)id="result">(.*?)</script>`).FindStringSubmatch(page)
	require.NotNil(t, data)
	var back carried
	require.NoError(t, json.Unmarshal([]byte(data[1]), &back))
	require.Equal(t, r, back.Result)
	require.Len(t, back.Rows, 20)
}

func TestHostileTextStaysText(t *testing.T) {
	page := pageOf(t, soiled())
	require.NotContains(t, page, "<img")
	require.Equal(t, 2, strings.Count(page, "</script"))
	picture := string(Picture(soiled()))
	require.NotContains(t, picture, "<img")
	require.NotContains(t, picture, "\x1b")
	require.NotContains(t, picture, "<script")
}

func TestPictureIsSmallAndWhole(t *testing.T) {
	for _, r := range []*chaos.Result{sample(1000), sample(1), soiled(), {}} {
		picture := Picture(r)
		require.Less(t, len(picture), 300<<10)
		require.NotRegexp(t, `href|url\(|@import`, string(picture))
		require.NotContains(t, string(picture), "NaN")
		d := xml.NewDecoder(strings.NewReader(string(picture)))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else {
				require.NoError(t, err)
			}
		}
	}
	picture := string(Picture(sample(1000)))
	for _, words := range []string{">limiter hangs<", ">kill worker-1<", ">panic of a connection (13×)<", " clients touched<", " untouched, each a line<"} {
		require.Contains(t, picture, words)
	}
}

// TestRowsTellWhatAClientLivedThrough: one row for each client, in the pieces
// that it saw.
func TestRowsTellWhatAClientLivedThrough(t *testing.T) {
	r := &chaos.Result{Length: 10_000, Streams: []chaos.StreamResult{
		{N: 1, Client: 1, Asked: 0, First: at(200), End: at(4000), Outcome: chaos.OutcomeComplete},
		{
			N: 2, Client: 2, Asked: 100, First: at(300), End: at(6000), Outcome: chaos.OutcomeComplete, Touched: true, Expected: true,
			Touches: []chaos.TouchResult{{At: 2000, Kind: chaos.TouchSocket, Fault: "f1"}}, Losses: []chaos.LossResult{{At: 2000, Back: at(2500)}},
		},
		{N: 3, Client: 1, Asked: 4100, Outcome: chaos.OutcomeUnfinished},
		{
			N: 4, Client: 3, Asked: 0, First: at(100), End: at(900), Outcome: chaos.OutcomeError, Code: "INTERNAL", Touched: true,
			Touches: []chaos.TouchResult{{At: 50, Kind: chaos.TouchNewRun}, {At: 900, Kind: chaos.TouchError}}, Gaps: []chaos.GapResult{{From: 200, To: 1200}},
		},
		{N: 5, Client: 4, Asked: 0, End: at(10), Outcome: chaos.OutcomeRefused},
		{N: 6, Client: 5, Asked: 0, First: at(10), End: at(10), Outcome: chaos.OutcomeLost, Losses: []chaos.LossResult{{At: 9000}}},
	}}
	got := rows(r)
	require.Len(t, got, 5)
	require.Equal(t, []int{3, 2}, []int{got[0].Client, got[1].Client}, "the touched ones first, by when")
	require.True(t, got[0].Beyond)
	require.False(t, got[1].Beyond)
	require.Equal(t, [][3]float64{{0, 100, stateWaiting}, {100, 900, stateStreaming}, {200, 900, stateSilent}}, got[0].Segments)
	require.Equal(t, [][2]float64{{50, markNewRun}, {900, markError}}, got[0].Marks)
	require.Equal(t, [][3]float64{{100, 300, stateWaiting}, {300, 2000, stateStreaming}, {2000, 2500, stateAway}, {2500, 6000, stateResumed}}, got[1].Segments)
	require.Equal(t, []int{1, 3}, got[2].Streams)
	require.Equal(t, [][3]float64{{0, 200, stateWaiting}, {200, 4000, stateStreaming}, {4100, 10_000, stateWaiting}}, got[2].Segments)
	require.Equal(t, [][2]float64{{10, markError}}, got[3].Marks)
	require.Equal(t, [][2]float64{{10, markLost}}, got[4].Marks)
}

func TestLanesOfManyFaults(t *testing.T) {
	r := &chaos.Result{}
	for i := range 40 {
		r.Faults = append(r.Faults, chaos.FaultResult{Label: string(rune('a' + i%20)), From: float64(i), To: float64(i) - 1})
	}
	got := lanes(r)
	require.Len(t, got, mostLanes)
	require.Equal(t, "a (2×)", got[0].Label)
	require.Equal(t, "others (18×)", got[mostLanes-1].Label)
	require.Equal(t, [][2]float64{{0, 0}, {20, 20}}, got[0].Spans, "no fault ends before it begins")
}
