package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reading is a client that reads all the time, and what it got of each of its
// turns.
type reading struct {
	*peer
	over chan struct{}

	mu    sync.Mutex
	turns map[string]*got // guarded by mu
}

// got is one answer as a client sees it.
type got struct {
	text  strings.Builder
	seq   uint64
	ends  []said
	wrong string // the first thing that breaks the contract
}

func (g *got) take(f said) {
	first := f.Seq
	if f.From > 0 {
		first = f.From
	}
	switch {
	case f.Type == "accepted" || f.Type == "status":
	case len(g.ends) > 0 && g.wrong == "":
		g.wrong = "behind the end: " + f.Type
	case f.terminal():
		g.ends = append(g.ends, f)
	case (f.Type != "chunk" || first != g.seq+1 || f.Seq < first) && g.wrong == "":
		g.wrong = fmt.Sprintf("behind %d: %s from %d to %d", g.seq, f.Type, first, f.Seq)
	default:
		g.seq = f.Seq
		g.text.WriteString(f.Content)
	}
}

// read begins to read.
func read(c *peer) *reading {
	c.SetReadLimit(64 << 20)
	r := &reading{peer: c, over: make(chan struct{}), turns: map[string]*got{}}
	go func() {
		defer close(r.over)
		for {
			_, data, err := c.Read(c.t.Context())
			if err != nil {
				return
			}
			r.take(data)
		}
	}()
	return r
}

func (r *reading) take(data []byte) {
	var f said
	err := json.Unmarshal(data, &f)
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.turns[f.ID]
	if g == nil {
		g = &got{}
		r.turns[f.ID] = g
	}
	if err != nil {
		g.wrong = err.Error()
		return
	}
	g.take(f)
}

// at tells how far a turn has come, and whether it is over.
func (r *reading) at(id string) (seq uint64, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g := r.turns[id]; g != nil {
		return g.seq, len(g.ends) > 0
	}
	return 0, false
}

// asked is one question on its way to an answer of `times` times its text.
type asked struct {
	*reading
	id, question string
	times, words int
}

// ask makes a question of many different words, every one of them in need of an
// escape, and has it repeated.
func (r *reading) ask(id string, times, words, size int, pace string) *asked {
	r.t.Helper()
	a := &asked{reading: r, id: id, times: times, words: words}
	var b strings.Builder
	for i := range words {
		fmt.Fprintf(&b, "%s%d\"é😀\\%s ", id, i, strings.Repeat("x", size))
	}
	a.question = b.String()
	content, err := json.Marshal(strings.TrimSuffix(a.question, " "))
	require.NoError(r.t, err)
	r.send(fmt.Sprintf(`{"type":"chat","id":%q,"content":%s,"model":"echo-%s-%dw"}`, id, content, pace, times*words))
	return a
}

// whole checks the answer: every byte once, one end.
func (a *asked) whole(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	g, want := a.turns[a.id], strings.TrimSuffix(strings.Repeat(a.question, a.times), " ")
	require.Empty(t, g.wrong, a.id)
	require.Len(t, g.ends, 1, a.id)
	end := g.ends[0]
	require.Equal(t, []any{"complete", "", uint64(a.times*a.words + 1)}, []any{end.Type, end.Code, end.Seq}, a.id)
	require.True(t, want == g.text.String(), "%s: the chunks are not the answer: %d bytes of %d", a.id, g.text.Len(), len(want))
	require.True(t, want == end.FullResponse, "%s: the end is not the answer: %d bytes of %d", a.id, len(end.FullResponse), len(want))
}

// report says how far a turn came in a test that failed.
func (a *asked) report(t *testing.T) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if g := a.turns[a.id]; g != nil && t.Failed() {
		t.Logf("%s: at %d, wrong %q, ends %d", a.id, g.seq, g.wrong, len(g.ends))
		for _, end := range g.ends {
			t.Logf("%s: %s %s %s", a.id, end.Type, end.Code, end.Message)
		}
	}
}

// settle lets what is repeated arrive and ends the reading.
func (r *reading) settle() {
	select {
	case <-r.over:
		return
	case <-time.After(300 * time.Millisecond):
	}
	r.CloseNow()
	<-r.over
}
