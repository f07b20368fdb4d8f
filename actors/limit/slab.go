package limit

// entry is one tracked key. Entries refer to each other by slot, which is half a
// pointer and nothing for the garbage collector to follow.
type entry struct {
	key          key
	older, newer uint32 // neighbours in the order of touching, or nowhere
	window       window
	touch        uint32 // of visits: which use of the session was the last; of penalties: which one in a row it is
	kind         kind
}

const (
	entryBytes = 48 // TestEntryBytes
	chunkSize  = 1024
	nowhere    = ^uint32(0)
)

// slab holds entries densely in slots 0…n-1. It grows and shrinks by whole
// chunks, never by copying, so that a full table needs no second one while it
// grows and an attack's memory is given back after it.
type slab struct {
	chunks []*[chunkSize]entry
	n      uint32
}

func (s *slab) at(slot uint32) *entry {
	return &s.chunks[slot/chunkSize][slot%chunkSize]
}

// add takes the slot after the last one.
func (s *slab) add() uint32 {
	if int(s.n) == len(s.chunks)*chunkSize {
		s.chunks = append(s.chunks, new([chunkSize]entry))
	}
	s.n++
	return s.n - 1
}

// dropLast frees the last slot. One empty chunk stays in reserve, or a table
// that hovers around a chunk's edge would allocate one for every key.
func (s *slab) dropLast() {
	s.n--
	*s.at(s.n) = entry{}
	if last := len(s.chunks) - 1; int(s.n) <= (last-1)*chunkSize {
		s.chunks[last] = nil
		s.chunks = s.chunks[:last]
	}
}
