package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
)

// TestReloadKeepsKeysApart: a reload may name another vendor's address with that
// vendor's keys. A question that was on its way takes both or neither: the new
// key is never shown to the old vendor, nor the old one to the new.
func TestReloadKeepsKeysApart(t *testing.T) {
	tests := map[string]struct {
		old     fakeProvider
		change  func(*provider.Config)
		ahead   bool // a question holds the room
		through bool // another provider's chain
		want    []string
	}{
		"in the queue":              {old: takes(3*time.Second, "Hi"), ahead: true, want: []string{"OLD k-old", "NEW k-new"}},
		"in the queue, by a chain":  {old: takes(3*time.Second, "Hi"), ahead: true, through: true, want: []string{"OLD k-old", "front", "NEW k-new"}},
		"between two tries":         {old: fails(provider.FaultVendor, 0), want: []string{"OLD k-old", "NEW k-new"}},
		"while the vendor is away":  {old: fails(provider.FaultConnect, 0), want: []string{"OLD k-old", "NEW k-new"}},
		"while a limit is sat out":  {old: fails(provider.FaultLimited, 1), want: []string{"OLD k-old", "NEW k-new"}},
		"in the answer: it goes on": {old: takes(3*time.Second, "Hi"), want: []string{"OLD k-old"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				config := func(key string) provider.Config {
					return provider.Config{BaseURL: "https://" + key + ".test/v1", APIKeys: secrets(key), MaxConcurrent: 1, MaxQueue: 5}
				}
				b := newFirm(t, map[string]ProviderSetup{
					"a":     listed(m.vendor("OLD", tt.old), config("k-old")),
					"front": listed(m.vendor("front", fails(provider.FaultKeyDenied, 0)), provider.Config{Fallback: []string{"a"}}),
				})
				if tt.ahead {
					b.put(bus.Job{Provider: "a", Session: "other"})
				}
				asked := "a"
				if tt.through {
					asked = "front"
				}
				to := b.put(bus.Job{Provider: asked, Session: "s", Name: "1"})
				b.worker.Reload(map[string]ProviderSetup{"a": listed(m.vendor("NEW", replies("Hi")), config("k-new"))})
				pass(10 * time.Second)
				require.Equal(t, tt.want, m.order())
				require.Equal(t, bus.EventComplete, b.end(to).Type, b.end(to).Message)
				b.idle()
			})
		})
	}
}
