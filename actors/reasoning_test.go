package actors

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// thinks is a step: the vendor thinks aloud, each thought after a pause, and
// then answers.
func thinks(pause time.Duration, thoughts ...string) fakeProvider {
	return func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
		for _, thought := range thoughts {
			select {
			case <-time.After(pause):
				sink.Reasoning([]byte(thought))
			case <-ctx.Done():
				return holds()(ctx, q, sink)
			}
		}
		return replies("42")(ctx, q, sink)
	}
}

// thoughts is the reasoning that a follower heard.
func (b *bench) thoughts(to uint64) []bus.Event {
	return slices.DeleteFunc(b.heard(to), func(e bus.Event) bool { return e.Type != bus.EventReasoning })
}

// TestReasoning: who asks for it and can be told sees the reasoning, apart from
// the answer and without numbers; nobody else does.
func TestReasoning(t *testing.T) {
	shown := []string{
		`{"type":"reasoning","id":"1","content":"Hm, \"6"}`, `{"type":"reasoning","id":"1","content":"·7\"?"}`,
	}
	tests := map[string]struct {
		id    string
		asked bool
		kind  protocol.Kind
		named bool // gets the fuller frames
		want  []string
	}{
		"named and asked for": {"1", true, protocol.WebSocket, true, shown},
		"named":               {"1", false, protocol.WebSocket, true, nil},
		"asked for, no name":  {"", true, protocol.WebSocket, false, nil},
		"over HTTP": {"", true, protocol.HTTP, true, []string{
			`{"type":"reasoning","content":"Hm, \"6"}`, `{"type":"reasoning","content":"·7\"?"}`,
		}},
		"over HTTP, not asked for": {"", false, protocol.HTTP, true, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				h := newOffice(t, map[string]ProviderSetup{"a": serves(m.vendor("a", thinks(pace, `Hm, "6`, `·7"?`)), provider.Config{})})
				c := h.knock(protocol.Client{Connection: "c", Address: "192.0.2.1", Session: "s", Kind: tt.kind})
				c.ask(&protocol.Chat{ID: tt.id, Content: "hi", Provider: "a", Reasoning: tt.asked})
				pass(time.Second)
				require.Equal(t, len(tt.want) > 0, m.all()[0].asked.Reasoning, "the vendor must be asked for it, or not")
				require.Equal(t, len(tt.want) > 0, h.bus.lastJob(t).Reasoning)
				var got, rest []string
				for _, line := range c.take() {
					if strings.Contains(line, `"reasoning"`) {
						require.Empty(t, slices.DeleteFunc(slices.Clone(rest), func(l string) bool { return strings.Contains(l, "accepted") }), "it comes before the answer")
						got = append(got, line)
					} else {
						rest = append(rest, line)
					}
				}
				require.Equal(t, tt.want, got)
				end := rest[len(rest)-1]
				require.Contains(t, end, `"full_response":"42"`)
				if tt.named {
					require.Contains(t, end, `"seq":2,`, "reasoning took a number")
				}
				h.bus.locked(func() { require.Equal(t, 2, h.bus.bills[0].OutputBytes) })
				h.empty()
			})
		})
	}
}

// TestReasoningAfterALostAccept: the run says its name before its first thought,
// so that the client knows whose it is.
func TestReasoningAfterALostAccept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		h := newOffice(t, map[string]ProviderSetup{"a": serves(m.vendor("a", thinks(tick, "Hm.")), provider.Config{})})
		h.bus.locked(func() { h.bus.losing = func(r *bus.Reply) bool { return r.Type == bus.ReplyAccepted } })
		c := h.open("s")
		c.ask(&protocol.Chat{ID: "1", Content: "hi", Provider: "a", Reasoning: true})
		pass(time.Second)
		require.Equal(t, []string{"accepted 1", "reasoning 1 0 Hm.", "chunk 1 1 42", "complete 1 2 42"}, c.tale())
		h.empty()
	})
}

// TestReasoningIsASign: a vendor that thinks is not silent, whether somebody
// looks or not; one that stops thinking is.
func TestReasoningIsASign(t *testing.T) {
	for _, asked := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			var m market
			step := func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
				for range 5 {
					time.Sleep(900 * time.Millisecond)
					sink.Reasoning([]byte("hm"))
				}
				return holds()(ctx, q, sink)
			}
			b := newFirm(t, map[string]ProviderSetup{"a": serves(m.vendor("a", step), provider.Config{FirstTokenTimeout: time.Second, StallTimeout: time.Second})})
			to := b.put(bus.Job{Provider: "a", Name: "1", Reasoning: asked})
			pass(5500*time.Millisecond - tick)
			require.False(t, b.over(to))
			pass(2 * tick)
			require.Equal(t, "The provider said nothing for 1s.", b.end(to).Message)
			require.Len(t, b.thoughts(to), map[bool]int{true: 5, false: 0}[asked])
		})
	}
}

// TestReasoningBetweenWords: thoughts inside the answer hold up its silence
// clock, and change nothing about its numbers.
func TestReasoningBetweenWords(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		step := func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
			sink.Text([]byte("4"))
			return thinks(800*time.Millisecond, "carry", "on")(ctx, q, sink)
		}
		b := newFirm(t, map[string]ProviderSetup{"a": serves(m.vendor("a", step), provider.Config{StallTimeout: time.Second})})
		run := b.offer(bus.Job{Provider: "a", Session: "s", Name: "1", Reasoning: true}).Run
		pass(2 * time.Second)
		var tale []string
		for _, e := range b.heard(1) {
			if e.Type != bus.EventStatus {
				tale = append(tale, e.Type+" "+string(e.Text))
			}
		}
		require.Equal(t, []string{"chunk 4", "reasoning carry", "reasoning on", "chunk 42", "complete "}, tale[:5])
		require.EqualValues(t, 3, b.end(1).Seq)
		for _, e := range b.thoughts(1) {
			require.Zero(t, e.Seq)
			require.Empty(t, e.Run)
		}
		b.control(bus.Control{Type: bus.ControlResume, Run: run, To: 99})
		late := b.heard(99)
		require.Equal(t, "442", texts(late), "who comes late hears the answer alone")
		require.Empty(t, b.thoughts(99))
	})
}

// TestReasoningFitsTheBus: a long thought is split like text is, and neither an
// escape nor a character is cut.
func TestReasoningFitsTheBus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		thought := strings.Repeat("ä€😀\"\\\n\x01", 200)
		p := map[string]ProviderSetup{"a": serves(m.vendor("a", thinks(tick, thought)), provider.Config{})}
		b := newFirm(t, p)
		b.bus.locked(func() { b.bus.max = 2048 })
		to := b.put(bus.Job{Provider: "a", Name: "1", Reasoning: true})
		pass(time.Second)
		got := b.thoughts(to)
		require.Greater(t, len(got), 3)
		var joined []byte
		for _, e := range got {
			require.LessOrEqual(t, len(e.Text), bus.MaxText(2048))
			plain, err := protocol.Unescape(nil, e.Text)
			require.NoError(t, err, "an escape was cut: %q", e.Text)
			joined = append(joined, plain...)
		}
		require.Equal(t, thought, string(joined))
	})
}

// TestReasoningBound: no more is shown than an answer may hold, and the answer
// itself keeps its own bound.
func TestReasoningBound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{"a": serves(
			m.vendor("a", thinks(tick, "12345", "6789", "0123", "4")), provider.Config{},
		)}, func(p *plan) { p.runs.MaxOutputBytes = 10 })
		to := b.put(bus.Job{Provider: "a", Name: "1", Reasoning: true})
		pass(time.Second)
		require.Equal(t, "123456789", texts(b.thoughts(to)))
		end := b.end(to)
		require.Equal(t, []any{bus.EventComplete, protocol.FinishStop}, []any{end.Type, end.Finish}, "thoughts do not use up the answer's room")
	})
}

// TestReasoningCancelled: nothing is shown after the cancel.
func TestReasoningCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		step := func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
			sink.Reasoning([]byte("hm"))
			<-ctx.Done()
			sink.Reasoning([]byte("too late"))
			return holds()(ctx, q, sink)
		}
		b := newFirm(t, map[string]ProviderSetup{"a": serves(m.vendor("a", step), provider.Config{})})
		run := b.offer(bus.Job{Provider: "a", Session: "s", Name: "1", Reasoning: true}).Run
		b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 1})
		require.Equal(t, bus.EventCancelled, b.end(1).Type)
		require.Equal(t, "hm", texts(b.thoughts(1)))
	})
}

// TestReasoningUnnamed: a gateway shows it to no unnamed turn, and not to a turn
// that is over.
func TestReasoningUnnamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		thought := bus.Event{Type: bus.EventReasoning, Text: []byte("hm")}
		c.chat("", "hi")
		thought.To = h.accept("w1-a").To
		h.say(thought)
		require.Empty(t, c.take())
		c.chat("1", "hi")
		thought.To = h.accept("w1-b").To
		h.say(thought)
		h.say(bus.Event{Type: bus.EventComplete, To: thought.To, Seq: 1})
		h.say(thought)
		require.Equal(t, []string{"accepted 1", "reasoning 1 0 hm", "complete 1 1 "}, c.tale())
		h.empty()
	})
}

// TestReasoningShownIsTheBeginning: who has seen the model think has seen the
// beginning of an answer. Nobody else is asked after it, whatever becomes of the
// run, and nobody else will need the user's key. A turn that was shown nothing
// moves.
func TestReasoningShownIsTheBeginning(t *testing.T) {
	const key = "sk-canary"
	lost := func(h *house, _ uint64) { h.beat(bus.RoleWorker, remote, true) }
	failed := func(h *house, to uint64) { h.unreachedBy(to, remote+"-a") }
	for name, tt := range map[string]struct {
		id    string
		shown bool
		then  func(h *house, to uint64)
		want  protocol.Code // "" = another worker is asked
	}{
		"the worker is lost":                   {"1", true, lost, protocol.WorkerLost},
		"it could not be reached":              {"1", true, failed, protocol.ProviderUnavailable},
		"the worker is lost before":            {"1", false, lost, ""},
		"it could not be reached, ever":        {"1", false, failed, ""},
		"unnamed, the worker is lost":          {"", true, lost, ""},
		"unnamed, and it could not be reached": {"", true, failed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h, c := pairOf(t)
				for _, id := range []string{remote, second} {
					pair, err := bus.NewKeyPair()
					require.NoError(t, err)
					beat := remoteBeat(id)
					beat.PublicKey = pair.PublicKey()
					h.gateway.Heard(beat, time.Now())
				}
				pass(0)
				users := secret(key)
				c.ask(&protocol.Chat{ID: tt.id, Content: "hi", Provider: "vendor", Reasoning: true, Keys: map[string]protocol.Secret{"vendor": users}})
				to := h.accept(remote + "-a").To
				if tt.shown {
					h.say(bus.Event{Type: bus.EventReasoning, To: to, Text: []byte("I think")})
				}
				if tt.want == "" {
					require.Equal(t, key, string(users.Reveal()), "a second attempt needs it")
				} else {
					require.Equal(t, make([]byte, len(key)), users.Reveal(), "nobody needs it any more")
				}
				tt.then(h, to)
				if tt.want == "" {
					require.Equal(t, 2, h.bus.jobCount())
					require.Empty(t, c.terminals(tt.id))
				} else {
					require.Equal(t, 1, h.bus.jobCount(), "asked again after the first word was shown")
					require.Len(t, c.terminals(tt.id), 1)
					require.Equal(t, tt.want, c.last().Code)
				}
				h.empty()
			})
		})
	}
}
