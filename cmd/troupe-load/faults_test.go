package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos"
)

func faultsDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "experiments.md"))
	require.NoError(t, err)
	return string(text)
}

func TestFaultScenariosAreDocumented(t *testing.T) {
	require.Equal(t, chaos.Names(), firstCells(section(t, faultsDoc(t), "Scenarios")))
}

func TestEveryKeyOfFaultsIsDocumented(t *testing.T) {
	doc := section(t, faultsDoc(t), "Every key")
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
			require.Contains(t, doc, name)
			if f := typ.Field(i).Type; f.Kind() == reflect.Slice && f.Elem().Kind() == reflect.Struct {
				walk(f.Elem())
			} else if f.Kind() == reflect.Struct {
				walk(f)
			}
		}
	}
	walk(reflect.TypeFor[chaos.Plan]())
}

func TestFaultsListsAndShows(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"faults", "--list"}, &out, &errs))
	for _, name := range chaos.Names() {
		require.Contains(t, out.String(), name)
	}
	out.Reset()
	require.Zero(t, run(t.Context(), []string{"faults", "--show", "f24"}, &out, &errs))
	require.Contains(t, out.String(), "name: f24-poison")
	require.Empty(t, errs.String())
}

func TestWrongUseOfFaultsEndsWithTwo(t *testing.T) {
	for want, args := range map[string][]string{
		"--scenario is missing":           {"faults"},
		"--list` shows them":              {"faults", "--scenario", "nothing"},
		"either runs already":             {"faults", "--scenario", "f01", "--url", "ws://127.0.0.1:1", "--start", "serve"},
		"all that f05-nats-black-hole":    {"faults", "--scenario", "f05", "--url", "ws://127.0.0.1:1"},
		"f24-poison asks a vendor that":   {"faults", "--scenario", "f24", "--url", "ws://127.0.0.1:1"},
		"--start serve does not fit f01":  {"faults", "--scenario", "f01", "--start", "serve"},
		"no fault scenario is called \"z": {"faults", "--show", "z"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, run(t.Context(), args, &out, &errs), want)
		require.Contains(t, errs.String(), want)
	}
}

func TestReplayIsTheSameCommandWithoutTheToken(t *testing.T) {
	c := &faultsCmd{Scenario: "f01", Seed: 7, Quick: true, Duration: time.Minute, URL: "ws://x", AdminToken: "secret"}
	require.Equal(t, "troupe-load faults --scenario f01 --seed 7 --url ws://x --duration 1m0s --quick", c.replay())
}

func TestPictureOfFaultsFits(t *testing.T) {
	l := chaos.Live{Scenario: "f01-kill-worker", Elapsed: 3 * time.Second, Length: 10 * time.Second, Faults: []string{strings.Repeat("kill worker-1 ", 20)}}
	for _, cols := range []int{20, 79, 200} {
		for _, line := range faultLines(l, cols) {
			require.LessOrEqual(t, utf8.RuneCountInString(line), cols)
		}
	}
	require.Contains(t, faultLines(l, 79)[0], "3s of 10s")
	l.Done = []chaos.LiveFault{{Label: "kill worker-1", Touched: 12, Expected: 40}}
	l.Touched = []chaos.LiveTouch{{Stream: 45, What: chaos.TouchSocket, Fault: "kill worker-1"}, {Stream: 7, What: chaos.TouchError}}
	shown := strings.Join(faultLines(l, 79), "\n")
	require.Contains(t, shown, "  done      kill worker-1 touched 12 of 40\n")
	require.Contains(t, shown, "  last      stream 45 socket by kill worker-1\n  last      stream 7 error by nothing that was done\n")
	var b bytes.Buffer
	redrawLines(&b, []string{"x"}, 3)
	require.Equal(t, "\x1b[3A\rx\x1b[K\r\n\x1b[J", b.String())
}
