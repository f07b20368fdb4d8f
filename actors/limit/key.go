package limit

import "hash/maphash"

// kind is what a key counts. It is part of the key.
type kind uint8

const (
	connects  kind = iota // connections of an address
	opens                 // new sessions of an address
	visits                // when a session of an address was last seen: one stamp
	asks                  // messages of a session of an address
	offences              // violations of an address
	penalties             // when the last penalty of an address began: one stamp
)

// key stands for kind, address and session: two hashes of them, each with a
// random seed that never leaves the table. So a key costs 16 bytes however long
// a session is, and the table keeps nothing a client sent.
//
// Two clients share a window only if both hashes collide: in a full table by
// chance once in about 10²⁶ tables, and nobody can search for a pair without the
// seeds, nor would anything be gained but to be counted together.
type key [2]uint64

// identity is what a key stands for. It is hashed field by field, so address "a"
// with session "bc" is not address "ab" with session "c".
type identity struct {
	address, session string
	kind             kind
}

type hasher [2]maphash.Seed

func newHasher() hasher {
	return hasher{maphash.MakeSeed(), maphash.MakeSeed()}
}

func (h *hasher) key(k kind, address, session string) key {
	n := identity{address: address, session: session, kind: k}
	return key{maphash.Comparable(h[0], n), maphash.Comparable(h[1], n)}
}
