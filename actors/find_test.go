package actors

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// keyOf is what decode makes of a client_key.
func keyOf(secret string) protocol.ClientKey { return sha256.Sum256([]byte(secret)) }

// talking is a house whose worker says a, b, c and d.
func talking(t *testing.T, change ...func(*plan)) *house {
	t.Helper()
	p := defaultPlan()
	p.talk = talker("a", "b", "c", "d")
	for _, c := range change {
		c(&p)
	}
	return build(t, p)
}

// mute adds a worker that beats and answers nothing.
func (h *house) mute(id string) {
	h.bus.locked(func() { h.bus.beating = append(h.bus.beating, remoteBeat(id)) })
	h.gateway.Heard(remoteBeat(id), time.Now())
	pass(0)
}

// keyed asks a question whose run another socket can find.
func (c *client) keyed(id, content, key string) {
	c.ask(&protocol.Chat{ID: id, Content: content, ClientKey: keyOf(key)})
}

// tale is what the client was told since it was last looked at, in few words.
func (c *client) tale() []string {
	var out []string
	for _, f := range c.seen() {
		switch {
		case f.For != "":
			out = append(out, fmt.Sprintf("%s for %s %s", f.Type, f.For, f.Code))
		case f.Type == protocol.TypeError:
			out = append(out, fmt.Sprintf("%s %s %s", f.Type, f.ID, f.Code))
		case f.Type == protocol.TypeAccepted:
			out = append(out, fmt.Sprintf("%s %s", f.Type, f.ID))
		default:
			out = append(out, fmt.Sprintf("%s %s %d %s", f.Type, f.ID, f.Seq, f.Text))
		}
	}
	c.take()
	return out
}

// runs is every run_id that the client was told.
func (c *client) runs() []string {
	var out []string
	for _, f := range c.seen() {
		if f.RunID != "" && !slices.Contains(out, f.RunID) {
			out = append(out, f.RunID)
		}
	}
	return out
}

// TestFindResume: another socket of the session finds its run by the key that it
// was asked with, whether the first socket is still there or not, and hears
// exactly what it misses.
func TestFindResume(t *testing.T) {
	moments := map[string]struct {
		at    time.Duration
		after uint64
		want  []string
	}{
		"before the first chunk": {pace / 2, 0, []string{
			"snapshot 1 0 ", "chunk 1 1 a", "chunk 1 2 b", "chunk 1 3 c", "chunk 1 4 d", "complete 1 5 abcd",
		}},
		"in the middle": {2*pace + pace/2, 1, []string{"snapshot 1 2 b", "chunk 1 3 c", "chunk 1 4 d", "complete 1 5 abcd"}},
		"after the end": {time.Second, 1, []string{"snapshot 1 4 bcd", "complete 1 5 abcd"}},
	}
	for when, m := range moments {
		for _, id := range []string{"", "1"} {
			for _, lost := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/id %q/first socket lost %t", when, id, lost), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						h := talking(t)
						first, other := h.open("s"), h.open("s")
						first.keyed("1", "hi", "k")
						pass(m.at)
						run := first.runs()
						if lost {
							first.leave(protocol.CauseGone)
							pass(0)
						}
						other.ask(&protocol.Resume{ID: id, ClientKey: keyOf("k"), After: m.after})
						pass(time.Second)
						require.Equal(t, run, other.runs())
						require.Equal(t, m.want, other.tale())
						require.Equal(t, 2, other.wanted())
						require.Len(t, h.bus.wordsOf(bus.ControlFind), 1)
						require.Len(t, h.bus.wordsOf(bus.ControlResume), 1)
						require.Equal(t, 1, h.bus.jobCount())
						if !lost {
							require.Len(t, first.terminals("1"), 1)
						}
						h.empty()
					})
				})
			}
		}
	}
}

// TestFindCancel: one cancel from another socket ends the run for both.
func TestFindCancel(t *testing.T) {
	for when, want := range map[time.Duration]string{
		pace / 2:        "cancelled 1 1 ",
		2*pace + pace/2: "cancelled 1 3 ab",
	} {
		for _, id := range []string{"", "1"} {
			t.Run(fmt.Sprintf("%s/id %q", when, id), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					h := talking(t)
					first, other := h.open("s"), h.open("s")
					first.keyed("1", "hi", "k")
					pass(when)
					other.ask(&protocol.Cancel{ID: id, ClientKey: keyOf("k")})
					require.Equal(t, []string{want}, other.tale())
					require.Zero(t, h.worker.Active(), "the vendor's connection is still open")
					tale := first.tale()
					require.Equal(t, want, tale[len(tale)-1])
					require.Equal(t, 2, other.wanted())
					pass(time.Second)
					require.Empty(t, first.tale())
					require.Empty(t, other.tale())
					h.empty()
				})
			})
		}
	}
}

// TestFindNothing: a wrong key, another session, another id, an unknown run and,
// for a cancel, one that is over are answered alike, and disturb nobody.
func TestFindNothing(t *testing.T) {
	tests := []struct {
		name, session string
		over          bool
		request       func(h *house) protocol.Request
		what          string
	}{
		{"wrong key", "s", false, func(*house) protocol.Request { return &protocol.Resume{ClientKey: keyOf("x")} }, protocol.ForResume},
		{"wrong key, right id", "s", false, func(*house) protocol.Request { return &protocol.Resume{ID: "1", ClientKey: keyOf("x")} }, protocol.ForResume},
		{"no key at all", "s", false, func(*house) protocol.Request { return &protocol.Resume{ID: "1"} }, protocol.ForResume},
		{"another session", "t", false, func(*house) protocol.Request { return &protocol.Resume{ClientKey: keyOf("k")} }, protocol.ForResume},
		{"another id", "s", false, func(*house) protocol.Request { return &protocol.Resume{ID: "2", ClientKey: keyOf("k")} }, protocol.ForResume},
		{"unknown run", "s", false, func(h *house) protocol.Request { return &protocol.Resume{RunID: h.worker.ID() + "-x"} }, protocol.ForResume},
		{"run of another session", "t", false, func(h *house) protocol.Request { return &protocol.Resume{RunID: h.anyRun()} }, protocol.ForResume},
		{"wrong key, over", "s", true, func(*house) protocol.Request { return &protocol.Resume{ClientKey: keyOf("x")} }, protocol.ForResume},
		{"another session, over", "t", true, func(*house) protocol.Request { return &protocol.Resume{ID: "1", ClientKey: keyOf("k")} }, protocol.ForResume},

		{"cancel, wrong key", "s", false, func(*house) protocol.Request { return &protocol.Cancel{ClientKey: keyOf("x")} }, protocol.ForCancel},
		{"cancel, another session", "t", false, func(*house) protocol.Request { return &protocol.Cancel{ID: "1", ClientKey: keyOf("k")} }, protocol.ForCancel},
		{"cancel, another id", "s", false, func(*house) protocol.Request { return &protocol.Cancel{ID: "2", ClientKey: keyOf("k")} }, protocol.ForCancel},
		{"cancel, unknown run", "s", false, func(h *house) protocol.Request { return &protocol.Cancel{RunID: h.worker.ID() + "-x"} }, protocol.ForCancel},
		{"cancel, run of another session", "t", false, func(h *house) protocol.Request { return &protocol.Cancel{RunID: h.anyRun()} }, protocol.ForCancel},
		{"cancel, key of a run that is over", "s", true, func(*house) protocol.Request { return &protocol.Cancel{ClientKey: keyOf("k")} }, protocol.ForCancel},
		{"cancel, key and id of a run that is over", "s", true, func(*house) protocol.Request { return &protocol.Cancel{ID: "1", ClientKey: keyOf("k")} }, protocol.ForCancel},
		{"cancel, run_id of a run that is over", "s", true, func(h *house) protocol.Request { return &protocol.Cancel{RunID: h.anyRun()} }, protocol.ForCancel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := talking(t)
				first, other := h.open("s"), h.open(tt.session)
				first.keyed("1", "hi", "k")
				pass(pace + pace/2)
				if tt.over {
					pass(time.Second)
				}
				other.ask(tt.request(h))
				require.Len(t, other.seen(), 1)
				got := other.last()
				got.RunID = "" // the client's own words
				require.Equal(t, protocol.Frame{
					Type: protocol.TypeError, Named: true, For: tt.what, Code: protocol.RunNotFound,
					Message: "No run with this run_id can be reached. It may have ended, expired or never existed.",
				}, got)
				require.Equal(t, 2, other.wanted())
				pass(time.Second)
				require.Len(t, other.seen(), 1)
				require.Equal(t, []string{"accepted 1", "chunk 1 1 a", "chunk 1 2 b", "chunk 1 3 c", "chunk 1 4 d", "complete 1 5 abcd"}, first.tale())
				h.empty()
			})
		})
	}
}

// anyRun is the id of a run that the worker has.
func (h *house) anyRun() string {
	h.t.Helper()
	h.worker.runs.mu.Lock()
	defer h.worker.runs.mu.Unlock()
	for id := range h.worker.runs.byID {
		return id
	}
	require.Fail(h.t, "the worker has no run")
	return ""
}

// parrot says the letters of the question.
func parrot(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
	var letters []string
	for _, letter := range q.Messages[len(q.Messages)-1].Content {
		letters = append(letters, string(letter))
	}
	return talker(letters...)(ctx, q, sink)
}

// TestFindStrangers: two strangers on one session with one id have two runs and
// share no byte; neither they nor a third can follow, stop or repeat what is
// another's.
func TestFindStrangers(t *testing.T) {
	for name, keys := range map[string][2]protocol.ClientKey{
		"no keys":        {},
		"one key":        {keyOf("alice"), {}},
		"different keys": {keyOf("alice"), keyOf("bob")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := talking(t, func(p *plan) { p.talk = fakeProvider(parrot) })
				alice, bob, eve := h.open("s"), h.open("s"), h.open("s")
				alice.ask(&protocol.Chat{ID: "1", Content: "aaaaaaaa", ClientKey: keys[0]})
				bob.ask(&protocol.Chat{ID: "1", Content: "bbbbbbbb", ClientKey: keys[1], Repeat: true})
				pass(pace + pace/2)
				require.Equal(t, 2, h.bus.jobCount())
				require.NotEqual(t, alice.runs(), bob.runs())

				for _, id := range []string{"", "1"} {
					eve.ask(&protocol.Resume{ID: id, ClientKey: keyOf("eve")})
					eve.ask(&protocol.Cancel{ID: id, ClientKey: keyOf("eve")})
				}
				require.Equal(t, []string{
					"error for resume RUN_NOT_FOUND", "error for cancel RUN_NOT_FOUND",
					"error for resume RUN_NOT_FOUND", "error for cancel RUN_NOT_FOUND",
				}, eve.tale())
				eve.ask(&protocol.Cancel{ID: "1"})
				require.Equal(t, []string{"error for cancel NO_ACTIVE_RUN"}, eve.tale())
				for i, key := range []protocol.ClientKey{{}, keyOf("eve")} {
					eve = h.open("s")
					eve.ask(&protocol.Chat{ID: "1", Content: "aaaaaaaa", ClientKey: key, Repeat: true})
					require.Equal(t, 3+i, h.bus.jobCount(), "another's question was repeated")
					pass(0)
					require.Equal(t, []string{"accepted 1"}, eve.tale())
				}
				pass(2 * time.Second)
				for letter, c := range map[string]*client{"a": alice, "b": bob} {
					want := []string{"accepted 1"}
					text := ""
					for seq := 1; seq <= 8; seq++ {
						text += letter
						want = append(want, fmt.Sprintf("chunk 1 %d %s", seq, letter))
					}
					require.Equal(t, append(want, "complete 1 9 "+text), c.tale())
				}
				h.empty()
			})
		})
	}
}
