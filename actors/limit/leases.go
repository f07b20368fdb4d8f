package limit

import (
	"hash/maphash"
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

// Owner is who may hold a slot.
type Owner interface {
	comparable
	// Place tells for which address and session the slot is. Both stay as long
	// as it is held. Who has no session of its own (the server made one up) has "".
	Place() (address, session string)
}

// Leases is who holds a slot of the pool. A slot belongs to an owner, which
// holds one at most: asking again and releasing again change nothing, so both
// can be repeated after a crash without counting.
//
// There are as many owners as connections, so the table keeps no more of one
// than its name, and counts by hashes: two places are counted together only if
// 64 bits collide, by chance once in 10⁷ tables of a million owners.
type Leases[O Owner] struct {
	mu                sync.Mutex
	slots, perAddress int
	owners            map[O]struct{}
	seed              maphash.Seed
	held              map[uint64]uint32 // slots, by the hash of an address and of a session of one; no zeroes
	peak              int
	rejected          uint64
}

// NewLeases returns a table without leases. It grants at most slots in all, and
// at most perAddress to one address unless that is 0. With 0 slots it grants none.
func NewLeases[O Owner](slots, perAddress int) *Leases[O] {
	return &Leases[O]{
		slots: slots, perAddress: perAddress,
		owners: make(map[O]struct{}),
		seed:   maphash.MakeSeed(),
		held:   make(map[uint64]uint32),
	}
}

// ofAddress and ofSession name what is counted; an address is no session.
func (l *Leases[O]) ofAddress(address string) uint64 {
	return maphash.Comparable(l.seed, identity{address: address, kind: connects})
}

func (l *Leases[O]) ofSession(address, session string) uint64 {
	return maphash.Comparable(l.seed, identity{address: address, session: session, kind: visits})
}

// SetBounds changes the bounds. Leases beyond a smaller bound stay; none is
// granted before enough are released.
func (l *Leases[O]) SetBounds(slots, perAddress int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots, l.perAddress = slots, perAddress
}

// Acquire takes a slot for owner. One that holds a slot already keeps it. When ok
// is false, scope is the bound that refused.
func (l *Leases[O]) Acquire(owner O) (ok bool, scope Scope) {
	address, session := owner.Place()
	here := l.ofAddress(address)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.owners[owner]; held {
		return true, ""
	}
	switch {
	case len(l.owners) >= l.slots:
		l.rejected++
		return false, ScopeAll
	case l.perAddress > 0 && int(l.held[here]) >= l.perAddress:
		l.rejected++
		return false, ScopeAddress
	}
	l.owners[owner] = struct{}{}
	l.held[here]++
	l.held[l.ofSession(address, session)]++
	l.peak = max(l.peak, len(l.owners))
	return true, ""
}

// Release gives the owner's slot back; false where there was none. It is called
// for owners that crashed, so nothing in it can fail.
func (l *Leases[O]) Release(owner O) bool {
	address, session := owner.Place()
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.owners[owner]; !held {
		return false
	}
	delete(l.owners, owner)
	l.decrement(l.ofAddress(address))
	l.decrement(l.ofSession(address, session))
	return true
}

func (l *Leases[O]) decrement(place uint64) {
	if l.held[place] > 1 {
		l.held[place]--
		return
	}
	delete(l.held, place)
}

// Owners returns who holds a slot, in no order. The slice is the caller's.
func (l *Leases[O]) Owners() []O {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.owners))
}

// Connected tells whether the session holds a slot from this address. The empty
// session is never connected.
func (l *Leases[O]) Connected(address, session string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return session != "" && l.held[l.ofSession(address, session)] > 0
}

// Active is the number of slots held now.
func (l *Leases[O]) Active() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.owners)
}

// Peak is the most slots that were ever held at once.
func (l *Leases[O]) Peak() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peak
}

// Rejected is how many times Acquire refused.
func (l *Leases[O]) Rejected() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rejected
}
