package actors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// bench is a worker alone: the test plays the gateways.
type bench struct {
	*house
	jobs int
}

const desk1 = "gateway-1" // the gateway that the tests play

func newBench(t *testing.T, talk fakeProvider, change func(*plan)) *bench {
	t.Helper()
	p := defaultPlan()
	p.talk = talk
	if change != nil {
		change(&p)
	}
	h := build(t, p)
	h.bus.locked(func() { h.bus.gateway = nil }) // its events are ours
	return &bench{house: h}
}

// job offers one and returns its run_id; "" where it was not accepted.
func (b *bench) job(j bus.Job) string {
	b.t.Helper()
	b.jobs++
	if j.Job == "" {
		j.Job = fmt.Sprintf("job-%d", b.jobs)
	}
	if j.Provider == "" {
		j.Provider = "echo"
	}
	if j.To == 0 {
		j.To = uint64(b.jobs)
	}
	if j.Deadline == 0 {
		j.Deadline = time.Now().Add(offerTimeout).UnixMilli()
	}
	if j.OnDisconnect == "" {
		j.OnDisconnect = protocol.OnDisconnectGrace
	}
	j.Gateway, j.Session, j.Messages = desk1, "s", json.RawMessage(`[{"role":"user","content":"hi"}]`)
	b.worker.onJob(&j, subjectOf(j.To))
	synctest.Wait()
	replies := b.bus.replies()
	if len(replies) == 0 || replies[len(replies)-1].Type != bus.ReplyAccepted {
		return ""
	}
	return replies[len(replies)-1].Run
}

func (b *bench) control(c bus.Control) {
	if c.Gateway == "" {
		c.Gateway = desk1
	}
	if c.Session == "" {
		c.Session = "s"
	}
	b.worker.OnControl(&c, subjectOf(c.To))
	synctest.Wait()
}

// heard is what one follower heard, in order.
func (b *bench) heard(to uint64) []bus.Event {
	b.bus.mu.Lock()
	defer b.bus.mu.Unlock()
	var out []bus.Event
	for _, e := range b.bus.events {
		if e.To == to {
			out = append(out, e.Event)
		}
	}
	return out
}

// ends is the terminal events among what a follower heard.
func (b *bench) ends(to uint64) []bus.Event {
	return slices.DeleteFunc(b.heard(to), func(e bus.Event) bool {
		return e.Type == bus.EventChunk || e.Type == bus.EventSnapshot || e.Type == bus.EventStatus
	})
}

func texts(events []bus.Event) string {
	var b bytes.Buffer
	for _, e := range events {
		b.Write(e.Text)
	}
	return b.String()
}

// untilStopped is a provider that says one word and then nothing until it is
// told to stop; ended is closed when it has returned.
func untilStopped(ended chan<- error) fakeProvider {
	return func(ctx context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
		sink.Text([]byte("word"))
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return provider.Result{}, context.Cause(ctx)
	}
}

// TestRunOrder: accepted before the vendor is called, chunks numbered from 1,
// the first one and the end urgent, the end next in number.
func TestRunOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var b *bench
		b = newBench(t, func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
			require.Len(t, b.bus.replies(), 1, "the vendor was called before the accept was out")
			require.Equal(t, "hi", q.Messages[0].Content)
			return talker("a", `"`, "c")(ctx, q, sink)
		}, nil)
		run := b.job(bus.Job{})
		require.True(t, strings.HasPrefix(run, b.worker.ID()+runSeparator))
		require.Equal(t, 1, b.worker.Active())
		pass(time.Second)
		got := b.heard(1)
		require.Equal(t, []string{bus.EventStatus, run}, []string{got[0].Type, got[0].Run}, "its name first, should the accept be lost")
		got = got[1:]
		for i, e := range got[:3] {
			require.EqualValues(t, i+1, e.Seq)
		}
		require.Equal(t, `a\"c`, texts(got[:3]))
		end := b.ends(1)[0]
		require.Equal(t, bus.Event{
			Type: bus.EventComplete, To: 1, Run: run, Seq: 4, Provider: "echo", Model: "talk-1", Finish: "stop", Attempts: 1,
			Usage: &bus.Usage{InputTokens: 8, OutputTokens: 1, Estimated: true},
		}, end)
		b.bus.locked(func() {
			require.False(t, b.bus.events[0].urgent, "the name goes with the first chunk")
			require.True(t, b.bus.events[1].urgent)
			require.False(t, b.bus.events[2].urgent)
			require.True(t, b.bus.events[4].urgent)
		})
		require.Zero(t, b.worker.Active())
	})
}

// TestRunRefusesJobs: full, draining, repeated, stale and unknown ones.
func TestRunRefusesJobs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, talker("a"), func(p *plan) { p.maxRuns = 1 })
		require.NotEmpty(t, b.job(bus.Job{Job: "same"}))
		require.Empty(t, b.job(bus.Job{}))
		last := func() answer { r := b.bus.replies(); return r[len(r)-1] }
		require.Equal(t, bus.ReplyBusy, last().Type)
		pass(time.Second)
		n := len(b.bus.replies())
		b.job(bus.Job{Job: "same"})
		require.Len(t, b.bus.replies(), n, "a repeat of the bus was answered")
		b.worker.Heard(&bus.Beat{Role: bus.RoleGateway, ID: desk1, Sent: time.Now().UnixMilli()}, time.Now())
		b.job(bus.Job{Deadline: time.Now().Add(-time.Second).UnixMilli()})
		b.job(bus.Job{Provider: "nobody"})
		require.Len(t, b.bus.replies(), n, "a stale or foreign job was answered")
		b.worker.draining.Store(true)
		b.job(bus.Job{Deadline: time.Now().Add(time.Second).UnixMilli()})
		require.Equal(t, bus.ReplyBusy, last().Type)
		require.Zero(t, b.worker.Active())
	})
}

// TestRunSplitsPieces: no event is longer than half of what the bus carries, and
// neither an escape nor a character is cut.
func TestRunSplitsPieces(t *testing.T) {
	for name, unit := range map[string]string{"plain": "a", "escapes": "\"\\\n\x01", "characters": "ä€😀"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				text := strings.Repeat(unit, 2000/len(unit))
				b := newBench(t, talker(text, "end"), nil)
				b.bus.locked(func() { b.bus.max = 2048 })
				b.job(bus.Job{})
				pass(time.Second)
				got := slices.DeleteFunc(b.heard(1), func(e bus.Event) bool { return e.Type != bus.EventChunk })
				require.Greater(t, len(got), 3)
				var joined []byte
				for i, e := range got {
					require.EqualValues(t, i+1, e.Seq)
					require.LessOrEqual(t, len(e.Text), 512)
					plain, err := protocol.Unescape(nil, e.Text)
					require.NoError(t, err, "an escape was cut: %q", e.Text)
					joined = append(joined, plain...)
				}
				require.Equal(t, text+"end", string(joined))
			})
		})
	}
}

// TestRunMaxOutput: exactly so many bytes, then the call is ended and the answer
// is complete with finish_reason length, whether the vendor obeys or not.
func TestRunMaxOutput(t *testing.T) {
	for name, deaf := range map[string]bool{"obeys": false, "does not listen": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				hold := make(chan struct{})
				b := newBench(t, func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
					if deaf {
						sink.Text([]byte("abcdefghi€"))
						<-hold
						return provider.Result{}, nil
					}
					return talker("abcdef", "ghi€", "never")(ctx, q, sink)
				}, func(p *plan) { p.runs.MaxOutputBytes = 10 })
				b.job(bus.Job{})
				pass(stopPatience + time.Second)
				close(hold)
				end := b.ends(1)[0]
				require.Equal(t, bus.EventComplete, end.Type)
				require.Equal(t, protocol.FinishLength, end.Finish)
				chunks := slices.DeleteFunc(b.heard(1), func(e bus.Event) bool { return e.Type != bus.EventChunk })
				require.Equal(t, "abcdefghi", texts(chunks), "a character must not be cut")
				require.Zero(t, b.worker.Active())
			})
		})
	}
}

// TestRunCancel: cancelled is said after the vendor's call has returned.
func TestRunCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var b *bench
		var returned time.Time
		b = newBench(t, func(ctx context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
			sink.Text([]byte("word"))
			<-ctx.Done()
			time.Sleep(pace)
			sink.Text([]byte("too late"))
			require.Empty(t, b.ends(1), "the end was told before the vendor's connection was closed")
			returned = time.Now()
			return provider.Result{}, context.Cause(ctx)
		}, nil)
		run := b.job(bus.Job{})
		b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 1})
		pass(time.Second)
		require.False(t, returned.IsZero())
		end := b.ends(1)[0]
		require.Equal(t, bus.EventCancelled, end.Type)
		require.EqualValues(t, 2, end.Seq)
		require.Equal(t, "word", texts(b.heard(1)))
	})
}

// TestRunCancelIgnored: a vendor's call that does not end is told as it is.
func TestRunCancelIgnored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		b := newBench(t, func(context.Context, *provider.Question, provider.Sink) (provider.Result, error) {
			<-hold
			return provider.Result{}, nil
		}, nil)
		run := b.job(bus.Job{})
		b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 1})
		pass(stopPatience)
		close(hold)
		pass(time.Second)
		ends := b.ends(1)
		require.Equal(t, bus.EventError, ends[0].Type)
		require.Equal(t, string(protocol.Internal), ends[0].Code)
		require.Zero(t, b.worker.Active())
	})
}

// TestRunClocks: each clock ends a call that stopped moving, with its own words.
func TestRunClocks(t *testing.T) {
	wait := func(ctx context.Context, d time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	}
	clocks := provider.Config{FirstTokenTimeout: 10 * time.Second, StallTimeout: 3 * time.Second, Timeout: 30 * time.Second}
	tests := []struct {
		name string
		talk fakeProvider
		at   time.Duration
		want string
	}{
		{"first token", func(ctx context.Context, _ *provider.Question, _ provider.Sink) (provider.Result, error) {
			wait(ctx, time.Hour)
			return provider.Result{}, ctx.Err()
		}, 10 * time.Second, "The provider said nothing for 10s."},
		{"stall", func(ctx context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
			wait(ctx, 5*time.Second)
			sink.Text([]byte("a"))
			wait(ctx, time.Hour)
			return provider.Result{}, ctx.Err()
		}, 8 * time.Second, "The provider fell silent for 3s in the middle of its answer."},
		{"progress without text", func(ctx context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
			for ctx.Err() == nil {
				wait(ctx, 2*time.Second)
				sink.Progress()
			}
			return provider.Result{}, ctx.Err()
		}, 30 * time.Second, "The answer took longer than 30s in all."},
		{"never ending", func(ctx context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
			for ctx.Err() == nil {
				wait(ctx, 2*time.Second)
				sink.Text([]byte("a"))
			}
			return provider.Result{}, ctx.Err()
		}, 30 * time.Second, "The answer took longer than 30s in all."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := newBench(t, tt.talk, func(p *plan) { p.setup = clocks })
				b.job(bus.Job{})
				pass(tt.at - time.Millisecond)
				require.Empty(t, b.ends(1), "too early")
				pass(250 * time.Millisecond)
				require.NotEmpty(t, b.ends(1), "too late")
				end := b.ends(1)[0]
				require.Equal(t, string(protocol.ProviderTimeout), end.Code)
				require.Equal(t, tt.want, end.Message)
				require.Zero(t, b.worker.Active())
			})
		})
	}
}

// TestRunKey: sealed by the gateway, opened here, wiped after the call.
func TestRunKey(t *testing.T) {
	seal := func(t *testing.T, b *bench, run, prov string) []byte {
		sealed, err := bus.Seal(b.worker.keys.PublicKey(), []byte("sk-canary"), bus.SealInfo(run, prov))
		require.NoError(t, err)
		return sealed
	}
	t.Run("round trip", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			var key protocol.Secret
			b := newBench(t, func(_ context.Context, q *provider.Question, _ provider.Sink) (provider.Result, error) {
				key = q.Key
				require.Equal(t, "sk-canary", string(key.Reveal()))
				return provider.Result{}, nil
			}, nil)
			run := b.job(bus.Job{NeedsKey: true, Provider: "vendor"})
			pass(time.Second)
			require.Empty(t, b.ends(1), "the vendor was called without its key")
			b.control(bus.Control{Type: bus.ControlKey, Run: run, To: 1, Sealed: seal(t, b, run, "vendor")})
			require.Equal(t, bus.EventComplete, b.ends(1)[0].Type)
			require.Equal(t, make([]byte, 9), key.Reveal(), "the key outlived the call")
		})
	})
	t.Run("for another run", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBench(t, talker("a"), nil)
			run := b.job(bus.Job{NeedsKey: true, Provider: "vendor"})
			b.control(bus.Control{Type: bus.ControlKey, Run: run, To: 1, Sealed: seal(t, b, "other", "vendor")})
			require.Equal(t, string(protocol.Internal), b.ends(1)[0].Code)
		})
	})
	t.Run("late", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBench(t, talker("a"), nil)
			run := b.job(bus.Job{NeedsKey: true, Provider: "vendor"})
			pass(keyPatience)
			require.Contains(t, b.ends(1)[0].Message, "did not arrive")
			b.control(bus.Control{Type: bus.ControlKey, Run: run, To: 1, Sealed: seal(t, b, run, "vendor")})
			pass(time.Second)
			require.Empty(t, b.bus.eventsOf(bus.EventChunk), "an ended run called its vendor")
		})
	})
	t.Run("cancelled before it came", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBench(t, talker("a"), nil)
			run := b.job(bus.Job{NeedsKey: true, Provider: "vendor"})
			b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 1})
			require.Equal(t, bus.EventCancelled, b.ends(1)[0].Type)
			require.Zero(t, b.worker.Active())
		})
	})
}

// TestRunVendorErrors: a coded error passes, anything else is INTERNAL, a panic
// is one INTERNAL and nothing else dies.
func TestRunVendorErrors(t *testing.T) {
	coded := &protocol.Error{Code: protocol.ProviderRejected, Message: "Too long.", RetryAfter: 3, Err: errors.New("inside")}
	tests := map[string]struct {
		fail func() error
		want protocol.Code
	}{
		"coded":   {func() error { return fmt.Errorf("wrapped: %w", coded) }, protocol.ProviderRejected},
		"uncoded": {func() error { return errors.New("sk-canary") }, protocol.Internal},
		"panic":   {func() error { panic("sk-canary") }, protocol.Internal},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log bytes.Buffer
				b := newBench(t, func(_ context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
					sink.Text([]byte("half"))
					return provider.Result{}, tt.fail()
				}, func(p *plan) { p.log = &log })
				b.job(bus.Job{})
				ends := b.ends(1)
				require.Len(t, ends, 1)
				require.Equal(t, string(tt.want), ends[0].Code)
				require.EqualValues(t, 2, ends[0].Seq)
				require.Equal(t, name == "coded", ends[0].RetryAfter == 3)
				require.NotContains(t, ends[0].Message, "canary")
				require.Zero(t, b.worker.Active())
				if name == "panic" {
					require.NotContains(t, log.String(), "canary")
					require.Contains(t, log.String(), "Panic caught")
				}
			})
		})
	}
}
