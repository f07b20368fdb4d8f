package engine

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Outcomes of a turn.
const (
	outCompleted = iota
	outCancelled
	outFailed
	outTimedOut // failed, since the tool gave it up
)

// codeSlowCut is a slow reader that was cut without a close frame. It reads too
// slowly to see one that stands behind all that waits.
const codeSlowCut = "slow_reader_cut"

// codeSlowConsumer is how a server names a reader that it lets go. Of one that reads
// all there is it is codeFastCut: whoever allows the one does not mean the other.
const (
	codeSlowConsumer = "SLOW_CONSUMER"
	codeFastCut      = "SLOW_CONSUMER_fast_reader"
)

// codeTimeout is an answer without an end within timeouts.answer.
const codeTimeout = "timeout"

// over ends a turn and counts it.
func (c *client) over(t *turn, outcome int) {
	s := c.shard
	for i := range c.turns {
		if c.turns[i] == t {
			c.turns = append(c.turns[:i], c.turns[i+1:]...)
			break
		}
	}
	s.keepText(t.text)
	t.text = nil
	s.active--
	mine := int64(0)
	if t.measured {
		mine = 1
	}
	switch outcome {
	case outCompleted:
		s.completed++
		s.mCompleted += mine
	case outCancelled:
		s.cancelled++
		s.mCancelled += mine
	case outTimedOut:
		s.timedOut++
		fallthrough
	default:
		s.failed++
		s.mFailed += mine
	}
	c.run.done()
}

// notOpened counts a connection that came to nothing.
func (c *client) notOpened(ctx context.Context, err error) (next int64, again bool) {
	s, plan := c.shard, &c.run.plan.Reconnect
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil || c.run.closing.Load() {
		return 0, false
	}
	back := plan.Back.Draw(c.rng)
	if no := (*refusal)(nil); errors.As(err, &no) {
		s.refused++
		s.fault(no.code, no.text)
		return c.run.clock() + int64(max(back, no.retryAfter)), plan.Refused && !c.run.visits()
	}
	step := "connect"
	if at := (*stepError)(nil); errors.As(err, &at) {
		step = at.step
	}
	s.fault(step, hint(err))
	return c.run.clock() + int64(back), plan.WhenLost && !c.run.visits()
}

// lost notes the end of a socket. Answers that can be resumed stay under way.
func (c *client) lost(sock *socket, err error) (next int64, again bool) {
	s, plan := c.shard, &c.run.plan.Reconnect
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	c.sock, c.begun = nil, false
	if c.run.closing.Load() {
		return 0, false // what is under way is unfinished
	}
	back := plan.Back.Draw(c.rng)
	switch own := sock.own.Load(); {
	case own && c.cut:
		again = true
	case own: // a visit that is over
	case c.no != nil:
		s.refused++
		s.fault(c.no.code, c.no.text)
		back, again = max(back, c.no.retryAfter), plan.Refused
	default:
		s.dropped++
		code, example := ending(err)
		s.fault(c.pace(code), example)
		again = plan.WhenLost
		if c.backIn > 0 {
			back = c.backIn
		}
	}
	again = again && !c.run.visits()
	c.parted(again && plan.Resume)
	return c.run.clock() + int64(back), again
}

// pace is the code by which the end of a socket counts for a reader as fast, or as
// slow, as this one.
func (c *client) pace(code string) string {
	switch {
	case c.slow && code == "closed":
		return codeSlowCut
	case !c.slow && code == codeSlowConsumer:
		return codeFastCut
	}
	return code
}

// parted ends the turns of a lost socket, but for those that are to be resumed.
func (c *client) parted(resume bool) {
	keep := append([]*turn(nil), c.turns...)
	for _, t := range keep {
		switch {
		case t.stopDue > 0 && c.cut:
			c.over(t, outCancelled) // the user left
		case resume:
		case c.cut && !c.gaveUp: // the network's doing, as the plan has it
			c.over(t, outCancelled)
		default:
			c.over(t, outFailed)
		}
	}
}

// abandon fails what waits for a client that does not come back. At the end of a
// run nobody does: what is under way then is unfinished.
func (c *client) abandon() {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	if c.run.closing.Load() {
		return
	}
	for len(c.turns) > 0 {
		c.over(c.turns[0], outFailed)
	}
}

// ending names the end of a socket that nobody asked for.
func ending(err error) (code, example string) {
	if closed := (*closedError)(nil); errors.As(err, &closed) {
		reason := strings.TrimSpace(closed.reason)
		example = "closed " + strconv.Itoa(int(closed.code)) + " " + reason
		if reason != "" && strings.ToUpper(reason) == reason && len(reason) < 40 && !strings.Contains(reason, " ") {
			return reason, example // a server that closes with its code
		}
		return "closed", example
	}
	if wrong := (*protocolError)(nil); errors.As(err, &wrong) {
		return "protocol", wrong.text
	}
	if quiet(err) {
		return "closed", "the connection ended without a close frame"
	}
	return "closed", "the connection ended: " + err.Error()
}

// tookTooLong counts how long a question waited that is given up. Left out, it would
// make a server look faster the more it leaves unanswered.
func (c *client) tookTooLong(t *turn, now int64) {
	if c.slow {
		return
	}
	c.shard.now.record(latAnswer, now-t.due)
	if t.last == 0 {
		c.shard.now.record(latFirst, now-t.due)
	}
}

// expire gives up turns that take too long, each an answer without an end. It
// returns the socket to cut: what it still says of them would be taken for
// another question's. The caller holds the shard's lock.
func (c *client) expire(now int64, patience time.Duration) *socket {
	any := false
	for len(c.turns) > 0 && now-c.turns[0].sent >= int64(patience) {
		t := c.turns[0]
		c.shard.fault(codeTimeout, c.session+", question "+strconv.Itoa(t.id)+": no end after "+patience.String())
		c.tookTooLong(t, now)
		c.over(t, outTimedOut)
		any = true
	}
	if !any || c.sock == nil {
		return nil
	}
	c.cut, c.gaveUp = true, true
	return c.sock
}
