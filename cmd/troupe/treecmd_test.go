package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// sampleTree is a serve process with a roster that hangs.
func sampleTree() treeAnswer {
	ms := func(n int) protocol.Duration { return protocol.Duration(time.Duration(n) * time.Millisecond) }
	turns := 2
	roster := protocol.ActorNode{Actor: "gateway-AAAAAAAAAAAA/roster", Kind: "roster", Actors: 1, Started: 1, Restarts: 2, Panics: 2, Waiting: 17, Oldest: ms(1480), Busy: ms(1490)}
	return treeAnswer{base: "http://127.0.0.1:8000", Actors: protocol.Actors{
		Role: "serve", At: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC),
		Kinds: []protocol.ActorKind{{Kind: "gateway", Actors: 1}, {Kind: "connection", Actors: 812}},
		Tree: []protocol.ActorNode{
			{Actor: "gateway-AAAAAAAAAAAA", Kind: "gateway", Actors: 1, Started: 1, Children: []protocol.ActorNode{
				{Actor: "gateway-AAAAAAAAAAAA/limiter", Kind: "limiter", Actors: 1, Started: 1, Waiting: 3, Oldest: ms(20)},
				roster,
				{Actor: "gateway-AAAAAAAAAAAA/connections", Kind: "connections", Actors: 1, Started: 1, Children: []protocol.ActorNode{
					{Kind: "connection", Actors: 812, Started: 930, Panics: 3},
				}},
			}},
			{Actor: "worker-BBBBBBBBBBBB", Kind: "worker", Actors: 1, Started: 1, Children: []protocol.ActorNode{
				{Actor: "worker-BBBBBBBBBBBB/provider-echo", Kind: "provider", Actors: 1, Started: 1, Children: []protocol.ActorNode{
					{Kind: "run", Actors: 50, Started: 4711, Waiting: 9, Oldest: ms(30)},
				}},
			}},
		},
		Largest: []protocol.Actor{
			{Actor: "gateway-AAAAAAAAAAAA/roster", Kind: "roster", State: "busy", Waiting: 17, Oldest: ms(1480), Busy: ms(1490)},
			{Actor: "gateway-AAAAAAAAAAAA/connections/c17", Kind: "connection", State: "busy", Waiting: 2, Oldest: ms(10), Connection: "C0FFEE", Client: "websocket", Turns: &turns},
			{Actor: "\x1b[31mevil\nline", Kind: "run", State: "due", Waiting: 1},
		},
		Oldest: []protocol.Actor{
			{Actor: "worker-BBBBBBBBBBBB/provider-echo/R1", Kind: "run", State: "due", Waiting: 1, Oldest: ms(240_000)},
			{Actor: "gateway-AAAAAAAAAAAA/roster", Kind: "roster", State: "busy", Waiting: 17, Oldest: ms(1480), Busy: ms(1490)},
		},
	}}
}

// aSecondBefore is the same process a second earlier: thirty fewer connections
// were started, and a panic had not happened.
func aSecondBefore() treeAnswer {
	a := sampleTree()
	a.At = a.At.Add(-time.Second)
	a.Tree[0].Children[2].Children[0].Started -= 30
	a.Tree[0].Children[2].Children[0].Panics--
	a.Tree[1].Children[0].Children[0].Started += 9000 // as of another worker: no rate
	return a
}

func TestTreeDrawing(t *testing.T) {
	turns := 0
	alone := treeAnswer{base: "http://w:9000", Actors: protocol.Actors{Role: "worker", At: time.Unix(0, 0), Actor: &protocol.ActorAlone{
		Actor:  protocol.Actor{Actor: "gateway-X/connections/c1", Kind: "connection", State: "suspended", Waiting: 4, Oldest: protocol.Duration(61 * time.Second), Client: "http", Turns: &turns},
		Parent: "gateway-X/connections",
	}}}
	count := 812
	list := treeAnswer{base: "http://w:9000", Actors: protocol.Actors{Role: "gateway", At: time.Unix(0, 0), Kind: "connection", Count: &count, List: sampleTree().Largest[1:2]}}
	away := treeAnswer{base: "http://w:9001", err: &trouble{What: "nothing listens on w:9001", Remedy: "start it"}}
	for name, tt := range map[string]struct {
		answers, before []treeAnswer
		columns         int
		colour          bool
	}{
		"once":   {[]treeAnswer{sampleTree()}, nil, 0, false},
		"live":   {[]treeAnswer{sampleTree(), away}, []treeAnswer{aSecondBefore()}, 120, true},
		"eighty": {[]treeAnswer{sampleTree()}, []treeAnswer{aSecondBefore()}, 80, false},
		"narrow": {[]treeAnswer{sampleTree()}, []treeAnswer{aSecondBefore()}, 30, false},
		"alone":  {[]treeAnswer{alone}, nil, 80, false},
		"list":   {[]treeAnswer{list}, nil, 80, false},
	} {
		lines := drawTree(tt.answers, tt.before, tt.columns, tt.colour)
		got := strings.ReplaceAll(strings.Join(lines, "\n"), "\x1b", "ESC") + "\n"
		if !tt.colour {
			for _, line := range lines {
				require.True(t, tt.columns == 0 || width(line) <= tt.columns, "%s: %q", name, line)
				require.NotContains(t, line, "\x1b", name)
			}
		}
		golden := filepath.Join("testdata", "tree", name+".txt")
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), got, name)
	}
	require.Empty(t, drawTree(nil, nil, 80, true))
	require.Equal(t, []string{"", "1ms", "999ms", "1.0s", "59.9s", "1m0s", "2h0m0s"}, []string{
		strings.Trim(age(0), "-"), age(protocol.Duration(time.Millisecond)), age(protocol.Duration(999 * time.Millisecond)), age(protocol.Duration(time.Second)),
		age(protocol.Duration(59900 * time.Millisecond)), age(protocol.Duration(time.Minute)), age(protocol.Duration(2 * time.Hour)),
	})
}
