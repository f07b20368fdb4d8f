package engine

import (
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// Kinds of arrival, as the scenario spells them.
const (
	arrivalNone   = scenario.ArrivalNone
	arrivalOnce   = scenario.ArrivalOnce
	arrivalClosed = scenario.ArrivalClosed
)

// ask asks one question that was due then; false where the socket of that epoch
// is gone, or is being ended. open tells that the question came by itself and
// counts as pending already. A question that came on time counts as late where the
// tool began it late.
func (c *client) ask(due int64, epoch int, open bool) bool {
	r, s := c.run, c.shard
	s.mu.Lock()
	sock := c.sock
	if sock == nil || c.cut || c.epoch != epoch || r.closing.Load() || !open && !r.asking.Load() && !r.visits() {
		s.mu.Unlock()
		return false
	}
	if !open {
		r.pending.Add(1)
		if r.clock()-due > lateAfter {
			s.late++
		}
	}
	t := c.newTurn(due)
	frame := appendFrame(nil, opText, r.dialect.question(nil, c, t))
	stop, after := c.changeOfMind()
	s.mu.Unlock()

	_ = sock.write(frame) // the reader sees why not
	if stop {             // the user's patience does not wait for room, but a question goes before its stop
		stopDue := due + int64(after)
		time.AfterFunc(time.Duration(max(0, stopDue-r.clock())), func() { c.abort(t.id, epoch, stopDue) })
	}
	return true
}

// newTurn makes the question up and counts it.
func (c *client) newTurn(due int64) *turn {
	r, s := c.run, c.shard
	c.lastID++
	c.asked++
	c.ever++
	t := &turn{id: c.lastID, named: r.plan.Questions.Named, due: due, sent: r.clock(), text: s.textBuffer()}
	t.content, t.model, t.want = r.wording.question(c.rng)
	t.measured = due >= r.from.Load() && due < r.to.Load()
	c.turns = append(c.turns, t)
	s.questions++
	s.active++
	if t.measured {
		s.mQuestions++
	}
	return t
}

// changeOfMind draws whether, and when, the user will stop the answer.
func (c *client) changeOfMind() (stop bool, after time.Duration) {
	a := &c.run.plan.Abort
	if a.Probability == 0 || c.rng.Float64() >= a.Probability {
		return false, 0
	}
	return true, a.After.Draw(c.rng)
}

// abort stops a turn, if it still runs.
func (c *client) abort(id, epoch int, due int64) {
	s := c.shard
	s.mu.Lock()
	t, sock := c.turn(id), c.sock
	if t == nil || sock == nil || c.epoch != epoch {
		s.mu.Unlock()
		return
	}
	t.stopDue = due
	how := c.run.plan.Abort.How
	var frame []byte
	if how == scenario.HowCancel {
		if payload, ok := c.run.dialect.cancel(nil, t); ok {
			frame = appendFrame(nil, opText, payload)
		}
	} else {
		c.cut = true
	}
	s.mu.Unlock()
	if frame != nil {
		_ = sock.write(frame) // the reader sees why not
		return
	}
	c.drop(sock, how)
}

// drop ends a socket so that the client comes back.
func (c *client) drop(sock *socket, how string) {
	if how == scenario.HowClose {
		sock.hangUp(closeNormal)
		return
	}
	sock.reset()
}

func (c *client) turn(id int) *turn {
	for _, t := range c.turns {
		if t.id == id {
			return t
		}
	}
	return nil
}
