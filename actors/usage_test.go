package actors

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// bills is every usage record that reached the bus.
func (b *bench) bills() (out []bus.UsageRecord) {
	b.bus.locked(func() { out = append(out, b.bus.bills...) })
	return out
}

// bill is the one record of the one run so far.
func (b *bench) bill() bus.UsageRecord {
	b.t.Helper()
	bills := b.bills()
	require.Len(b.t, bills, 1, "each run says exactly once what it cost")
	return bills[0]
}

// TestUsageRecord: all of a record, of an answer that another provider gave.
func TestUsageRecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{
			"a": serves(m.vendor("a", fails(provider.FaultKeyDenied, 0)), provider.Config{APIKeys: secrets("sk-one"), Fallback: []string{"b/big"}}),
			"b": serves(m.vendor("b", takes(1500*time.Millisecond, "Hällo")), provider.Config{APIKeys: secrets("sk-two")}),
		})
		run := b.offer(bus.Job{Provider: "a", Model: "small", Session: "s", Name: "1", Product: "shop"}).Run
		require.Empty(t, b.bills(), "it is not over")
		pass(2 * time.Second)
		sum := sha256.Sum256([]byte(run))
		require.Equal(t, hex.EncodeToString(sum[:16]), RunHash(run))
		got := b.bill()
		require.Regexp(t, "^[0-9a-f]{16}$", got.KeyID)
		require.InDelta(t, time.Now().Add(-time.Second/2).UnixMilli(), got.Time.UnixMilli(), 2)
		require.Equal(t, time.UTC, got.Time.Location())
		got.Time = time.Time{}
		require.Equal(t, bus.UsageRecord{
			Version: 1, RunHash: RunHash(run), Worker: b.worker.ID(), Gateway: desk1, Session: "s", Name: "1", Product: "shop",
			Provider: "b", Asked: "a", Model: "big", Key: "deployment", KeyID: got.KeyID, Outcome: bus.EventComplete,
			Finish: protocol.FinishStop, InputTokens: 5, OutputTokens: 7, Attempts: 2, OutputBytes: 6, Millis: 1500,
		}, got)
		require.NotContains(t, fmt.Sprintf("%+v", got), run, "who reads records must not be able to resume runs")
		pass(time.Minute)
		b.bill()
	})
}

// TestUsageOfEveryEnd: each end of a run is one record, and says what it knows.
func TestUsageOfEveryEnd(t *testing.T) {
	deployment := provider.Config{APIKeys: secrets("sk-one"), Timeout: 5 * time.Second, MaxConcurrent: 1}
	cancel := func(b *bench, run string, to uint64) {
		b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: to})
	}
	panicking := func(context.Context, *provider.Question, provider.Sink) (provider.Result, error) { panic("sk-canary") }
	deaf := func(_ context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
		sink.Text([]byte("word"))
		time.Sleep(time.Minute)
		return provider.Result{}, errors.New("never heard")
	}
	type cost struct {
		outcome string
		code    protocol.Code
		key     string
		in, out int
		guess   bool
		calls   int
		bytes   int
	}
	tests := map[string]struct {
		step   fakeProvider
		user   bool
		behind bool // another run holds the room
		crash  bool
		then   func(b *bench, run string, to uint64)
		want   cost
	}{
		"complete": {
			step: replies("word"), want: cost{bus.EventComplete, "", "deployment", 5, 7, false, 1, 4},
		},
		"with the user's key": {
			step: replies("word"), user: true,
			then: func(b *bench, run string, to uint64) { b.sealed(to, run, "a", "sk-user") },
			want: cost{bus.EventComplete, "", "user", 5, 7, false, 1, 4},
		},
		"the vendor told nothing": {
			step: func(_ context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
				sink.Text([]byte("Hello"))
				return provider.Result{Finish: protocol.FinishStop}, nil
			}, want: cost{bus.EventComplete, "", "deployment", 8, 2, true, 1, 5},
		},
		"cancelled in mid-stream": {
			step: holds("word", "word"), then: cancel, want: cost{bus.EventCancelled, "", "deployment", 8, 2, true, 1, 8},
		},
		"cancelled before its turn": {
			step: holds("word"), behind: true, then: cancel, want: cost{bus.EventCancelled, "", "none", 0, 0, false, 0, 0},
		},
		"cancelled before its key": {
			step: replies("never"), user: true, then: cancel, want: cost{bus.EventCancelled, "", "user", 0, 0, false, 0, 0},
		},
		"cancelled, and the vendor does not listen": {
			step: deaf, then: cancel, want: cost{bus.EventError, protocol.Internal, "deployment", 8, 1, true, 1, 4},
		},
		"its key never came": {
			step: replies("never"), user: true, want: cost{bus.EventError, protocol.Internal, "user", 0, 0, false, 0, 0},
		},
		"its follower left before its key": {
			step: replies("never"), user: true,
			then: func(b *bench, run string, to uint64) {
				b.control(bus.Control{Type: bus.ControlGone, Run: run, To: to, OnDisconnect: protocol.OnDisconnectCancel})
			},
			want: cost{bus.EventCancelled, "", "user", 0, 0, false, 0, 0},
		},
		"refused": {
			step: fails(provider.FaultNone, 0), want: cost{bus.EventError, protocol.ProviderRejected, "deployment", 0, 0, false, 1, 0},
		},
		"timed out": {
			step: holds("word"), want: cost{bus.EventError, protocol.ProviderTimeout, "deployment", 8, 1, true, 1, 4},
		},
		"timed out, and the vendor does not listen": {
			step: deaf, want: cost{bus.EventError, protocol.ProviderTimeout, "deployment", 8, 1, true, 1, 4},
		},
		"the adapter panicked": {
			step: panicking, want: cost{bus.EventError, protocol.Internal, "deployment", 8, 0, true, 1, 0},
		},
		"the run crashed": {
			step: holds("word"), crash: true,
			want: cost{bus.EventError, protocol.Internal, "deployment", 8, 1, true, 1, 4},
		},
		"the run crashed before its key": {
			step: replies("never"), user: true, crash: true,
			want: cost{bus.EventError, protocol.Internal, "user", 0, 0, false, 0, 0},
		},
		"shut down": {
			step: holds("word"),
			then: func(b *bench, _ string, _ uint64) {
				ctx, done := contextFor(time.Second)
				defer done()
				b.worker.Drain(ctx)
			},
			want: cost{bus.EventError, protocol.ShuttingDown, "deployment", 8, 1, true, 1, 4},
		},
		"stopped hard": {
			step: holds("word"),
			then: func(b *bench, _ string, _ uint64) {
				ctx, done := contextFor(time.Second)
				defer done()
				b.worker.Stop(ctx)
			},
			want: cost{bus.EventError, protocol.ShuttingDown, "deployment", 8, 1, true, 1, 4},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				var log logbook
				var s saboteur
				step := m.vendor("a", tt.step)
				if tt.behind {
					step = m.vendor("a", holds("first"), tt.step)
				}
				b := newFirm(t, map[string]ProviderSetup{"a": serves(step, deployment)}, func(p *plan) {
					p.log, p.inject = &log, s.inject
				})
				if tt.behind {
					b.put(bus.Job{Provider: "a", Session: "other"})
				}
				run := b.offer(bus.Job{Provider: "a", Session: "s", Name: "1", NeedsKey: tt.user}).Run
				switch {
				case tt.crash:
					b.crash(&s, run)
				case tt.then != nil:
					tt.then(b, run, uint64(b.jobs))
				}
				pass(4 * time.Second)
				if len(b.bills()) == 0 {
					pass(keyPatience)
				}
				var mine []bus.UsageRecord
				for _, r := range b.bills() {
					if r.RunHash == RunHash(run) {
						mine = append(mine, r)
					}
				}
				require.Len(t, mine, 1)
				u := mine[0]
				require.Equal(t, tt.want, cost{
					u.Outcome, protocol.Code(u.Code), u.Key, u.InputTokens, u.OutputTokens, u.Estimated, u.Attempts, u.OutputBytes,
				})
				require.Equal(t, u.Key == "deployment", u.KeyID != "")
				require.Equal(t, u.Outcome == bus.EventComplete, u.Finish != "")
				require.Equal(t, "a", u.Provider)
				require.Empty(t, u.Asked)
				if name == "its follower left before its key" {
					require.False(t, b.over(uint64(b.jobs)))
					return
				}
				end := b.end(uint64(b.jobs))
				require.Equal(t, []any{u.Outcome, u.Code, u.Attempts}, []any{end.Type, end.Code, end.Attempts}, "the client was told something else")
				require.Equal(t, &bus.Usage{InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, Estimated: u.Estimated}, end.Usage)
				require.Equal(t, 1, strings.Count(log.String(), `"run":"`+run+`","session":"s","outcome":`)+
					strings.Count(log.String(), `"run":"`+run+`","outcome":`), "one line a run")
				require.NotContains(t, log.String(), "sk-")
				pass(2 * time.Minute) // those who sleep wake up
			})
		})
	}
}

// logbook is a log that can be read while others write.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// crash makes the actor of a run panic.
func (b *bench) crash(s *saboteur, run string) {
	m := &speak{}
	s.arm(sabotage{kind: kindRun, message: m})
	b.sys.root.Send(b.worker.runs.pid(run), m)
	pass(0)
}

// TestUsageFigures: tokens are counted under whoever answered.
func TestUsageFigures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{
			"a": serves(m.vendor("a", fails(provider.FaultKeyDenied, 0)), provider.Config{APIKeys: secrets("k1"), Fallback: []string{"b"}}),
			"b": serves(m.vendor("b", replies("Hi")), provider.Config{}),
		})
		b.put(bus.Job{Provider: "a"})
		require.InDelta(t, 5, b.figure("troupe_tokens_total", "input", "false", "b"), 0)
		require.InDelta(t, 7, b.figure("troupe_tokens_total", "output", "false", "b"), 0)
		require.Zero(t, b.figure("troupe_tokens_total", "output", "false", "a"))
		require.InDelta(t, 1, b.figure("troupe_runs_total", bus.EventComplete, "a"), 0)
	})
}

// TestUsageFiguresOfEveryEnd: what was spent is counted whatever became of the
// answer, told and guessed tokens apart.
func TestUsageFiguresOfEveryEnd(t *testing.T) {
	breaks := func(u *protocol.Usage) fakeProvider {
		return func(_ context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
			sink.Text([]byte("word"))
			return provider.Result{Model: q.Model, Fault: provider.FaultVendor, Usage: u}, &protocol.Error{Code: protocol.ProviderInterrupted, Message: "broken off"}
		}
	}
	tests := map[string]struct {
		step    fakeProvider
		cancel  bool
		outcome string
		guess   string
		in, out float64
	}{
		"complete":                   {replies("word"), false, bus.EventComplete, "false", 5, 7},
		"cancelled":                  {holds("word", "word"), true, bus.EventCancelled, "true", 8, 2},
		"broken off":                 {breaks(nil), false, bus.EventError, "true", 8, 1},
		"broken off after its count": {breaks(&protocol.Usage{InputTokens: 3, OutputTokens: 4}), false, bus.EventError, "false", 3, 4},
		"timed out":                  {holds("word"), false, bus.EventError, "true", 8, 1},
		"refused: nothing was spent": {fails(provider.FaultNone, 0), false, bus.EventError, "false", 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				b := newFirm(t, map[string]ProviderSetup{"a": listed(m.vendor("a", tt.step), provider.Config{Timeout: 5 * time.Second})})
				run := b.offer(bus.Job{Provider: "a", Session: "s", Name: "1"}).Run
				if tt.cancel {
					b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 1})
				}
				pass(6 * time.Second)
				require.InDelta(t, tt.in, b.figure("troupe_tokens_total", "input", tt.guess, "a"), 0)
				require.InDelta(t, tt.out, b.figure("troupe_tokens_total", "output", tt.guess, "a"), 0)
				require.InDelta(t, 1, b.figure("troupe_runs_total", tt.outcome, "a"), 0)
				require.Equal(t, []int{int(tt.in), int(tt.out)}, []int{b.bill().InputTokens, b.bill().OutputTokens}, "the bill says something else")
			})
		})
	}
}

// TestUsageWhileTheBusIsAway: records wait for the bus, and come in order.
func TestUsageWhileTheBusIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{"a": serves(m.vendor("a", takes(time.Second, "Hi")), provider.Config{})})
		var want []string
		for _, name := range []string{"1", "2", "3"} {
			b.put(bus.Job{Provider: "a", Name: name})
			pass(tick)
			want = append(want, name)
		}
		b.bus.locked(func() { b.bus.down = true })
		pass(5 * time.Second)
		require.Empty(t, b.bills())
		b.bus.locked(func() { b.bus.down = false })
		pass(beatEvery + tick)
		var got []string
		for _, r := range b.bills() {
			got = append(got, r.Name)
			require.WithinDuration(t, time.Now().Add(-4*time.Second), r.Time, time.Second, "the time of the end, not of the record's way")
		}
		require.Equal(t, want, got)
		pass(time.Minute)
		require.Len(t, b.bills(), len(want), "a record was said twice")
	})
}

// TestUsageKept: so many records wait, the oldest go first, and one line says how
// many were lost.
func TestUsageKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log logbook
		b := newFirm(t, map[string]ProviderSetup{}, func(p *plan) { p.log = &log })
		b.bus.locked(func() { b.bus.down = true })
		for n := range usageKept + 5 {
			b.worker.usage.say(b.bus, &bus.UsageRecord{Attempts: n})
		}
		pass(5 * beatEvery)
		const line = "Usage records lost"
		require.Equal(t, 1, strings.Count(log.String(), line))
		require.Contains(t, log.String(), `"lost":5,`)
		b.bus.locked(func() { b.bus.down = false })
		b.worker.usage.say(b.bus, &bus.UsageRecord{Attempts: usageKept + 5})
		pass(beatEvery + tick)
		bills := b.bills()
		require.Len(t, bills, usageKept)
		for i, r := range bills {
			require.Equal(t, i+6, r.Attempts, "the sixth went for the last one, and all came in order")
		}
		require.Equal(t, 2, strings.Count(log.String(), line))
	})
}
