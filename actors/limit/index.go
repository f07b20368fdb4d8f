package limit

const (
	indexShards = 64
	firstShard  = 8 // cells; sizes are powers of two
)

// index finds the slot of a key. It is an open-addressing table that keeps slots
// only, four bytes a cell, and reads the keys in the slab. It is cut in shards
// that grow one by one: the longest pause at a million keys is a sixty-fourth of
// one rehash.
type index struct {
	shards [indexShards]shard
	cells  int // of all shards
}

type shard struct {
	cells []uint32 // slot+1; 0 = free
	used  int
}

func (x *index) shard(k key) *shard { return &x.shards[k[1]%indexShards] }

// find returns the key's slot, or nowhere.
func (x *index) find(s *slab, k key) uint32 {
	sh := x.shard(k)
	if len(sh.cells) == 0 {
		return nowhere
	}
	for i := sh.home(k); sh.cells[i] != 0; i = sh.next(i) {
		if slot := sh.cells[i] - 1; s.at(slot).key == k {
			return slot
		}
	}
	return nowhere
}

// add enters the slot of a key that is not there yet.
func (x *index) add(s *slab, slot uint32) {
	k := s.at(slot).key
	sh := x.shard(k)
	if 4*(sh.used+1) > 3*len(sh.cells) {
		x.resize(sh, s, max(2*len(sh.cells), firstShard))
	}
	sh.place(k, slot)
	sh.used++
}

// move renames a slot whose entry is about to be copied to another one.
func (x *index) move(s *slab, from, to uint32) {
	sh := x.shard(s.at(from).key)
	sh.cells[sh.cell(s, from)] = to + 1
}

// remove frees the slot's cell and closes the gap, so that no probe ends early
// and no tombstone is needed.
func (x *index) remove(s *slab, slot uint32) {
	sh := x.shard(s.at(slot).key)
	gap := sh.cell(s, slot)
	for i := sh.next(gap); sh.cells[i] != 0; i = sh.next(i) {
		home := sh.home(s.at(sh.cells[i] - 1).key)
		if sh.distance(home, i) >= sh.distance(gap, i) {
			sh.cells[gap] = sh.cells[i]
			gap = i
		}
	}
	sh.cells[gap] = 0
	sh.used--
	if len(sh.cells) > firstShard && 8*sh.used < len(sh.cells) {
		x.resize(sh, s, len(sh.cells)/2)
	}
}

func (x *index) resize(sh *shard, s *slab, size int) {
	old := sh.cells
	sh.cells = make([]uint32, size)
	x.cells += size - len(old)
	for _, c := range old {
		if c != 0 {
			sh.place(s.at(c-1).key, c-1)
		}
	}
}

func (sh *shard) place(k key, slot uint32) {
	i := sh.home(k)
	for sh.cells[i] != 0 {
		i = sh.next(i)
	}
	sh.cells[i] = slot + 1
}

// cell is where a slot that is in the shard is entered.
func (sh *shard) cell(s *slab, slot uint32) int {
	i := sh.home(s.at(slot).key)
	for sh.cells[i] != slot+1 {
		i = sh.next(i)
	}
	return i
}

func (sh *shard) home(k key) int            { return int(k[0] & uint64(len(sh.cells)-1)) }
func (sh *shard) next(i int) int            { return (i + 1) & (len(sh.cells) - 1) }
func (sh *shard) distance(from, to int) int { return (to - from) & (len(sh.cells) - 1) }
