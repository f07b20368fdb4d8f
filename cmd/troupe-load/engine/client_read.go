package engine

import (
	"bytes"
	"fmt"
)

// take implements intake: one lock for all that was read at once.
func (c *client) take(b []byte) (used, need int, err error) {
	s := c.shard
	s.mu.Lock()
	c.at = c.run.clock()
	used, need, err = c.decoder.decode(b, c)
	s.bytes += int64(used)
	after, sock, epoch := c.after, c.sock, c.epoch
	c.after = followUp{}
	s.mu.Unlock()
	if after.out != nil && sock != nil {
		_ = sock.write(after.out) // the reader sees why not
	}
	for range after.freed {
		c.next(epoch)
	}
	return used, need, err
}

// frames implements receiver.
func (c *client) frames(n int) { c.shard.frames += int64(n) }

// ping implements receiver.
func (c *client) ping(payload []byte) {
	c.after.out = appendFrame(c.after.out, opPong, payload)
}

// message implements receiver.
func (c *client) message(b []byte) {
	e := &c.shard.event
	*e = event{}
	c.run.dialect.parse(b, e)
	switch e.kind {
	case evChunk:
		c.onChunk(e)
	case evComplete, evCancelled:
		c.onEnd(e)
	case evError:
		c.onError(e)
	case evSnapshot:
		c.onSnapshot(e)
	case evAccepted:
		if t := c.find(e.id); t != nil {
			t.runID = string(e.runID)
		}
	case evReconnect:
		c.backIn = e.after
	case evBad:
		c.shard.fault("protocol", e.detail+": "+string(b[:min(len(b), 200)]))
	}
}

func (c *client) onChunk(e *event) {
	t := c.find(e.id)
	if t == nil {
		c.stray("a chunk")
		return
	}
	s := c.shard
	texts, b := t.chunk(e, c.run.foreign)
	s.chunks++
	s.texts += texts
	if b != nil {
		c.breach(*b, t)
	}
	if !c.slow {
		if t.last == 0 {
			s.now.record(latFirst, c.at-t.due)
		} else {
			s.now.record(latGap, c.at-t.last)
		}
		if t.model != nil && t.model.clock && c.run.sameClock {
			c.delays(e.text)
		}
	}
	t.last, t.backDue = c.at, 0
}

// delays reads words that are the time at which they were said.
func (c *client) delays(text []byte) {
	now := c.run.wall(c.at)
	for len(text) > 0 {
		said, size := digits(text)
		if size > 12 { // less is no time of our days
			c.shard.now.record(latDelay, (now-int64(said))*1000)
		}
		gap := bytes.IndexByte(text, ' ')
		if gap < 0 {
			return
		}
		text = text[gap+1:]
	}
}

func (c *client) onSnapshot(e *event) {
	t := c.find(e.id)
	if t == nil {
		c.stray("a snapshot")
		return
	}
	s := c.shard
	if e.seq < t.seq {
		c.breach(breach{breachOrder, fmt.Sprintf("a snapshot up to %d came when %d was there", e.seq, t.seq)}, t)
	}
	s.texts += int64(e.seq - min(t.seq, e.seq))
	t.seq = max(t.seq, e.seq)
	if !t.say(e.text) {
		if b := t.tooLong(); b != nil {
			c.breach(*b, t)
		}
	}
	s.resumed++
	if t.backDue > 0 && !c.slow {
		s.now.record(latResume, c.at-t.backDue)
	}
	if t.last == 0 && len(e.text) > 0 && !c.slow {
		s.now.record(latFirst, c.at-t.due)
	}
	if t.last > 0 || len(e.text) > 0 {
		t.last = c.at // the silence was the network's, no gap of the server
	}
	t.backDue = 0
}

func (c *client) onEnd(e *event) {
	t := c.find(e.id)
	if t == nil {
		c.stray("an end")
		return
	}
	if b := t.ended(e); b != nil {
		c.breach(*b, t)
	}
	if e.kind == evCancelled && t.stopDue == 0 && !t.resumed && !c.leaving() {
		c.breach(breach{breachEnds, "a cancelled came that nobody had asked for"}, t)
	}
	if !c.slow {
		if t.stopDue > 0 && e.kind == evCancelled {
			c.shard.now.record(latCancel, c.at-t.stopDue)
		} else {
			c.shard.now.record(latAnswer, c.at-t.due)
		}
	}
	if e.kind == evCancelled {
		c.over(t, outCancelled)
	} else {
		c.over(t, outCompleted)
	}
	c.after.freed++
}

func (c *client) onError(e *event) {
	s := c.shard
	if atTheDoor(e.code) && len(e.id) == 0 {
		c.no = &refusal{e.code, e.detail, e.after}
		return // the close frame follows, and tells the rest
	}
	var t *turn
	switch e.about {
	case "cancel":
		return // the answer was over before
	case "":
		t = c.find(e.id)
	default:
		t = c.followed(e.runID)
	}
	s.fault(c.pace(e.code), e.detail)
	if t == nil {
		if e.about == "" && len(e.id) > 0 {
			c.stray("an error")
		}
		return
	}
	if b := t.ended(e); b != nil {
		c.breach(*b, t)
	}
	c.over(t, outFailed)
	c.after.freed++
}

// find is the turn that a message belongs to; without a name it is the oldest.
func (c *client) find(id []byte) *turn {
	if len(id) == 0 {
		if len(c.turns) == 0 {
			return nil
		}
		return c.turns[0]
	}
	n, size := digits(id)
	if size != len(id) {
		return nil
	}
	return c.turn(int(n))
}

func (c *client) followed(runID []byte) *turn {
	for _, t := range c.turns {
		if t.runID == string(runID) {
			return t
		}
	}
	return nil
}

// leaving tells whether the tool is ending the socket: the server may stop then
// what nobody waits for.
func (c *client) leaving() bool { return c.cut || c.sock != nil && c.sock.own.Load() }

// stray is a message of an answer that is over, or that nobody asked for. A
// foreign server may greet as it likes, and what comes on a socket that the tool has
// given up answers what it did not wait for.
func (c *client) stray(what string) {
	if !c.run.foreign && !c.cut {
		c.breach(breach{breachEnds, what + " came when no answer was under way"}, nil)
	}
}

// breach counts a broken promise.
func (c *client) breach(b breach, t *turn) {
	s := c.shard
	switch b.name {
	case breachOrder:
		s.breachOrder++
	case breachLoss:
		s.breachLoss++
	case breachText:
		s.breachText++
	default:
		s.breachEnds++
	}
	where := c.session
	if t != nil {
		where = fmt.Sprintf("%s, question %d", where, t.id)
	}
	s.fault(b.name, where+": "+b.text)
}

// atTheDoor tells whether a code is a refusal of the connection itself.
func atTheDoor(code string) bool {
	switch code {
	case "CONNECTION_LIMIT_EXCEEDED", "CONNECTION_RATE_EXCEEDED", "SESSION_LIMIT_EXCEEDED", "INVALID_SESSION",
		"INVALID_PRODUCT", "PRODUCT_NOT_FOUND", "UNAUTHORIZED", "FORBIDDEN":
		return true
	}
	return false
}
