package actors

import (
	"container/list"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Bounds of what a worker remembers of jobs.
const (
	jobsKept = 10 * time.Second // how long a repeat of the bus is recognised
	lateness = 250 * time.Millisecond
)

// runTable is a worker's table of runs: by id, with what the watcher of a
// crashed run needs, and the ledger of ended ones, bounded in bytes, oldest
// out. Safe for concurrent use.
type runTable struct {
	budget int
	expire func(*actor.PID)

	mu     sync.Mutex
	byID   map[string]*runRecord
	byPID  map[string]*runRecord
	byKey  map[ownerKey][]*runRecord // those whose client has a key, oldest first
	byJob  map[string]*runRecord     // those whose accept is out
	kept   list.List                 // of *runRecord: ended, oldest first
	bytes  int
	jobs   repeats
	clocks map[string]peerClock // by gateway
}

// peerClock is a gateway's clock: its time + skew = ours.
type peerClock struct {
	skew  time.Duration
	heard time.Time
}

// ownerKey is the proof by which another socket finds its own runs.
type ownerKey struct {
	session string
	key     protocol.ClientKey
}

// ownerOf is the owner of a job, where its client has a key.
func ownerOf(session string, key []byte) (o ownerKey, ok bool) {
	if len(key) != len(o.key) {
		return o, false
	}
	return ownerKey{session: session, key: protocol.ClientKey(key)}, true
}

// runRecord is what outlives a run's actor. The actor owns the fields until it
// has terminated, its supervisor afterwards; the table's lock guards size and place.
type runRecord struct {
	id        string
	job       *bus.Job
	begun     time.Time
	reply     string
	coming    *coming // its place at the provider, until it has come there
	pid       *actor.PID
	mailbox   *mailbox // of its actor: its provider call delivers there
	followers []*listener
	seq       uint64
	raw       int    // bytes of text so far
	calls     int    // of vendors so far
	provider  string // that was asked last
	model     string // of it
	settled   bool   // its bill is written
	keyID     string // of the last one: fingerprint of the deployment's key, if it was one
	accepted  bool   // the accept is out
	told      bool   // the terminal event is out
	freed     bool   // the slot is given back
	cancel    context.CancelCauseFunc
	trace     *runTrace // nil where it is not traced
	size      int
	place     *list.Element // in the ledger; nil while it runs
}

// newMailbox is the actor.MailboxProducer of the run's actor.
func (r *runRecord) newMailbox() actor.Mailbox {
	r.mailbox = &mailbox{}
	return r.mailbox
}

// listener is one follower of a run, until it has acknowledged the end.
type listener struct {
	gateway string
	to      uint64
}

func newRunTable(budget int, expire func(*actor.PID)) *runTable {
	return &runTable{
		budget: budget, expire: expire, byID: map[string]*runRecord{}, byPID: map[string]*runRecord{},
		byKey: map[ownerKey][]*runRecord{}, byJob: map[string]*runRecord{},
		clocks: map[string]peerClock{},
	}
}

// learnClock keeps the smallest offset seen, the one with the least delay in it,
// and lets it go half way to each larger one: clocks are set, and drift. A larger
// one counts only where beats come in their rhythm: those that waited while this
// process was paused say nothing about clocks, and jobs waited with them.
func (t *runTable) learnClock(gateway string, sent int64, received time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	skew := received.Sub(time.UnixMilli(sent))
	old, ok := t.clocks[gateway]
	switch since := received.Sub(old.heard); {
	case !ok || skew <= old.skew:
	case since < beatEvery/2 || since > 2*beatEvery:
		skew = old.skew
	default:
		skew = old.skew + (skew-old.skew)/2
	}
	t.clocks[gateway] = peerClock{skew: skew, heard: received}
}

// gateways lists those whose clock is known: the ones that live.
func (t *runTable) gateways() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.clocks))
}

func (t *runTable) forgetClock(gateway string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.clocks, gateway)
}

// tooLate tells whether a job's deadline has passed, by its gateway's clock.
func (t *runTable) tooLate(job *bus.Job, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	deadline := time.UnixMilli(job.Deadline).Add(lateness)
	if c, ok := t.clocks[job.Gateway]; ok {
		return now.After(deadline.Add(c.skew))
	}
	return false // a gateway never heard: its late accept will be released
}

// seen notes a job that is looked at and tells whether it was here before.
func (t *runTable) seen(job string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.jobs.seen(job, jobTaken, now)
}

// declined notes that a job was turned down: it can be asked elsewhere.
func (t *runTable) declined(job string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.jobs.put(job, jobDeclined)
}

// dropped notes that a job did not become a run, and tells whether that is so.
func (t *runTable) dropped(job string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.byID {
		if r.job.Job == job {
			return false
		}
	}
	t.jobs.put(job, jobDeclined)
	return true
}

// withdraw gives a job back, and sees to it that it is not taken any more. It is
// not given back where it became a run, or is about to: that run's id is told for as
// long as it is known, which may be longer than the job's name.
func (t *runTable) withdraw(job, gateway string, now time.Time) (run string, given bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch r := t.byJob[job]; {
	case r != nil && r.job.Gateway == gateway:
		return r.id, false
	case r != nil:
		return "", false
	case !t.jobs.seen(job, jobDeclined, now):
		return "", true
	}
	return "", t.jobs.get(job) == jobDeclined
}

// accepted notes that the accept of a job is out.
func (t *runTable) accepted(r *runRecord) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byJob[r.job.Job] = r
}

// sweep forgets jobs that the bus will not repeat any more.
func (t *runTable) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.jobs.turn(now)
}

func (t *runTable) add(r *runRecord) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byID[r.id] = r
	t.byPID[r.pid.Id] = r
	if o, ok := ownerOf(r.job.Session, r.job.ClientKey); ok {
		t.byKey[o] = append(t.byKey[o], r)
	}
}

// find tells of the newest run of an owner, of one that still generates before
// one that is over; name may be empty, which is any.
func (t *runTable) find(session string, key []byte, name string, now time.Time) *bus.Reply {
	o, ok := ownerOf(session, key)
	if !ok {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var best *bus.Reply
	for _, r := range t.byKey[o] {
		if name != "" && r.job.Name != name {
			continue
		}
		best = better(best, &bus.Reply{
			Type: bus.ReplyFound, Run: r.id, Name: r.job.Name,
			Age: now.Sub(r.begun).Milliseconds(), Over: r.place != nil, Content: r.job.Content,
		})
	}
	return best
}

// better is the run that a client more likely means: one that still generates,
// then the younger one. Either may be nil.
func better(a, b *bus.Reply) *bus.Reply {
	switch {
	case a == nil, b != nil && a.Over && !b.Over:
		return b
	case b == nil, b.Over && !a.Over, a.Age < b.Age:
		return a
	}
	return b
}

func (t *runTable) pid(run string) *actor.PID {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.byID[run]; r != nil {
		return r.pid
	}
	return nil
}

// live lists the actors of all runs, ended ones that are kept too.
func (t *runTable) live() []*actor.PID {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*actor.PID, 0, len(t.byID))
	for _, r := range t.byID {
		out = append(out, r.pid)
	}
	return out
}

// keep enters an ended run into the ledger, and expires the oldest above the
// budget.
func (t *runTable) keep(r *runRecord, size int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.size = size
	t.bytes += size
	r.place = t.kept.PushBack(r)
	for t.bytes > t.budget && t.kept.Len() > 1 {
		old := t.kept.Front().Value.(*runRecord)
		t.unkeep(old)
		t.expire(old.pid)
	}
}

func (t *runTable) unkeep(r *runRecord) {
	if r.place == nil {
		return
	}
	t.kept.Remove(r.place)
	r.place = nil
	t.bytes -= r.size
}

// take removes a run whose actor has ended.
func (t *runTable) take(pid *actor.PID) *runRecord {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.byPID[pid.Id]
	if r == nil {
		return nil
	}
	delete(t.byPID, pid.Id)
	delete(t.byID, r.id)
	if t.byJob[r.job.Job] == r {
		delete(t.byJob, r.job.Job)
	}
	t.disown(r)
	t.unkeep(r)
	return r
}

// disinherit takes a run from its owner: its turn has another one.
func (t *runTable) disinherit(r *runRecord) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.disown(r)
}

// disown forgets by whose key a run would be found. The caller holds the lock.
func (t *runTable) disown(r *runRecord) {
	if o, ok := ownerOf(r.job.Session, r.job.ClientKey); ok {
		left := slices.DeleteFunc(t.byKey[o], func(other *runRecord) bool { return other == r })
		t.byKey[o] = left
		if len(left) == 0 {
			delete(t.byKey, o)
		}
	}
}
