package actors

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
)

// TestElsewhereOfFaults: every fault, with whose key it was met. Another worker
// has a network of its own and perhaps other keys of the deployment, but never
// another key of this user; what the vendor says of itself it says to all.
func TestElsewhereOfFaults(t *testing.T) {
	tests := map[provider.Fault]struct{ deployment, user bool }{
		provider.FaultNone:       {false, false},
		provider.FaultConnect:    {true, true},
		provider.FaultVendor:     {false, false},
		provider.FaultLimited:    {false, false},
		provider.FaultKeyRefused: {true, false},
		provider.FaultKeySpent:   {true, false},
		provider.FaultKeyDenied:  {true, false},
	}
	require.Len(t, tests, int(provider.FaultKeyDenied)+1, "a fault has no row")
	for fault, want := range tests {
		t.Run(fmt.Sprintf("fault %d", fault), func(t *testing.T) {
			require.Equal(t, want.deployment, elsewhere(fault, false), "with a key of the deployment")
			require.Equal(t, want.user, elsewhere(fault, true), "with the user's key")
		})
	}
}
