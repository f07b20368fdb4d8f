package actors

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/upstream"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestTrialIsSilent: a key that rested as a whole is tried with one question.
// When the vendor has taken it the key is good for all, though the model may
// think for minutes before that question's first word.
func TestTrialIsSilent(t *testing.T) {
	ponders := func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
		sink.Progress() // the answer has begun: that is all that is heard of it
		return holds()(ctx, q, sink)
	}
	for name, tt := range map[string]struct {
		fault provider.Fault
		rest  time.Duration
	}{
		"spent":   {provider.FaultKeySpent, 30 * time.Second},
		"refused": {provider.FaultKeyRefused, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				b := newFirm(t, map[string]ProviderSetup{
					"a": listed(m.vendor("a", fails(tt.fault, 0), ponders, replies("Hi")), provider.Config{APIKeys: secrets("k1")}),
				})
				b.put(bus.Job{Provider: "a"})
				require.Equal(t, string(protocol.ProviderUnavailable), b.end(b.put(bus.Job{Provider: "a"})).Code, "the key does not rest: this proves nothing")
				pass(tt.rest + time.Second)
				thinker := b.put(bus.Job{Provider: "a", Name: "1"})
				for range 5 {
					pass(time.Second)
					require.Equal(t, bus.EventComplete, b.end(b.put(bus.Job{Provider: "a"})).Type)
				}
				require.False(t, b.over(thinker))
				require.Len(t, m.all(), 7)
			})
		})
	}
}

// TestTrialIsOne: until the vendor has taken the key nobody else tries it.
func TestTrialIsOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{
			"a": listed(m.vendor("a", fails(provider.FaultKeySpent, 0), holds()), provider.Config{APIKeys: secrets("k1")}),
		})
		b.put(bus.Job{Provider: "a"})
		pass(31 * time.Second)
		b.put(bus.Job{Provider: "a", Name: "1"})
		require.Equal(t, string(protocol.ProviderUnavailable), b.end(b.put(bus.Job{Provider: "a"})).Code)
		require.Len(t, m.all(), 2)
	})
}

// shop is a vendor that knows by itself which one model it offers, as those over
// HTTP do.
type shop struct{ fakeProvider }

// Check implements provider.Checker.
func (shop) Check(model string, keyed bool) (provider.Fault, error) {
	return provider.Check("a", &provider.Config{Type: provider.TypeOpenAI, BaseURL: "https://vendor.test/v1", Models: []string{"m"}}, model, keyed)
}

// junkKinds are the two ways to find out that a model is not offered: before a
// question stands at the provider, and by the adapter that was handed it.
func junkKinds(step fakeProvider) map[string]map[string]ProviderSetup {
	c := provider.Config{Models: []string{"m"}, DefaultModel: "m"}
	return map[string]map[string]ProviderSetup{
		"known before":      {"a": listed(shop{step}, c)},
		"known when handed": {"a": listed(stocked("m", step), c)},
	}
}

// TestJunkHidesNoFailure: questions for a model that is not offered reach no
// vendor, so they say nothing of its health: however many a stranger sends among
// those that fail, the breaker opens.
func TestJunkHidesNoFailure(t *testing.T) {
	for name, providers := range junkKinds(fails(provider.FaultVendor, 0)) {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := newFirm(t, providers)
				for range 10 {
					b.put(bus.Job{Provider: "a", Model: "m"})
					for range 4 {
						require.Zero(t, b.end(b.put(bus.Job{Provider: "a", Model: "nonsense"})).Attempts)
					}
					pass(50 * time.Millisecond)
				}
				pass(time.Second)
				require.Equal(t, upstream.Open, b.worker.served["a"].line.Load().Breaker)
				pass(5 * time.Second) // those who wait for a short rest have asked once more
				b.idle()
			})
		})
	}
}

// TestJunkBuysNoRetries: nor do they count as calls of which a tenth may be
// repeated.
func TestJunkBuysNoRetries(t *testing.T) {
	for name := range junkKinds(nil) {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				shaky := make([]fakeProvider, 0, 8)
				for range 4 {
					shaky = append(shaky, fails(provider.FaultVendor, 0), replies("Hello"))
				}
				b := newFirm(t, junkKinds(m.vendor("a", shaky...))[name])
				for range 100 {
					b.put(bus.Job{Provider: "a", Model: "nonsense"})
				}
				require.Empty(t, m.all())
				ask := func() bus.Event {
					to := b.put(bus.Job{Provider: "a", Model: "m"})
					pass(time.Second)
					return b.end(to)
				}
				for range retriesOfQuietLine {
					require.Equal(t, bus.EventComplete, ask().Type)
				}
				end := ask()
				require.Equal(t, []any{bus.EventError, 1}, []any{end.Type, end.Attempts}, "a retry that nobody earned")
			})
		})
	}
}
