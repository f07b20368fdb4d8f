package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/upstream"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// failuresToOpen is how many calls in a row have to fail before a provider
// rests; opensFor is how long it does at first, about.
const (
	failuresToOpen = 5
	opensFor       = 2 * time.Second
)

// said is the newest beat of the worker, and what it says of a provider.
func (b *bench) said(name string) (beat bus.Beat, o bus.Offer) {
	b.t.Helper()
	b.bus.locked(func() {
		for i := len(b.bus.beats) - 1; i >= 0 && o.Name == ""; i-- {
			if beat = b.bus.beats[i]; beat.ID == b.worker.ID() {
				for _, offer := range beat.Providers {
					if offer.Name == name {
						o = offer
					}
				}
			}
		}
	})
	require.Equal(b.t, name, o.Name, "the worker did not beat")
	return beat, o
}

// sick is a provider whose vendor fails so many times and is well then.
func sick(m *market, times int, c provider.Config) ProviderSetup {
	steps := make([]fakeProvider, times, times+1)
	for i := range steps {
		steps[i] = fails(provider.FaultVendor, 0)
	}
	return serves(m.vendor("a", append(steps, replies("well again"))...), c)
}

// TestRestIsTold: an open breaker is told at once, to the user with the time to
// wait, to others in a beat that does not wait for its turn; nobody is called.
func TestRestIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{"a": sick(&m, failuresToOpen, provider.Config{})})
		b.put(bus.Job{Provider: "a"})
		pass(time.Second)
		to := b.put(bus.Job{Provider: "a"})
		began := time.Now()
		for !b.over(to) {
			pass(time.Millisecond)
		}
		require.Less(t, time.Since(began), time.Second)
		pass(restsSoon)
		beat, o := b.said("a")
		require.WithinDuration(t, time.Now(), time.UnixMilli(beat.Sent), 2*time.Millisecond, "others wait for the next beat")
		require.Equal(t, provider.StateResting, o.State)
		require.Equal(t, "fault 2", b.end(to).Message, "the vendor's own refusal tells more")

		asked := b.put(bus.Job{Provider: "a"})
		end := b.end(asked)
		require.Len(t, m.all(), failuresToOpen, "a vendor that rests was called")
		require.Equal(t, []any{string(protocol.ProviderUnavailable), 0, false}, []any{end.Code, end.Attempts, end.Elsewhere})
		require.Equal(t, "Provider a did not answer well lately and is left alone for a while. Try again later, or ask another provider.", end.Message)
		require.InDelta(t, opensFor.Seconds(), end.RetryAfter, 1)
		require.Equal(t, &bus.Usage{}, end.Usage)
		require.Equal(t, o.RetryAfter, end.RetryAfter)
		require.Len(t, o.Rests, 1)
		require.Equal(t, []string{"", "", string(upstream.WhyFailing)}, []string{o.Rests[0].Key, o.Rests[0].Model, o.Rests[0].Why})
		require.InDelta(t, opensFor.Milliseconds(), o.Rests[0].For, float64(opensFor.Milliseconds())/8)
		pass(beatEvery)
		require.InDelta(t, 1, b.figure("troupe_provider_resting", "a"), 0)

		pass(opensFor + time.Second)
		probe := b.put(bus.Job{Provider: "a"})
		require.Equal(t, bus.EventComplete, b.end(probe).Type, "the rest is over")
		pass(restsSoon)
		_, o = b.said("a")
		require.Equal(t, []any{stateReady, 0, 0}, []any{o.State, o.RetryAfter, len(o.Rests)}, "that it is over is told at once, too")
		pass(beatEvery)
		require.Zero(t, b.figure("troupe_provider_resting", "a"))
	})
}

// TestRestAndFallback: while a provider rests the next one answers, and clients
// are not told that it rests.
func TestRestAndFallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{
			"a": sick(&m, failuresToOpen, provider.Config{Fallback: []string{"b/big"}}),
			"b": serves(m.vendor("b", replies("Hi")), provider.Config{}),
		})
		for range 2 {
			b.put(bus.Job{Provider: "a"})
			pass(time.Second)
		}
		calls := len(m.all())
		for _, movable := range []bool{false, true} {
			end := b.end(b.put(bus.Job{Provider: "a", Movable: movable}))
			require.Equal(t, []any{bus.EventComplete, "b", "big", 1}, []any{end.Type, end.Provider, end.Model, end.Attempts})
		}
		require.Equal(t, []string{"b", "b"}, m.order()[calls:])
		_, o := b.said("a")
		require.Equal(t, stateReady, o.State)
		require.Len(t, o.Rests, 1, "other workers need to know all the same")
	})
}

// colleague is a second worker of the same providers, on a bus of its own: it
// hears what the test gives it.
func (b *bench) colleague(providers map[string]ProviderSetup) *bench {
	b.t.Helper()
	other := newFakeBus()
	w := b.hire(other, DefaultRuns(), providers)
	b.t.Cleanup(func() {
		ctx, cancel := contextFor(time.Second)
		defer cancel()
		w.Stop(ctx)
	})
	h := *b.house
	h.bus, h.worker = other, w
	return &bench{house: &h}
}

// TestRestIsBelieved: a second worker leaves the vendor alone as long as the
// first one says, and asks it then; what a worker says that leaves is forgotten.
func TestRestIsBelieved(t *testing.T) {
	tests := map[string]struct {
		change func(*bus.Beat)
		then   func(b *bench, beat bus.Beat)
		rests  bool
	}{
		"believed":             {rests: true},
		"said by a gateway":    {change: func(b *bus.Beat) { b.Role = bus.RoleGateway }},
		"of another type":      {change: func(b *bus.Beat) { b.Providers[0].Type = provider.TypeGemini }},
		"of another provider":  {change: func(b *bus.Beat) { b.Providers[0].Name = "b" }},
		"of a key that is not": {change: func(b *bus.Beat) { b.Providers[0].Rests[0].Key = "0123456789abcdef" }},
		"it has left": {then: func(b *bench, beat bus.Beat) {
			beat.Leaving = true
			b.worker.Heard(&beat, time.Now())
		}},
		"it is well again": {then: func(b *bench, beat bus.Beat) {
			beat.Providers = []bus.Offer{{Name: "a", Type: provider.TypeOpenAI, State: stateReady}}
			b.worker.Heard(&beat, time.Now())
		}},
		"another one left": {rests: true, then: func(b *bench, beat bus.Beat) {
			beat.ID, beat.Leaving = "w9", true
			b.worker.Heard(&beat, time.Now())
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m, unharmed market
				b := newFirm(t, map[string]ProviderSetup{"a": sick(&m, failuresToOpen, provider.Config{})})
				other := b.colleague(map[string]ProviderSetup{"a": sick(&unharmed, 0, provider.Config{})})
				b.put(bus.Job{Provider: "a"})
				pass(time.Second)
				to := b.put(bus.Job{Provider: "a"})
				for !b.over(to) {
					pass(time.Millisecond)
				}
				pass(restsSoon)
				beat, o := b.said("a")
				beat.Providers = []bus.Offer{o}
				beat.Providers[0].Rests = append([]bus.Rest(nil), o.Rests...)
				if tt.change != nil {
					tt.change(&beat)
				}
				other.worker.Heard(&beat, time.Now())
				if tt.then != nil {
					tt.then(other, beat)
				}
				end := other.end(other.put(bus.Job{Provider: "a"}))
				if !tt.rests {
					require.Equal(t, bus.EventComplete, end.Type)
					return
				}
				require.Equal(t, string(protocol.ProviderUnavailable), end.Code)
				require.Empty(t, unharmed.all())
				_, mine := other.said("a")
				require.Empty(t, mine.Rests, "hearsay is not passed on: it would never end")
				pass(time.Duration(o.Rests[0].For) * time.Millisecond)
				require.Equal(t, bus.EventError, other.end(other.put(bus.Job{Provider: "a"})).Type, "who saw it tries first")
				pass(time.Second + tick)
				require.Equal(t, bus.EventComplete, other.end(other.put(bus.Job{Provider: "a"})).Type)
			})
		})
	}
}

// TestKeyRests: what one worker learns of a key the other one knows; a key that
// is limited for a model is good for others.
func TestKeyRests(t *testing.T) {
	tests := map[string]struct {
		fault provider.Fault
		after int // s, as the vendor says
		why   upstream.Reason
		model string // that rests
		rest  time.Duration
		other bool // another model may be asked
	}{
		"refused": {provider.FaultKeyRefused, 0, upstream.WhyRefused, "", 5 * time.Minute, false},
		"spent":   {provider.FaultKeySpent, 0, upstream.WhySpent, "", 30 * time.Second, false},
		"limited": {provider.FaultLimited, 30, upstream.WhyLimited, "big", 30 * time.Second, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m, heard market
				c := provider.Config{APIKeys: secrets("k1")}
				b := newFirm(t, map[string]ProviderSetup{"a": serves(m.vendor("a", fails(tt.fault, tt.after)), c)})
				other := b.colleague(map[string]ProviderSetup{"a": serves(heard.vendor("a", replies("Hi")), provider.Config{APIKeys: secrets("k2", "k1")})})
				b.put(bus.Job{Provider: "a", Model: "big"})
				pass(restsSoon)
				beat, o := b.said("a")
				require.Len(t, o.Rests, 1)
				rest := o.Rests[0]
				require.NotContains(t, rest.Key, "k1")
				require.Equal(t, []any{tt.model, string(tt.why), (tt.rest - restsSoon).Milliseconds()}, []any{rest.Model, rest.Why, rest.For})
				if !tt.other {
					require.Equal(t, provider.StateResting, o.State)
				}
				end := b.end(b.put(bus.Job{Provider: "a", Model: "big"}))
				require.Equal(t, []any{string(protocol.ProviderUnavailable), int(tt.rest.Seconds()), 0}, []any{end.Code, end.RetryAfter, end.Attempts})
				require.Len(t, m.all(), 1)

				other.worker.Heard(&beat, time.Now())
				for range 3 {
					other.put(bus.Job{Provider: "a", Model: "big"})
				}
				require.Equal(t, []string{"a k2", "a k2", "a k2"}, heard.order())
				for range 2 {
					other.put(bus.Job{Provider: "a", Model: "small"})
				}
				require.Equal(t, tt.other, strings.Contains(strings.Join(heard.order(), " "), "k1"))

				user := b.offer(bus.Job{Provider: "a", Session: "s", Model: "big", NeedsKey: true})
				b.sealed(3, user.Run, "a", "sk-user")
				require.Equal(t, "a sk-user", m.order()[1], "the user's own key does not rest")
			})
		})
	}
}

// TestRestOfAKeyIsToldFirst: a beat tells a bounded number of rests. However many
// models strangers ask for until they are limited, that a key is refused is not
// crowded out, wherever the key stands.
func TestRestOfAKeyIsToldFirst(t *testing.T) {
	for _, keys := range [][]string{{"k1", "k2"}, {"k2", "k1"}} {
		t.Run(keys[0], func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				b := newFirm(t, map[string]ProviderSetup{"a": listed(
					m.vendor("a", fails(provider.FaultKeyRefused, 0), fails(provider.FaultLimited, 3600)), provider.Config{APIKeys: secrets(keys...)},
				)})
				for i := range restsTold + 16 {
					b.put(bus.Job{Provider: "a", Model: fmt.Sprintf("m%03d", i)})
				}
				pass(restsSoon)
				_, o := b.said("a")
				require.Len(t, o.Rests, restsTold)
				require.Equal(t, []string{fingerprint(keys[0]), "", string(upstream.WhyRefused)}, []string{o.Rests[0].Key, o.Rests[0].Model, o.Rests[0].Why})
			})
		})
	}
}

// TestKeyFigures: keys that rest as a whole are counted apart; one that is
// limited for a model can be used.
func TestKeyFigures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{"a": serves(
			m.vendor("a", fails(provider.FaultKeySpent, 0), fails(provider.FaultLimited, 60), replies("Hi")),
			provider.Config{APIKeys: secrets("k1", "k2", "k3")},
		)})
		b.put(bus.Job{Provider: "a", Model: "big"})
		require.Len(t, m.all(), 3)
		pass(beatEvery)
		require.InDelta(t, 2, b.figure("troupe_provider_keys", "a", "ready"), 0)
		require.InDelta(t, 1, b.figure("troupe_provider_keys", "a", "resting"), 0)
		require.InDelta(t, 1, b.figure("troupe_provider_calls_total", "a", "key"), 0)
		require.InDelta(t, 1, b.figure("troupe_provider_calls_total", "a", "ok"), 0)
	})
}

// TestRestElsewhere: another worker may have a key that is not refused; a vendor
// that is unwell is so for all.
func TestRestElsewhere(t *testing.T) {
	for name, tt := range map[string]struct {
		fault provider.Fault
		want  bool
	}{"refused": {provider.FaultKeyRefused, true}, "spent": {provider.FaultKeySpent, true}, "limited": {provider.FaultLimited, false}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				b := newFirm(t, map[string]ProviderSetup{
					"a": serves(m.vendor("a", fails(tt.fault, 30)), provider.Config{APIKeys: secrets("k1")}),
				})
				b.put(bus.Job{Provider: "a"})
				end := b.end(b.put(bus.Job{Provider: "a", Movable: true}))
				require.Equal(t, []any{tt.want, 0}, []any{end.Elsewhere, end.Attempts})
			})
		})
	}
}

// TestRestEndsWithAReload: an operator who reloads says that the keys are good
// again; keys that were added are used.
func TestRestEndsWithAReload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		setup := serves(m.vendor("a", fails(provider.FaultKeyRefused, 0), replies("Hi")), provider.Config{APIKeys: secrets("k1")})
		b := newFirm(t, map[string]ProviderSetup{"a": setup})
		b.put(bus.Job{Provider: "a"})
		require.Equal(t, bus.EventError, b.end(b.put(bus.Job{Provider: "a"})).Type)
		setup.Config.APIKeys = secrets("k1", "k2")
		b.worker.Reload(map[string]ProviderSetup{"a": setup})
		for range 2 {
			require.Equal(t, bus.EventComplete, b.end(b.put(bus.Job{Provider: "a"})).Type)
		}
		require.ElementsMatch(t, []string{"a k1", "a k2"}, m.order()[1:])
		pass(restsSoon)
		_, o := b.said("a")
		require.Empty(t, o.Rests, "that it ended is told")
	})
}

// TestRestIsNotTheKey: no secret is in a beat.
func TestRestIsNotTheKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{"a": serves(m.vendor("a", fails(provider.FaultKeySpent, 0)), provider.Config{APIKeys: secrets("sk-canary")})})
		to := b.put(bus.Job{Provider: "a"})
		pass(restsSoon)
		beat, _ := b.said("a")
		text, err := json.Marshal(&beat)
		require.NoError(t, err)
		require.Contains(t, string(text), `"rests":[{"key":"`)
		require.NotContains(t, string(text), "canary")
		require.NotContains(t, b.end(to).Message, "canary")
	})
}

// catalogue is a provider that lists its models.
type catalogue struct {
	fakeProvider
	asked atomic.Int32
	list  atomic.Pointer[func(key protocol.Secret) ([]string, error)]
}

func (c *catalogue) Models(_ context.Context, key protocol.Secret) ([]string, error) {
	c.asked.Add(1)
	return (*c.list.Load())(key)
}

func (c *catalogue) gives(err error, models ...string) {
	list := func(protocol.Secret) ([]string, error) { return models, err }
	c.list.Store(&list)
}

// TestDiscover: what a vendor lists is in the offer; a list that does not come
// changes nothing and is asked for again soon, one that came an hour later.
func TestDiscover(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log logbook
		vendor := &catalogue{fakeProvider: replies("Hi")}
		var key atomic.Value
		list := func(k protocol.Secret) ([]string, error) {
			key.Store(string(k.Reveal()))
			return []string{"m1", "m2"}, nil
		}
		vendor.list.Store(&list)
		b := newFirm(t, map[string]ProviderSetup{
			"a": serves(vendor, provider.Config{Discover: true, APIKeys: secrets("", "k1")}),
			"b": serves(replies("Hi"), provider.Config{Discover: true, Models: []string{"fixed"}}), // cannot list
		}, func(p *plan) { p.log = &log })
		models := func(name string) []string { _, o := b.said(name); return o.Models }
		pass(beatEvery)
		require.Equal(t, []string{"m1", "m2"}, models("a"))
		require.Equal(t, []string{"fixed"}, models("b"))
		require.Equal(t, "k1", key.Load())
		require.EqualValues(t, 1, vendor.asked.Load())

		vendor.gives(errors.New("no list today"))
		pass(time.Hour + time.Minute)
		asked := vendor.asked.Load()
		require.GreaterOrEqual(t, asked, int32(2))
		require.LessOrEqual(t, asked, int32(3))
		require.Equal(t, []string{"m1", "m2"}, models("a"), "the old list is better than none")
		require.Contains(t, log.String(), "Models could not be listed")

		vendor.gives(nil, "m3")
		pass(discoverRetry + discoverFor + beatEvery)
		require.Equal(t, []string{"m3"}, models("a"))
		asked = vendor.asked.Load()
		pass(discoverAgain / 2)
		require.Equal(t, asked, vendor.asked.Load(), "a list was asked for too often")
	})
}

// TestDiscoverReload: a reload switches it on, and off.
func TestDiscoverReload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		vendor := &catalogue{fakeProvider: replies("Hi")}
		vendor.gives(nil, "m1")
		setup := serves(vendor, provider.Config{})
		b := newFirm(t, map[string]ProviderSetup{"a": setup})
		pass(time.Hour)
		_, o := b.said("a")
		require.Empty(t, o.Models)
		require.Zero(t, vendor.asked.Load(), "nobody said that it may be asked")
		for _, on := range []bool{true, false} {
			setup.Config.Discover = on
			b.worker.Reload(map[string]ProviderSetup{"a": setup})
			pass(15 * time.Second)
			_, o = b.said("a")
			require.Equal(t, on, len(o.Models) == 1, "discover %t", on)
		}
	})
}

// TestDiscoverElsewhere: a reload that goes to another vendor offers nothing of
// the last one, and asks at once.
func TestDiscoverElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		vendor := &catalogue{fakeProvider: replies("Hi")}
		setup := serves(vendor, provider.Config{Discover: true, Models: []string{"fixed"}})
		b := newFirm(t, map[string]ProviderSetup{"a": setup})
		for address, list := range map[string][]string{"https://one.example": {"m1"}, "https://two.example": {"m2"}, "": {"m3"}, "another type": {"m4"}} {
			vendor.gives(errors.New("not now"))
			setup.Config.Type, setup.Config.BaseURL, _ = strings.Cut(address, "https:")
			b.worker.Reload(map[string]ProviderSetup{"a": setup})
			pass(discoverLook + 2*beatEvery)
			_, o := b.said("a")
			require.Equal(t, []string{"fixed"}, o.Models, "of somebody else")
			vendor.gives(nil, list...)
			pass(discoverRetry + discoverLook)
			_, o = b.said("a")
			require.Equal(t, list, o.Models)
		}
	})
}

// TestDiscoverEnds: with its worker.
func TestDiscoverEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		vendor := &catalogue{fakeProvider: replies("Hi")}
		vendor.gives(nil, "m1")
		b := newFirm(t, map[string]ProviderSetup{"a": serves(vendor, provider.Config{Discover: true})})
		pass(0)
		b.stop()
		asked := vendor.asked.Load()
		pass(3 * time.Hour)
		require.Equal(t, asked, vendor.asked.Load())
	})
}
