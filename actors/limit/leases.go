package limit

import (
	"maps"
	"slices"
	"sync"
)

// Scope says which bound of the pool refused.
type Scope string

// The bounds of the pool.
const (
	ScopeAll     Scope = "all"     // every slot is taken
	ScopeAddress Scope = "address" // this address holds all it may
)

// Leases is who holds a slot of the pool. A slot belongs to an owner, which
// holds one at most: asking again and releasing again change nothing, so both
// can be repeated after a crash without counting.
type Leases struct {
	mu                sync.Mutex
	slots, perAddress int
	owners            map[string]visitor
	addresses         map[string]int  // slots held; no zeroes
	sessions          map[visitor]int // slots held; no zeroes
	peak              int
	rejected          uint64
}

// visitor is a session of an address.
type visitor struct{ address, session string }

// NewLeases returns a table without leases. It grants at most slots in all, and
// at most perAddress to one address unless that is 0. With 0 slots it grants none.
func NewLeases(slots, perAddress int) *Leases {
	return &Leases{
		slots: slots, perAddress: perAddress,
		owners:    make(map[string]visitor),
		addresses: make(map[string]int),
		sessions:  make(map[visitor]int),
	}
}

// SetBounds changes the bounds. Leases beyond a smaller bound stay; none is
// granted before enough are released.
func (l *Leases) SetBounds(slots, perAddress int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots, l.perAddress = slots, perAddress
}

// Acquire takes a slot for owner. One that holds a slot already keeps it, for
// the address and session it first gave. When ok is false, scope is the bound
// that refused. Who has no session of its own (the server made one up) gives "".
func (l *Leases) Acquire(owner, address, session string) (ok bool, scope Scope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.owners[owner]; held {
		return true, ""
	}
	switch {
	case len(l.owners) >= l.slots:
		l.rejected++
		return false, ScopeAll
	case l.perAddress > 0 && l.addresses[address] >= l.perAddress:
		l.rejected++
		return false, ScopeAddress
	}
	v := visitor{address, session}
	l.owners[owner] = v
	l.addresses[address]++
	l.sessions[v]++
	l.peak = max(l.peak, len(l.owners))
	return true, ""
}

// Release gives the owner's slot back and tells whose it was; ok is false where
// there was none. It is called for owners that crashed, so nothing in it can fail.
func (l *Leases) Release(owner string) (address, session string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, held := l.owners[owner]
	if !held {
		return "", "", false
	}
	delete(l.owners, owner)
	decrement(l.addresses, v.address)
	decrement(l.sessions, v)
	return v.address, v.session, true
}

func decrement[K comparable](m map[K]int, k K) {
	if m[k] > 1 {
		m[k]--
		return
	}
	delete(m, k)
}

// Owners returns who holds a slot, in no order. The slice is the caller's.
func (l *Leases) Owners() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.owners))
}

// Connected tells whether the session holds a slot from this address. The empty
// session is never connected.
func (l *Leases) Connected(address, session string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return session != "" && l.sessions[visitor{address, session}] > 0
}

// Active is the number of slots held now.
func (l *Leases) Active() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.owners)
}

// Peak is the most slots that were ever held at once.
func (l *Leases) Peak() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peak
}

// Rejected is how many times Acquire refused.
func (l *Leases) Rejected() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rejected
}
