package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// client is one user: a session that holds one socket at a time. Its shard's
// lock guards everything but the first group.
type client struct {
	run   *run
	shard *shard
	n     int
	slow  bool // its latencies are its own fault

	rng     *rand.Rand
	session string
	key     string // client_key, where answers are resumed

	sock    *socket // nil while there is none
	epoch   int     // counts sockets
	begun   bool    // it asks, or waits to be asked to
	decoder decoder
	turns   []*turn // oldest first
	lastID  int
	asked   int           // questions on this socket
	ever    int           // questions at all
	no      *refusal      // the server's word at the door
	backIn  time.Duration // what the server said about coming back; 0 = nothing
	cut     bool          // the tool ended the socket, to come back
	gaveUp  bool          // it did so since an answer did not end
	at      int64         // when what is being decoded was read
	after   followUp
}

// followUp is what must not be done under the shard's lock.
type followUp struct {
	freed int    // answers that ended: there is room for questions
	out   []byte // frames to send
}

func newClient(r *run, n int) *client {
	c := &client{
		run: r, shard: r.shards[n%len(r.shards)], n: n,
		rng: rand.New(rand.NewPCG(r.plan.Seed, uint64(n))),
	}
	c.slow = c.rng.Float64() < r.plan.SlowReaders.Share
	c.rename(strconv.Itoa(n))
	return c
}

// rename begins a session of its own.
func (c *client) rename(suffix string) {
	c.session = "load-" + c.run.tag + "-" + suffix
	c.key = "load-client-key-" + c.run.tag + "-" + suffix
}

// live keeps the client connected until the run ends or the server does not want
// it. due is when the connection is to begin; settled is called when its first
// try came to something.
func (c *client) live(ctx context.Context, due int64, settled func()) {
	settled = sync.OnceFunc(settled)
	defer settled()
	defer c.run.living.Add(-1)
	for {
		next, again := c.connection(ctx, due, false, settled)
		settled()
		if !again || !c.run.waitUntil(ctx, next) {
			break
		}
		due = next
	}
	c.abandon()
}

// visit is one connection of a session that is new. waited tells that there was
// no room for it when it was due.
func (c *client) visit(ctx context.Context, n int, due int64, waited bool) {
	c.shard.mu.Lock()
	c.rename("v" + strconv.Itoa(n))
	c.shard.mu.Unlock()
	c.connection(ctx, due, waited, func() {})
	c.abandon()
}

// connection holds one socket from its beginning to its end. It returns when the
// next one is due, if there is to be one.
func (c *client) connection(ctx context.Context, due int64, waited bool, opened func()) (next int64, again bool) {
	r := c.run
	if began := r.clock(); !waited && began-due > lateAfter {
		c.shard.mu.Lock()
		c.shard.late++
		c.shard.mu.Unlock()
	}
	sock, err := c.open(ctx)
	if err != nil {
		return c.notOpened(ctx, err)
	}
	frames := c.admitted(sock, due)
	defer sock.close()
	opened()
	if r.closing.Load() {
		sock.hangUp(closeNormal)
	}
	if len(frames) > 0 {
		_ = sock.write(frames) // the reader sees why not
	}
	c.begin()
	err = sock.pump(c)
	if wrong := (*protocolError)(nil); errors.As(err, &wrong) {
		sock.complain(wrong.code)
	}
	return c.lost(sock, err)
}

// open connects. It does so on a goroutine of its own, whose stack grows with it:
// that of the reader, of which there are thousands, stays small.
func (c *client) open(ctx context.Context) (sock *socket, err error) {
	r, window := c.run, 0
	if c.slow {
		window = r.plan.SlowReaders.ReceiveBuffer
	}
	done := make(chan struct{})
	r.wg.Go(func() {
		defer close(done)
		sock, err = r.target.open(ctx, c.n, c.session, window, &r.buffers)
	})
	<-done
	if err == nil && c.slow {
		sock.rate = r.plan.SlowReaders.Rate
	}
	return sock, err
}

// admitted notes the new socket and returns what to say on it first.
func (c *client) admitted(sock *socket, due int64) (frames []byte) {
	s := c.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	now := c.run.clock()
	s.connections++
	s.open++
	if !c.slow {
		s.now.record(latHandshake, now-due)
	}
	c.sock, c.decoder, c.no, c.cut, c.gaveUp, c.backIn = sock, decoder{}, nil, false, false, 0
	c.begun, c.asked = false, 0
	c.epoch++
	for _, t := range c.turns { // those that are to be resumed
		var payload []byte
		if payload, _ = c.run.dialect.resume(nil, c, t); payload != nil {
			t.backDue, t.resumed = due, true
			frames = appendFrame(frames, opText, payload)
		}
	}
	return frames
}

// begin lets a connected client ask, once there is anything to ask.
func (c *client) begin() {
	s, plan := c.shard, c.run.plan
	s.mu.Lock()
	if !c.run.loading.Load() || c.sock == nil || c.begun {
		s.mu.Unlock()
		return
	}
	c.begun = true
	epoch, room, first := c.epoch, plan.Questions.PerConnection-len(c.turns), c.ever == 0
	wait := time.Duration(0)
	switch {
	case c.run.visits():
	case first:
		wait = time.Duration(c.rng.Float64() * float64(plan.Questions.Spread))
	default:
		wait = plan.Questions.Think.Draw(c.rng)
	}
	s.mu.Unlock()
	c.invite(room, epoch, wait, first)
}

// invite makes places for questions known, or asks by the client's own clock.
func (c *client) invite(room, epoch int, wait time.Duration, first bool) {
	r, q := c.run, &c.run.plan.Questions
	switch {
	case r.visits() && (q.Arrival == arrivalNone || r.plan.Visits.Questions == 0):
		c.leave(epoch)
	case q.Open():
		for range room {
			r.questions.free(place{c, epoch})
		}
	case room <= 0 || q.Arrival == arrivalNone || q.Arrival == arrivalOnce && !first:
	default:
		c.askLater(wait, epoch)
	}
}

// askLater asks after a time of the user's own. Who is on a visit ends it as
// meant, also when the load is over.
func (c *client) askLater(wait time.Duration, epoch int) {
	if !c.run.asking.Load() && !c.run.visits() {
		return
	}
	due := c.run.clock() + int64(wait)
	time.AfterFunc(wait, func() { c.ask(due, epoch, false) })
}

// next follows an answer.
func (c *client) next(epoch int) {
	r := c.run
	c.shard.mu.Lock()
	gone := c.sock == nil || c.epoch != epoch
	left := r.visits() && c.asked >= r.plan.Visits.Questions
	wait := r.plan.Questions.Think.Draw(c.rng)
	c.shard.mu.Unlock()
	switch {
	case gone:
	case left:
		c.leave(epoch)
	case r.plan.Questions.Open():
		r.questions.free(place{c, epoch})
	case r.plan.Questions.Arrival == arrivalClosed:
		c.askLater(wait, epoch)
	}
}

// leave ends a visit in good order.
func (c *client) leave(epoch int) {
	c.shard.mu.Lock()
	sock := c.sock
	if c.epoch != epoch {
		sock = nil
	}
	c.shard.mu.Unlock()
	if sock != nil {
		sock.hangUp(closeNormal)
	}
}
