package transport

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-chat/troupe/transport/protocol"
)

func chunkFrame(id string, seq uint64, text string) *protocol.Frame {
	return &protocol.Frame{Type: protocol.TypeChunk, Named: id != "", ID: id, Seq: seq, Text: []byte(text)}
}

// payloads reads server frames back.
func payloads(t require.TestingT, b []byte) (all []string) {
	for r := bytes.NewReader(b); r.Len() > 0; {
		all = append(all, string(readFrame(t, r).Payload))
	}
	return all
}

func TestOutboxJoinsChunksOfOneTurn(t *testing.T) {
	status := &protocol.Frame{Type: protocol.TypeStatus, Named: true, ID: "a", State: protocol.StateStreaming}
	for _, tc := range []struct {
		name string
		in   []*protocol.Frame
		want []string
	}{
		{"one", []*protocol.Frame{chunkFrame("a", 1, "x")}, []string{`{"type":"chunk","id":"a","seq":1,"content":"x"}`}},
		{
			"consecutive",
			[]*protocol.Frame{chunkFrame("a", 1, "x"), chunkFrame("a", 2, "y"), chunkFrame("a", 3, "z")},
			[]string{`{"type":"chunk","id":"a","seq":3,"from":1,"content":"xyz"}`},
		},
		{
			"joined before",
			[]*protocol.Frame{chunkFrame("a", 1, "x"), {Type: protocol.TypeChunk, Named: true, ID: "a", From: 2, Seq: 4, Text: []byte("y")}},
			[]string{`{"type":"chunk","id":"a","seq":4,"from":1,"content":"xy"}`},
		},
		{
			"a gap",
			[]*protocol.Frame{chunkFrame("a", 1, "x"), chunkFrame("a", 3, "z")},
			[]string{`{"type":"chunk","id":"a","seq":1,"content":"x"}`, `{"type":"chunk","id":"a","seq":3,"content":"z"}`},
		},
		{
			"two turns",
			[]*protocol.Frame{chunkFrame("a", 1, "x"), chunkFrame("b", 2, "y")},
			[]string{`{"type":"chunk","id":"a","seq":1,"content":"x"}`, `{"type":"chunk","id":"b","seq":2,"content":"y"}`},
		},
		{
			"another frame between",
			[]*protocol.Frame{chunkFrame("a", 1, "x"), status, chunkFrame("a", 2, "y")},
			[]string{
				`{"type":"chunk","id":"a","seq":1,"content":"x"}`, `{"type":"status","id":"a","state":"streaming"}`,
				`{"type":"chunk","id":"a","seq":2,"content":"y"}`,
			},
		},
		{
			"unnamed",
			[]*protocol.Frame{chunkFrame("", 0, "x"), chunkFrame("", 0, "y")},
			[]string{`{"type":"chunk","content":"xy"}`},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := outbox{bound: 1 << 20}
			for _, f := range tc.in {
				require.True(t, o.add(f, true))
			}
			got := payloads(t, o.take(0))
			require.Len(t, got, len(tc.want))
			for i := range got {
				require.JSONEq(t, tc.want[i], got[i])
			}
		})
	}
}

func TestOutboxDoesNotKeepBorrowedBytes(t *testing.T) {
	o := outbox{bound: 1000}
	text := []byte("hello")
	require.True(t, o.add(&protocol.Frame{Type: protocol.TypeChunk, Text: text}, true))
	copy(text, "XXXXX")
	require.Equal(t, []string{`{"type":"chunk","content":"hello"}`}, payloads(t, o.take(0)))
}

func TestOutboxBound(t *testing.T) {
	o := outbox{bound: 1000}
	require.True(t, o.add(chunkFrame("a", 1, strings.Repeat("x", 5000)), false), "alone, any size passes")
	require.True(t, o.add(chunkFrame("a", 2, strings.Repeat("y", 500)), true), "a large frame does not count against those behind it")
	require.False(t, o.add(chunkFrame("a", 3, strings.Repeat("y", 500)), true))
	require.Len(t, payloads(t, o.take(0)), 2, "what was refused is not queued")

	o.wrote(len(o.take(0)), 0)
	require.True(t, o.empty())
	require.Zero(t, o.pending())
	require.True(t, o.add(chunkFrame("a", 3, strings.Repeat("y", 500)), true))
	require.False(t, o.add(chunkFrame("b", 1, strings.Repeat("y", 5000)), true), "not alone")
}

// A resume of a long answer is a snapshot and the end, each larger than the
// bound; a stream ends with its whole text behind its last chunks.
func TestOutboxTakesSnapshotAndEndBeyondTheBound(t *testing.T) {
	long := []byte(strings.Repeat("x", 5000))
	snapshot := &protocol.Frame{Type: protocol.TypeSnapshot, Named: true, ID: "a", Seq: 9, Text: long}
	end := &protocol.Frame{Type: protocol.TypeComplete, Named: true, ID: "a", Seq: 10, Text: long}
	o := outbox{bound: 1000}
	require.True(t, o.add(chunkFrame("b", 1, strings.Repeat("y", 500)), true))
	require.True(t, o.add(snapshot, true))
	require.True(t, o.add(end, true))
	require.False(t, o.add(end, true), "two at most")
	require.False(t, o.add(chunkFrame("b", 2, strings.Repeat("y", 500)), true), "what counts is still bounded")
	require.True(t, o.add(chunkFrame("b", 2, strings.Repeat("y", 100)), true), "and they take no room from it")

	o.wrote(o.pending()/2, 1) // through the chunk, into the snapshot
	require.False(t, o.add(snapshot, true))
	o.wrote(700, 2) // through the snapshot
	require.True(t, o.add(snapshot, true))
	require.LessOrEqual(t, o.pending()-o.large, 1000)
	o.wrote(len(o.take(0)), 3)
	require.True(t, o.empty())
	require.Zero(t, o.large)
	require.False(t, o.add(chunkFrame("b", 3, "z"), true) && o.add(chunkFrame("b", 4, strings.Repeat("y", 5000)), true))
}

func TestOutboxAbandonsOnlyWholeFrames(t *testing.T) {
	goodbye := appendClose(nil, 1013, "bye")
	for _, tc := range []struct {
		name          string
		written, lent int
		left          int // frames, without the close frame
	}{
		{"nothing begun", 0, 0, 0},
		{"inside the first", 1, 0, 1},
		{"at a boundary", 37, 0, 1},
		{"inside the second", 40, 0, 2},
		{"lent to a writer", 0, 40, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := outbox{bound: 1000}
			for range 3 {
				require.True(t, o.add(&protocol.Frame{Type: protocol.TypeChunk, Text: []byte("abcdef")}, false))
			}
			require.True(t, o.add(chunkFrame("", 0, "tail"), true))
			sent := append([]byte(nil), o.buf[:tc.written]...)
			o.next = tc.written
			o.lent = tc.lent
			o.abandon()
			o.addEncoded(goodbye)
			all := payloads(t, append(sent, o.buf[o.next:]...))
			require.Len(t, all, tc.left+1)
			require.Equal(t, "\x03\xf5bye", all[tc.left])
		})
	}
}

// Whatever is queued and however the kernel takes it: the client reads every
// turn's text whole, in order, in valid frames, and seqs without a hole.
func TestOutboxLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const bound = 2000
		o := outbox{bound: bound}
		var wire []byte
		want := map[string]string{}
		seq := map[string]uint64{}
		var now time.Duration
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now++
			id := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "id")
			if rapid.Bool().Draw(t, "add") {
				text := strings.Repeat(id, rapid.IntRange(0, 300).Draw(t, "len"))
				f := chunkFrame(id, seq[id]+1, text)
				if o.add(f, rapid.Bool().Draw(t, "join")) {
					seq[id]++
					want[id] += text
				}
				require.LessOrEqual(t, o.pending()-o.large, bound+envelope)
				continue
			}
			b := o.take(rapid.IntRange(0, 500).Draw(t, "limit"))
			n := rapid.IntRange(0, len(b)).Draw(t, "taken")
			wire = append(wire, b[:n]...)
			o.wrote(n, now)
		}
		for !o.empty() {
			b := o.take(0)
			wire = append(wire, b...)
			o.wrote(len(b), now)
		}
		require.Zero(t, o.pending())
		got := map[string]string{}
		last := map[string]uint64{}
		for _, p := range payloads(t, wire) {
			var f struct {
				ID, Content string
				Seq, From   uint64
			}
			require.NoError(t, json.Unmarshal([]byte(p), &f))
			first := f.Seq
			if f.From != 0 {
				first = f.From
			}
			require.Equal(t, last[f.ID]+1, first)
			last[f.ID] = f.Seq
			got[f.ID] += f.Content
		}
		for id := range want {
			require.Equal(t, want[id], got[id])
			require.Equal(t, seq[id], last[id])
		}
	})
}
