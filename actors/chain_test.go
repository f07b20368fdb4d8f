package actors

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// listed is serves for a vendor that has an address and offers a model: nothing
// can be said of a question before it is asked.
func listed(talk provider.Provider, c provider.Config) ProviderSetup {
	if c.BaseURL == "" {
		c.BaseURL = "https://vendor.test/v1"
	}
	if c.DefaultModel == "" {
		c.DefaultModel = "m"
	}
	return serves(talk, c)
}

// foreign is a step: the vendor does not know the model that it is asked for, or
// its adapter knows that it does not.
func foreign(unsent bool) fakeProvider {
	return func(_ context.Context, q *provider.Question, _ provider.Sink) (provider.Result, error) {
		return provider.Result{Model: q.Model, Unsent: unsent, Usage: &protocol.Usage{}},
			&protocol.Error{Code: protocol.UnknownModel, Message: "no such model"}
	}
}

// TestChainGoesOn: a second provider that cannot answer, for whatever reason of
// its own, is followed by the third. What it says of the question itself is the
// end: it is not carried to one provider after the other.
func TestChainGoesOn(t *testing.T) {
	tests := map[string]struct {
		second fakeProvider
		config provider.Config
		want   []string // after the first one
	}{
		"cannot be reached": {fails(provider.FaultConnect, 0), provider.Config{}, []string{"b", "b", "b", "c"}},
		"is unwell":         {fails(provider.FaultVendor, 0), provider.Config{}, []string{"b", "b", "b", "c"}},
		"limits":            {fails(provider.FaultLimited, 60), provider.Config{}, []string{"b", "c"}},
		"refuses its key":   {fails(provider.FaultKeyRefused, 0), provider.Config{APIKeys: secrets("k2")}, []string{"b k2", "c"}},
		"has no credit":     {fails(provider.FaultKeySpent, 0), provider.Config{APIKeys: secrets("k2")}, []string{"b k2", "c"}},
		"may not":           {fails(provider.FaultKeyDenied, 0), provider.Config{APIKeys: secrets("k2")}, []string{"b k2", "c"}},

		"does not know its model":        {foreign(false), provider.Config{}, []string{"b", "c"}},
		"knows that it has no model":     {foreign(true), provider.Config{}, []string{"b", "c"}},
		"does not offer what is wanted":  {replies("never"), provider.Config{Models: []string{"small"}, DefaultModel: "small"}, []string{"c"}},
		"wants users' keys":              {replies("never"), provider.Config{UserKeys: provider.UserKeysRequire}, []string{"c"}},
		"wants users' keys, and has one": {replies("never"), provider.Config{UserKeys: provider.UserKeysRequire, APIKeys: secrets("k2")}, []string{"c"}},

		"rejects the question": {fails(provider.FaultNone, 0), provider.Config{}, []string{"b"}},
	}
	for name, tt := range tests {
		for _, movable := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, movable %v", name, movable), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var m market
					second := m.vendor("b", tt.second)
					if len(tt.config.Models) > 0 {
						second = stocked(tt.config.Models[0], second)
					}
					b := newFirm(t, map[string]ProviderSetup{
						"a": listed(m.vendor("a", fails(provider.FaultLimited, 60)), provider.Config{Fallback: []string{"b/big", "c"}}),
						"b": listed(second, tt.config),
						"c": listed(m.vendor("c", replies("Hi")), provider.Config{}),
					})
					to := b.put(bus.Job{Provider: "a", Movable: movable})
					pass(5 * time.Second)
					want := append([]string{"a"}, tt.want...)
					require.Equal(t, want, m.order())
					end := b.end(to)
					if tt.want[len(tt.want)-1] == "c" {
						require.Equal(t, []any{bus.EventComplete, "c"}, []any{end.Type, end.Provider}, end.Message)
					} else {
						require.Equal(t, []any{bus.EventError, "a", string(protocol.ProviderRateLimited)}, []any{end.Type, end.Provider, end.Code})
					}
					require.False(t, end.Elsewhere)
					b.idle()
				})
			})
		}
	}
}

// stocked is an adapter that asks its vendor for one model alone.
func stocked(model string, step fakeProvider) fakeProvider {
	return func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
		if q.Model != model {
			return foreign(true)(ctx, q, sink)
		}
		return step(ctx, q, sink)
	}
}

// TestChainUnknownModelOfTheFirst: the one who was asked for is another matter:
// the model is the question's own.
func TestChainUnknownModelOfTheFirst(t *testing.T) {
	for _, unsent := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			var m market
			b := newFirm(t, map[string]ProviderSetup{
				"a": listed(m.vendor("a", foreign(unsent)), provider.Config{Fallback: []string{"b"}}),
				"b": listed(m.vendor("b", replies("never")), provider.Config{}),
			})
			end := b.end(b.put(bus.Job{Provider: "a", Model: "nonsense"}))
			require.Equal(t, string(protocol.UnknownModel), end.Code)
			require.Equal(t, []string{"a"}, m.order())
			b.idle()
		})
	}
}

// TestChainOfAFullProvider: a provider without room, not even to wait, is passed
// at once by a question that may go on. One with a user's key may not: it hears
// that there is no room, and is asked of nobody else.
func TestChainOfAFullProvider(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		h := newOffice(t, map[string]ProviderSetup{
			"a": listed(m.vendor("a", holds("word")), provider.Config{MaxConcurrent: 1, MaxQueue: 1, Fallback: []string{"b"}}),
			"b": listed(m.vendor("b", replies("Hi")), provider.Config{}),
		})
		holder, waiter, unnamed, named, keyed := h.open("s1"), h.open("s2"), h.open("s3"), h.open("s4"), h.open("s5")
		holder.wants("1", "a")
		waiter.wants("1", "a")
		unnamed.wants("", "a")
		named.wants("1", "a")
		keyed.ask(&protocol.Chat{Content: "hi", Provider: "a", Keys: map[string]protocol.Secret{"a": secret("sk-user")}})
		require.Equal(t, []string{`{"type":"chunk","content":"Hi"}`, `{"type":"complete","full_response":"Hi"}`}, unnamed.take())
		require.Equal(t, []any{protocol.TypeComplete, "b", 1}, []any{named.last().Type, named.last().Provider, named.last().Attempts})
		require.Equal(t, protocol.Overloaded, keyed.last().Code)
		require.Equal(t, []string{"a", "b", "b"}, m.order())
		require.Empty(t, waiter.terminals("1"), "who has a place waits for its turn")

		pass(DefaultRuns().QueueTimeout + time.Second)
		require.Equal(t, []any{protocol.TypeComplete, "b"}, []any{waiter.last().Type, waiter.last().Provider})
		require.Equal(t, []string{"a", "b", "b", "b"}, m.order())
		holder.ask(&protocol.Cancel{ID: "1"})
		h.empty()
	})
}

// TestChainWhenTheAskerLeft: that another worker would be asked is the promise of
// whoever asked. Where that one has left and the run goes on, nobody will, and
// the next provider answers.
func TestChainWhenTheAskerLeft(t *testing.T) {
	for _, fault := range []provider.Fault{provider.FaultConnect, provider.FaultKeyRefused} {
		for _, stays := range []bool{false, true} {
			t.Run(fmt.Sprintf("fault %d, stays %v", fault, stays), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var m market
					slow := func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
						time.Sleep(2 * time.Second)
						return fails(fault, 0)(ctx, q, sink)
					}
					b := newFirm(t, map[string]ProviderSetup{
						"a": listed(m.vendor("a", slow), provider.Config{APIKeys: secrets("k1"), Fallback: []string{"b"}}),
						"b": listed(m.vendor("b", replies("Hello")), provider.Config{}),
					})
					run := b.offer(bus.Job{Provider: "a", Session: "s", Name: "1", Movable: true}).Run
					pass(time.Second)
					if !stays {
						b.control(bus.Control{Type: bus.ControlGone, Run: run, To: 1, OnDisconnect: protocol.OnDisconnectContinue})
					}
					pass(20 * time.Second)
					b.control(bus.Control{Type: bus.ControlResume, Run: run, To: 99})
					end := b.end(99)
					if stays {
						require.True(t, end.Elsewhere, "first the same provider elsewhere")
						require.NotContains(t, m.order(), "b")
						return
					}
					require.Equal(t, []any{bus.EventComplete, "b", false}, []any{end.Type, end.Provider, end.Elsewhere}, end.Message)
					require.Equal(t, "Hello", texts(b.heard(99)))
					require.Equal(t, "b", m.order()[len(m.order())-1])
					b.idle()
				})
			})
		}
	}
}
