package actors

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
)

// TestUserKeyIsWiped: however a call with a user's key ends, when the run is over
// nothing is left of the bytes that the vendor was asked with. The deployment's
// own keys live on.
func TestUserKeyIsWiped(t *testing.T) {
	const key = "sk-user-canary"
	cancel := func(b *bench, _ *saboteur, run string) {
		b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 1})
	}
	panicking := func(context.Context, *provider.Question, provider.Sink) (provider.Result, error) { panic("adapter") }
	deaf := func(context.Context, *provider.Question, provider.Sink) (provider.Result, error) {
		time.Sleep(time.Minute)
		return provider.Result{}, nil
	}
	tests := map[string]struct {
		steps []fakeProvider
		then  func(b *bench, s *saboteur, run string)
		calls int
	}{
		"success":                             {[]fakeProvider{replies("Hi")}, nil, 1},
		"success after a retry":               {[]fakeProvider{fails(provider.FaultVendor, 0), replies("Hi")}, nil, 2},
		"refused by the vendor":               {[]fakeProvider{fails(provider.FaultKeyRefused, 0)}, nil, 1},
		"the vendor is unwell":                {[]fakeProvider{fails(provider.FaultVendor, 0)}, nil, 3},
		"the question is rejected":            {[]fakeProvider{fails(provider.FaultNone, 0)}, nil, 1},
		"timed out":                           {[]fakeProvider{holds("Hel")}, nil, 1},
		"cancelled in mid-stream":             {[]fakeProvider{holds("Hel")}, cancel, 1},
		"cancelled between two calls":         {[]fakeProvider{fails(provider.FaultVendor, 0)}, cancel, 1},
		"cancelled, and nobody listens":       {[]fakeProvider{deaf}, cancel, 1},
		"the adapter panics":                  {[]fakeProvider{panicking}, nil, 1},
		"the adapter panics in a second call": {[]fakeProvider{fails(provider.FaultVendor, 0), panicking}, nil, 2},
		"the run crashes":                     {[]fakeProvider{holds("Hel")}, func(b *bench, s *saboteur, run string) { b.crash(s, run) }, 1},
		"the worker shuts down": {[]fakeProvider{holds("Hel")}, func(b *bench, _ *saboteur, _ string) {
			ctx, done := contextFor(time.Second)
			defer done()
			b.worker.Drain(ctx)
		}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				var s saboteur
				c := provider.Config{APIKeys: secrets("sk-deployment"), Timeout: 5 * time.Second}
				b := newFirm(t, map[string]ProviderSetup{"a": listed(m.vendor("a", tt.steps...), c)}, func(p *plan) { p.inject = s.inject })
				run := b.offer(bus.Job{Provider: "a", Session: "s", Name: "1", NeedsKey: true}).Run
				b.sealed(1, run, "a", key)
				if tt.then != nil {
					tt.then(b, &s, run)
				}
				pass(2 * time.Minute) // those who sleep wake up
				require.True(t, b.over(1))
				calls := m.all()
				require.Len(t, calls, tt.calls)
				for _, call := range calls {
					require.Equal(t, key, call.key, "it was wiped too early")
					require.Equal(t, make([]byte, len(key)), call.asked.Key.Reveal(), "the key outlived its run")
				}
				require.Equal(t, "sk-deployment", string(c.APIKeys[0].Reveal()))
				b.idle()
			})
		})
	}
}

// TestUserKeyIsEmpty: a sealed key that turns out to be empty is no key. It must
// not be taken for a question without one, which the deployment pays.
func TestUserKeyIsEmpty(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{
			"a": listed(m.vendor("a", replies("never")), provider.Config{APIKeys: secrets("k1"), Fallback: []string{"b"}}),
			"b": listed(m.vendor("b", replies("never")), provider.Config{APIKeys: secrets("k2")}),
		})
		run := b.offer(bus.Job{Provider: "a", Session: "s", Name: "1", NeedsKey: true}).Run
		b.sealed(1, run, "a", "")
		pass(keyPatience + time.Second)
		require.Empty(t, m.order())
		require.Equal(t, []any{bus.EventError, 0, &bus.Usage{}}, []any{b.end(1).Type, b.end(1).Attempts, b.end(1).Usage})
		bill := b.bill()
		require.Equal(t, []any{"user", "", 0}, []any{bill.Key, bill.KeyID, bill.Attempts})
		b.idle()
	})
}
