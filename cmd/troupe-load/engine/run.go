package engine

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// lateAfter is by how much the tool may begin something late before it counts.
const lateAfter = int64(10 * time.Millisecond)

// shardsPerCore bounds how often two readers meet at one lock, and the memory
// that histograms take.
const shardsPerCore = 4

// run is one load under way.
type run struct {
	plan      *scenario.Scenario
	target    *target
	dialect   dialect
	wording   *wording
	foreign   bool // the server is not ours: see dialect generic
	sameClock bool // the server's clock is ours
	tag       string

	base   time.Time // moments count from it
	wall0  int64     // base in Unix microseconds
	shards []*shard
	buffers
	clients   []*client
	questions desk[place]
	visitors  desk[*client]
	visitN    atomic.Int64
	wg        sync.WaitGroup

	loading atomic.Bool  // questions may be asked
	asking  atomic.Bool  // new ones
	closing atomic.Bool  // sockets end
	from    atomic.Int64 // of what is measured
	to      atomic.Int64
	pending atomic.Int64 // questions and visits that are not over, also those that wait for room
	idle    chan struct{}
	waited  atomic.Int64 // questions that were due when no connection had room
	unasked atomic.Int64 // questions that met the end of the run
	living  atomic.Int64 // clients that hold a connection, or will come back
}

func newRun(t *target, s *scenario.Scenario) (*run, error) {
	now := time.Now()
	r := &run{
		plan: s, target: t, wording: newWording(&s.Questions), foreign: s.Mode == scenario.ModeGeneric,
		sameClock: t.loopback(), tag: strconv.FormatInt(now.UnixMilli(), 36),
		base: now, wall0: now.UnixMicro(), idle: make(chan struct{}, 1),
	}
	var err error
	if r.dialect = newTroupe(s); r.foreign {
		r.dialect, err = newGeneric(s.Generic)
	}
	for range shardsPerCore * runtime.GOMAXPROCS(0) {
		r.shards = append(r.shards, newShard())
	}
	for n := range s.Connections {
		r.clients = append(r.clients, newClient(r, n))
	}
	start := func(f func()) { r.wg.Go(f) }
	r.questions.start, r.questions.serve = start, r.serveQuestion
	return r, err
}

// clock is now, in nanoseconds since the run began.
func (r *run) clock() int64 { return int64(time.Since(r.base)) }

// wall is a moment of the run in Unix microseconds.
func (r *run) wall(moment int64) int64 { return r.wall0 + moment/1000 }

// visits tells whether connections come and go by themselves.
func (r *run) visits() bool { return r.plan.Visits.Rate > 0 }

// done notes that a question or a visit is over.
func (r *run) done() {
	if r.pending.Add(-1) == 0 {
		select {
		case r.idle <- struct{}{}:
		default:
		}
	}
}

// serveQuestion has a question asked where there was room. A place whose socket
// is gone is forgotten, and the question goes to the next at once: after a drop most
// places are such, and the question is late once at most.
func (r *run) serveQuestion(p place, due int64, waited bool) {
	if waited {
		r.waited.Add(1)
	} else if r.clock()-due > lateAfter {
		p.c.shard.mu.Lock()
		p.c.shard.late++
		p.c.shard.mu.Unlock()
	}
	for room := true; room && !p.c.ask(due, p.epoch, true); p, room = r.questions.take(due) {
		if r.closing.Load() {
			r.unasked.Add(1)
			return
		}
	}
}

// connectAll opens the connections by the clock of the ramp. It returns when each
// has come to something.
func (r *run) connectAll(ctx context.Context) {
	var settled sync.WaitGroup
	for n, c := range r.clients {
		due := int64(0)
		if r.plan.Ramp > 0 {
			due = int64(float64(n) / r.plan.Ramp * float64(time.Second))
		}
		if !r.waitUntil(ctx, due) {
			break
		}
		settled.Add(1)
		r.living.Add(1)
		r.wg.Go(func() { c.live(ctx, due, settled.Done) })
	}
	settled.Wait()
}

// load lets the clients ask, and begins what comes by itself. end is how long
// after start it comes.
func (r *run) load(ctx context.Context, start int64) {
	end := int64(r.plan.WarmUp + r.plan.Duration)
	r.from.Store(start + int64(r.plan.WarmUp))
	r.to.Store(start + end)
	r.asking.Store(true)
	r.loading.Store(true)
	for _, c := range r.clients {
		c.begin()
	}
	if q := &r.plan.Questions; q.Open() {
		s := newSchedule(q.Rate, q.Arrival == scenario.ArrivalPoisson, r.plan.Seed)
		r.wg.Go(func() { r.play(ctx, s, start, end, r.questionDue) })
	}
	if r.visits() {
		r.openDoors(ctx)
		s := newSchedule(r.plan.Visits.Rate, true, r.plan.Seed+1)
		r.wg.Go(func() { r.play(ctx, s, start, end, r.visitDue) })
	}
	for i, at := range r.plan.Reconnect.DropAt {
		random := rand.New(rand.NewPCG(r.plan.Seed, 1<<40+uint64(i)))
		r.wg.Go(func() {
			if r.waitUntil(ctx, start+int64(at)) {
				r.dropSome(random)
			}
		})
	}
}

func (r *run) questionDue(due int64) {
	r.pending.Add(1)
	r.questions.arrive(due)
}

func (r *run) visitDue(due int64) {
	r.pending.Add(1)
	r.visitors.arrive(due)
}

// openDoors makes room for as many visitors as there are clients.
func (r *run) openDoors(ctx context.Context) {
	r.visitors.start = func(f func()) { r.wg.Go(f) }
	r.visitors.serve = func(c *client, due int64, waited bool) {
		c.visit(ctx, int(r.visitN.Add(1)), due, waited)
		r.done()
		if ctx.Err() == nil {
			r.visitors.free(c)
		}
	}
	for _, c := range r.clients {
		r.visitors.free(c)
	}
}

// dropSome cuts off a share of the clients at once, with a few hands: a socket's
// end waits for its reader.
func (r *run) dropSome(random *rand.Rand) {
	var hit []*client
	for _, c := range r.clients {
		if random.Float64() < r.plan.Reconnect.Share {
			hit = append(hit, c)
		}
	}
	r.byHands(len(hit), func(i int) {
		c := hit[i]
		c.shard.mu.Lock()
		sock := c.sock
		c.cut = sock != nil
		c.shard.mu.Unlock()
		if sock != nil {
			c.drop(sock, r.plan.Reconnect.How)
		}
	})
}

// byHands calls f for 0…n-1 from a few goroutines.
func (r *run) byHands(n int, f func(i int)) {
	var next atomic.Int64
	var hands sync.WaitGroup
	for range min(n, 16*runtime.GOMAXPROCS(0)) {
		hands.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	hands.Wait()
}

// expire cuts sockets whose answers take too long.
func (r *run) expire() {
	now, patience := r.clock(), time.Duration(r.plan.Timeouts.Answer)
	var late []*socket
	for _, c := range r.clients {
		c.shard.mu.Lock()
		if sock := c.expire(now, patience); sock != nil {
			late = append(late, sock)
		}
		c.shard.mu.Unlock()
	}
	r.byHands(len(late), func(i int) { late[i].reset() })
}

// hangUp ends every socket in good order and waits for the readers.
func (r *run) hangUp() {
	r.closing.Store(true)
	r.byHands(len(r.clients), func(i int) {
		c := r.clients[i]
		c.shard.mu.Lock()
		sock := c.sock
		c.shard.mu.Unlock()
		if sock != nil {
			sock.hangUp(closeNormal)
		}
	})
	r.wg.Wait()
}
