package actors

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
)

// fingerprint names a deployment's key as records and beats do.
func fingerprint(key string) string {
	sum := sha256.Sum256([]byte("troupe deployment key 1\x00" + key))
	return hex.EncodeToString(sum[:8])
}

// TestBillOfAFallback: whoever was asked last is on the bill, and in the end that
// the client hears, also where the call never says so itself.
func TestBillOfAFallback(t *testing.T) {
	deaf := func(words ...string) fakeProvider {
		return func(_ context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
			for _, w := range words {
				sink.Text([]byte(w))
			}
			time.Sleep(time.Minute)
			return provider.Result{}, errors.New("never heard")
		}
	}
	cancel := func(b *bench, _ *saboteur, run string) {
		b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 1})
	}
	crash := func(b *bench, s *saboteur, run string) { b.crash(s, run) }
	tests := map[string]struct {
		step  fakeProvider
		then  func(b *bench, s *saboteur, run string)
		model string // of one that began to answer: else it is only what somebody wrote
	}{
		"it falls silent and does not return": {deaf("word"), nil, "big"},
		"it says nothing and does not return": {deaf(), nil, ""},
		"cancelled, and does not return":      {deaf("word"), cancel, "big"},
		"cancelled":                           {holds("word"), cancel, "big"},
		"its run crashes":                     {holds("word"), crash, "big"},
		"its run crashes before a word":       {holds(), crash, ""},
		"its adapter panics": {func(context.Context, *provider.Question, provider.Sink) (provider.Result, error) {
			panic("adapter")
		}, nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				var s saboteur
				clocks := provider.Config{FirstTokenTimeout: 2 * time.Second, StallTimeout: 2 * time.Second}
				first, next := clocks, clocks
				first.APIKeys, first.Fallback = secrets("k1"), []string{"b/big"}
				next.APIKeys = secrets("k2")
				b := newFirm(t, map[string]ProviderSetup{
					"a": listed(m.vendor("a", fails(provider.FaultKeyDenied, 0)), first),
					"b": listed(m.vendor("b", tt.step), next),
				}, func(p *plan) { p.inject = s.inject })
				run := b.offer(bus.Job{Provider: "a", Session: "s", Name: "1"}).Run
				if tt.then != nil {
					tt.then(b, &s, run)
				}
				defer pass(2 * time.Minute) // those who sleep wake up
				pass(10 * time.Second)
				bill := b.bill()
				require.Equal(t,
					[]any{"b", "a", tt.model, "deployment", fingerprint("k2"), 2},
					[]any{bill.Provider, bill.Asked, bill.Model, bill.Key, bill.KeyID, bill.Attempts})
				require.Equal(t, []any{"b", 2}, []any{b.end(1).Provider, b.end(1).Attempts})
				pass(time.Minute)
				b.bill()
				b.idle()
			})
		})
	}
}

// stutter is a speaker that panics at the first end it is given.
type stutter struct {
	*fakeBus
	done atomic.Bool
}

func (s *stutter) Publish(gateway string, e *bus.Event, urgent bool) {
	if isEnd(e) && s.done.CompareAndSwap(false, true) {
		panic("stutter")
	}
	s.fakeBus.Publish(gateway, e, urgent)
}

// newFirmOn is newFirm with a worker whose bus and speaker are made of the fake
// one.
func newFirmOn(t *testing.T, link func(*fakeBus) (Work, Speaker), providers map[string]ProviderSetup, change ...func(*plan)) *bench {
	t.Helper()
	p := defaultPlan()
	for _, c := range change {
		c(&p)
	}
	h := build(t, p)
	h.bus.locked(func() { h.bus.gateway, h.bus.beating = nil, nil })
	work, speaker := link(h.bus)
	w, err := NewWorker(h.sys, work, speaker, h.sys.log, WorkerOptions{
		Version: "test", Worker: WorkerConfig{MaxRuns: 100, DrainTimeout: time.Second}, Runs: p.runs, Providers: providers,
	})
	require.NoError(t, err)
	require.NoError(t, w.Start())
	h.bus.locked(func() { h.bus.worker = w })
	h.worker = w
	pass(0)
	return &bench{house: h}
}

// TestBillOnce: a run that dies while it tells its end has been paid for already:
// its supervisor tells the end, and writes no second bill.
func TestBillOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		var log logbook
		talk := &stutter{}
		b := newFirmOn(t, func(f *fakeBus) (Work, Speaker) {
			talk.fakeBus = f
			return f, talk
		}, map[string]ProviderSetup{"a": listed(m.vendor("a", replies("Hi")), provider.Config{})}, func(p *plan) { p.log = &log })
		to := b.put(bus.Job{Provider: "a", Name: "1"})
		pass(5 * time.Second)
		require.True(t, talk.done.Load(), "nothing panicked: this proves nothing")
		require.True(t, b.over(to), "the client waits for its end")
		bill := b.bill()
		require.Equal(t, []any{bus.EventComplete, 5, 7, 1}, []any{bill.Outcome, bill.InputTokens, bill.OutputTokens, bill.Attempts})
		require.InDelta(t, 7, b.figure("troupe_tokens_total", "output", "false", "a"), 0)
		require.InDelta(t, 1, b.figure("troupe_runs_total", bus.EventComplete, "a"), 0)
		require.Equal(t, 1, strings.Count(log.String(), "Run ended"))
		require.Zero(t, b.worker.Active())
		b.idle()
	})
}
