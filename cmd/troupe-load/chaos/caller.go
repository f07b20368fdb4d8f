package chaos

import (
	"cmp"
	"sync/atomic"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/canary"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
)

// caller is what all clients of a run share.
type caller struct {
	provider string // asked where a group names the tool's own vendor and there is none
	userKey  string
	keys     canary.Spellings
	numbers  atomic.Int64 // of questions
	ledger   follow.Ledger
}

// ask is the provider that a group asks.
func (c *caller) ask(g *Group) string {
	if g.Provider == ProviderVendor {
		return c.own()
	}
	return g.Provider
}

// own is the tool's own vendor, or what stands for it.
func (c *caller) own() string { return cmp.Or(c.provider, ProviderVendor) }
