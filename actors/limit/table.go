package limit

const cellBytes = 4

// table is a bounded set of keys, each with its window, in the order of
// touching. A *entry is good until the next insert, forget, fit or sweep:
// entries move to keep the slab dense.
type table struct {
	// Set once.
	maxKeys, maxBytes int
	hasher            hasher

	entries        slab
	index          index
	oldest, newest uint32
	rings          int    // bytes of all rings
	cursor         uint32 // where the next sweep goes on
}

func newTable(maxKeys, maxBytes int) table {
	return table{
		maxKeys: maxKeys, maxBytes: maxBytes,
		hasher: newHasher(),
		oldest: nowhere, newest: nowhere,
	}
}

func (t *table) len() int { return int(t.entries.n) }

// bytes is the heap that the keys hold, but for the slack of the last chunks.
func (t *table) bytes() int {
	return t.len()*entryBytes + t.index.cells*cellBytes + t.rings
}

// find returns the key's entry and touches it, or nil.
func (t *table) find(k key) *entry {
	slot := t.index.find(&t.entries, k)
	if slot == nowhere {
		return nil
	}
	if slot != t.newest {
		t.unlink(slot)
		t.link(slot)
	}
	return t.entries.at(slot)
}

// insert adds a key that is not there; the oldest makes room.
func (t *table) insert(k key, kd kind) *entry {
	if t.len() >= t.maxKeys {
		t.drop(t.oldest)
	}
	slot := t.entries.add()
	e := t.entries.at(slot)
	*e = entry{key: k, kind: kd, window: window{one: none}}
	t.index.add(&t.entries, slot)
	t.link(slot)
	return e
}

// push stamps an entry; fit has to follow when the entry is no longer needed.
func (t *table) push(e *entry, at int64) {
	before := e.window.bytes()
	e.window.push(at)
	t.rings += e.window.bytes() - before
}

// fit lets the oldest keys go until the rest is within the bound of bytes.
func (t *table) fit() {
	for t.bytes() > t.maxBytes && t.len() > 1 {
		t.drop(t.oldest)
	}
}

// forget removes the key, if it is there.
func (t *table) forget(k key) {
	if slot := t.index.find(&t.entries, k); slot != nowhere {
		t.drop(slot)
	}
}

// clear removes every key and gives all memory back.
func (t *table) clear() {
	t.entries, t.index = slab{}, index{}
	t.oldest, t.newest = nowhere, nowhere
	t.rings, t.cursor = 0, 0
}

// sweep looks at the next steps keys, forgets those whose window is empty now
// and trims the others. It ends early at the end of the table, so that no key is
// looked at twice in a call. keep is the length of a kind's window.
func (t *table) sweep(now int64, steps int, keep func(kind) int64) {
	for ; steps > 0 && t.cursor < t.entries.n; steps-- {
		e := t.entries.at(t.cursor)
		e.window.expire(now, keep(e.kind))
		if e.window.len() == 0 {
			t.drop(t.cursor) // the last entry moves here and is next
			continue
		}
		before := e.window.bytes()
		e.window.trim()
		t.rings += e.window.bytes() - before
		t.cursor++
	}
	if t.cursor >= t.entries.n {
		t.cursor = 0
	}
}

// drop frees a slot and fills it with the last one.
func (t *table) drop(slot uint32) {
	t.rings -= t.entries.at(slot).window.bytes()
	t.unlink(slot)
	t.index.remove(&t.entries, slot)
	if last := t.entries.n - 1; slot != last {
		t.index.move(&t.entries, last, slot)
		e := t.entries.at(slot)
		*e = *t.entries.at(last)
		t.join(e.older, slot)
		t.join(slot, e.newer)
	}
	t.entries.dropLast()
}

// unlink takes a slot out of the order.
func (t *table) unlink(slot uint32) {
	e := t.entries.at(slot)
	t.join(e.older, e.newer)
}

// link puts a slot at the newest end.
func (t *table) link(slot uint32) {
	t.join(t.newest, slot)
	t.join(slot, nowhere)
}

// join makes two slots neighbours; nowhere beside a slot makes it an end.
func (t *table) join(older, newer uint32) {
	if older == nowhere {
		t.oldest = newer
	} else {
		t.entries.at(older).newer = newer
	}
	if newer == nowhere {
		t.newest = older
	} else {
		t.entries.at(newer).older = older
	}
}
