package actors

import (
	"time"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// turnState is how far one question has come on the gateway's side.
type turnState uint8

const (
	turnAsked       turnState = iota // the limiter has it
	turnQueued                       // no room yet; asked again until `until`
	turnOffered                      // a job is out, nobody answered yet
	turnWithdrawing                  // nobody answered in time: workers are asked for the job back
	turnSeeking                      // live workers were asked for the run of a client_key
	turnFinding                      // a resume or cancel is out, the run did not answer yet
	turnAccepted                     // a run has it, no chunk yet
	turnStreaming                    // chunks flow
	turnEnded                        // the terminal frame was sent: everything is ignored
)

// verb is what a turn wants done on the bus after a transition.
type verb uint8

const (
	doNothing  verb = iota
	doOffer         // publish the job as a new attempt under a new `to`
	doWithdraw      // ask all workers for the job back
	doWait          // ask again after a pause
	doKey           // send the user's sealed key to the run
	doRelease       // tell the run of this accept that nobody wants it
	doCancel        // ask the run to stop
	doHeal          // ask the run for what is missing after seq
	doAck           // tell the run that its terminal arrived
	doMove          // doAck, then doOffer: another worker is asked
)

// step is the outcome of a transition: at most one frame for the client, at
// most one thing to do on the bus, and whether the turn is over.
type step struct {
	verb  verb
	send  bool
	frame protocol.Frame
	end   bool
}

// Bounds of dispatch.
const (
	offersMax       = 3                      // jobs published per attempt before the fleet counts as full
	offersAvoiding  = 12                     // the same while one worker says busy because it is avoided: NATS picks blindly
	offerTimeout    = 500 * time.Millisecond // for one accept
	silenceStatus   = 10 * time.Second       // after which a named turn is told that it lives
	silenceCheck    = 5 * time.Second        // so that it hears something at least every 15 s
	healPatience    = time.Second            // for what heals, while chunks go on that cannot be shown
	healPatienceMax = 8                      // times that, after as many requests
	healsMax        = 64                     // in a row without a new chunk: the run cannot say what it claims to have said
	runSilence      = 3 * saySeqEvery        // a run says something every 5 s: one that does not is asked, and may be gone
)

// turn is one question as the gateway sees it: a pure state machine. It knows
// no bus, no socket and no clock; its methods take what happened and say what
// to do. A turn that follows a run which another socket started, or only cancels
// it, is a viewer.
type turn struct {
	// Set once.
	id       string
	named    bool // gets the fuller frames
	viewer   bool
	forWhat  string // of a viewer: protocol.ForCancel or ForResume, empty for a repeated chat
	provider string
	attempts int    // in all
	movable  bool   // the job said that another worker would be asked
	room     int    // bytes of text that are taken; 0 = no bound
	after    uint64 // of a viewer: what its client has already

	// Moves with the states.
	state    turnState
	to       uint64 // names the present attempt on the bus
	attempt  int    // 1, 2
	offers   int    // of this attempt
	worker   string
	run      string
	seq      uint64     // last chunk that arrived in order
	text     []byte     // the answer so far, escaped
	shown    int        // of a viewer: where the snapshot for the client starts in text
	queued   bool       // the client was told so
	stopping bool       // the client asked to cancel
	heals    int        // asked for since the last new chunk
	healing  bool       // a gap was seen; chunks are ignored until the snapshot
	spare    *bus.Event // why the first worker could not; told where no other can be asked
	avoiding bool       // jobs name the worker that is not asked again
	position int        // in the provider's queue, as the client was told
	begun    bool       // the client was shown something, reasoning too: nobody else is asked
	calls    int        // of vendors, by workers that gave up
	until    time.Time
	heard    time.Time // when the client last got a frame of this turn
	spoke    time.Time // when the run last said anything
}

// live tells whether the turn still owes its client a terminal frame.
func (t *turn) live() bool { return t.state != turnEnded }

// allowed: the limiter let the question through.
func (t *turn) allowed(queueUntil time.Time) step {
	t.until = queueUntil
	t.attempt = 1
	return t.offer()
}

func (t *turn) offer() step {
	t.state = turnOffered
	t.offers++
	return step{verb: doOffer}
}

// retry: the pause of a queued turn is over.
func (t *turn) retry() step {
	if t.state != turnQueued {
		return step{}
	}
	t.offers = 0
	return t.offer()
}

// out tells whether a job is out that nobody has taken yet.
func (t *turn) out() bool { return t.state == turnOffered || t.state == turnWithdrawing }

// noRoom: a worker was busy, nobody has the job, or all have left the
// queue group. Where room means that somebody just may have some, the job is
// offered again at once.
func (t *turn) noRoom(now time.Time, again bool) step {
	if !t.out() {
		return step{}
	}
	if t.stopping {
		return t.finish(protocol.Frame{Type: protocol.TypeCancelled})
	}
	if again && (t.offers < offersMax || t.avoiding && t.offers < offersAvoiding) {
		return t.offer()
	}
	if t.spare != nil {
		return t.noOther()
	}
	if t.id != "" && now.Before(t.until) {
		t.state = turnQueued
		if !t.queued {
			t.queued = true
			return t.status(protocol.StateQueued, doWait)
		}
		return step{verb: doWait}
	}
	return t.fail(protocol.Overloaded, "All workers are busy. Try again in a moment.", 1)
}

// noAccept: nobody answered an offer in time. A worker may have it all the same.
func (t *turn) noAccept() step {
	if t.state != turnOffered {
		return step{}
	}
	t.state = turnWithdrawing
	return step{verb: doWithdraw}
}

// withdrawn: an offer that nobody answered is off. Where every worker has said so
// it is as if it had never been made, but that one that avoids a worker counts as
// several, unlike a busy word that took long. Else a worker that may have it is
// gone with it.
func (t *turn) withdrawn(now time.Time, certain bool) step {
	switch {
	case t.state != turnWithdrawing:
		return step{}
	case certain:
		if t.avoiding {
			t.offers += offersAvoiding/offersMax - 1
		}
		return t.noRoom(now, true)
	case t.stopping:
		return t.finish(protocol.Frame{Type: protocol.TypeCancelled})
	case t.attempt < t.attempts:
		t.attempt++
		t.offers = 0
		return t.offer()
	case t.spare != nil:
		return t.spared()
	}
	return t.fail(protocol.WorkerLost, "The worker that was asked is gone.", 0)
}

// accepted: a worker took the job.
func (t *turn) accepted(run, worker string, needsKey bool) step {
	switch {
	case run == t.run && run != "":
		return step{} // the bus repeated the accept
	case !t.out():
		return step{verb: doRelease} // of the run that comes too late, not of ours
	}
	t.state, t.run, t.worker, t.position = turnAccepted, run, worker, 0
	s := step{}
	if t.named {
		s.send, s.frame = true, t.acceptance()
	}
	switch {
	case t.stopping:
		s.verb = doCancel
	case needsKey:
		s.verb = doKey
	}
	return s
}

// found: the run that a viewer asked for answers.
func (t *turn) found(run, worker string) step {
	if t.state != turnFinding {
		return step{}
	}
	t.state, t.run, t.worker = turnAccepted, run, worker
	s := step{}
	if t.forWhat == "" {
		s.send, s.frame = true, t.acceptance()
	}
	if t.stopping {
		s.verb = doCancel
	}
	return s
}

// acceptance tells the client which run has its question.
func (t *turn) acceptance() protocol.Frame {
	return protocol.Frame{Type: protocol.TypeAccepted, Named: true, ID: t.id, RunID: t.run}
}

// missing: no such run for this client. A run that was known and is unknown
// now went down with its worker's memory.
func (t *turn) missing() step {
	if !t.looking() {
		return t.lost()
	}
	return t.fail(protocol.RunNotFound, "No run with this run_id can be reached. It may have ended, expired or never existed.", 0)
}

// looking tells whether it is still open which run the turn will follow.
func (t *turn) looking() bool { return t.state == turnSeeking || t.state == turnFinding }

// verdict says what to do with a chunk.
type verdict uint8

const (
	chunkIgnored verdict = iota // old, or the turn is not listening
	chunkNext                   // show it
	chunkGap                    // something before it is missing
	chunkTooMuch                // the answer is longer than a gateway takes
)

// chunk takes the next piece of the answer, escaped.
func (t *turn) chunk(seq uint64, text []byte) verdict {
	switch {
	case t.state != turnAccepted && t.state != turnStreaming, t.healing, seq <= t.seq:
		return chunkIgnored
	case seq != t.seq+1, t.viewer && t.state == turnAccepted: // a viewer's snapshot comes first
		t.healing = true
		return chunkGap
	case t.full(text):
		return chunkTooMuch
	}
	t.state = turnStreaming
	t.seq, t.heals = seq, 0
	t.text = append(t.text, text...)
	return chunkNext
}

// full tells whether more text would bring the answer above its bound.
func (t *turn) full(more []byte) bool {
	return t.room > 0 && len(t.text)+len(more) > t.room
}

// tooMuch ends the turn of a run that does not keep to runs.max_output_bytes.
func (t *turn) tooMuch() step {
	return t.fail(protocol.Internal, "The answer is longer than this server takes.", 0)
}

// snapshot takes a part of what was missed. The frame it yields is, for a
// viewer, the one snapshot of a resume; for a turn that healed, one chunk.
func (t *turn) snapshot(e *bus.Event) step {
	if t.state != turnAccepted && t.state != turnStreaming {
		return step{}
	}
	first := t.seq + 1
	if e.Seq > t.seq {
		if e.From != first {
			return t.heal() // a part was lost, or chunks overtook it: its text does not fit
		}
		if t.full(e.Text) {
			return t.tooMuch()
		}
		t.seq, t.heals = e.Seq, 0
		t.text = append(t.text, e.Text...)
	}
	if t.viewer && t.state == turnAccepted && t.seq <= t.after {
		t.shown = len(t.text)
	}
	if t.viewer && t.state == turnAccepted {
		if e.More {
			return step{}
		}
		t.healing = false
		t.state = turnStreaming
		return step{send: t.forWhat != protocol.ForCancel, frame: protocol.Frame{
			Type: protocol.TypeSnapshot, Named: true, ID: t.id, RunID: t.run, Seq: t.seq, Text: t.text[t.shown:],
		}}
	}
	if !e.More {
		t.healing = false
	}
	if t.seq < first {
		return step{}
	}
	t.state = turnStreaming
	f := protocol.Frame{Type: protocol.TypeChunk, Named: t.named, ID: t.id, Seq: t.seq, Text: e.Text}
	if t.seq > first {
		f.From = first
	}
	return step{send: true, frame: f}
}

// silent: the run said its last seq. Whatever is missing is asked for again.
func (t *turn) silent(seq uint64) step {
	if seq <= t.seq || (t.state != turnAccepted && t.state != turnStreaming) {
		return step{}
	}
	return t.heal()
}

// heal asks the run for what is missing.
func (t *turn) heal() step {
	if t.state != turnAccepted && t.state != turnStreaming {
		return step{}
	}
	if t.heals++; t.heals > healsMax {
		return t.fail(protocol.Internal, "The worker contradicts itself about this answer.", 0)
	}
	t.healing = true
	return step{verb: doHeal}
}

// patience is how long a turn that heals waits for what it asked for, while its
// run says more and more: longer each time, for a snapshot may be large.
func (t *turn) patience() time.Duration {
	return healPatience * time.Duration(min(t.heals, healPatienceMax))
}

// ended takes the run's terminal event. One that comes before its chunks waits
// for the run's repetition: first the gap is healed.
func (t *turn) ended(e *bus.Event) step {
	if t.state != turnAccepted && t.state != turnStreaming {
		return step{verb: doAck}
	}
	if e.Seq != t.seq+1 || (t.viewer && t.state == turnAccepted) {
		return t.heal()
	}
	if t.moves(e) {
		return t.elsewhere(e)
	}
	s := t.finish(t.terminal(e))
	s.verb = doAck
	return s
}

// terminal is a run's end as its client sees it.
func (t *turn) terminal(e *bus.Event) protocol.Frame {
	f := protocol.Frame{Seq: e.Seq, Provider: e.Provider, Model: e.Model, Attempts: e.Attempts + t.calls, Usage: usageOf(e.Usage)}
	switch e.Type {
	case bus.EventComplete:
		f.Type, f.Finish = protocol.TypeComplete, e.Finish
	case bus.EventCancelled:
		f.Type = protocol.TypeCancelled
	default:
		f.Type, f.Code, f.Message, f.RetryAfter = protocol.TypeError, known(e.Code), e.Message, e.RetryAfter
	}
	return f
}

// known is a worker's code in the closed list.
func known(code string) protocol.Code { return protocol.Lookup(protocol.Code(code)).Code }

func usageOf(u *bus.Usage) *protocol.Usage {
	if u == nil {
		return nil
	}
	return &protocol.Usage{InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, Estimated: u.Estimated}
}

// cancel: the client wants the answer to stop.
func (t *turn) cancel() step {
	switch t.state {
	case turnAsked, turnQueued:
		return t.finish(protocol.Frame{Type: protocol.TypeCancelled})
	case turnOffered, turnWithdrawing, turnSeeking, turnFinding:
		t.stopping = true // the accept, or its absence, decides
		return step{}
	case turnAccepted, turnStreaming:
		t.stopping = true
		return step{verb: doCancel}
	}
	return step{}
}

// lost: the worker of this turn is gone. A question of which nothing was shown
// yet moves once.
func (t *turn) lost() step {
	switch t.state {
	case turnFinding:
		return t.missing()
	case turnAccepted, turnStreaming:
	default:
		return step{}
	}
	t.healing = false
	if t.stopping {
		return t.finish(protocol.Frame{Type: protocol.TypeCancelled})
	}
	if t.state == turnAccepted && !t.viewer && !t.begun && t.attempt < t.attempts {
		t.attempt++
		t.offers = 0
		t.run, t.worker = "", ""
		return t.offer()
	}
	return t.fail(protocol.WorkerLost, "The worker that was answering is gone.", 0)
}

// noBus ends the turn because nothing can be asked now.
func (t *turn) noBus() step {
	return t.fail(protocol.BusUnavailable, "The message bus cannot be reached. Try again in a moment.", 1)
}

// fail ends the turn with an error.
func (t *turn) fail(code protocol.Code, message string, retryAfter int) step {
	return t.finish(protocol.Frame{Type: protocol.TypeError, Code: code, Message: message, RetryAfter: retryAfter})
}

// finish ends the turn with its one terminal frame.
func (t *turn) finish(f protocol.Frame) step {
	if t.state == turnEnded {
		return step{}
	}
	looking := t.looking()
	t.state = turnEnded
	f.Named, f.ID, f.RunID, f.Text = t.named, t.id, t.run, t.text
	if f.Type == protocol.TypeError && len(t.text) == 0 {
		f.Text = nil
	}
	if f.Seq == 0 && f.Type != protocol.TypeError {
		f.Seq = t.seq + 1
	}
	if f.Type == protocol.TypeError && looking && t.forWhat != "" {
		f.For, f.ID = t.forWhat, ""
	}
	return step{send: true, frame: f, end: true}
}

// silence says something to a named turn that heard nothing for a while.
func (t *turn) silence(now time.Time) step {
	if !t.named || now.Sub(t.heard) < silenceStatus {
		return step{}
	}
	switch t.state {
	case turnQueued, turnOffered, turnWithdrawing:
		return t.status(protocol.StateQueued, doNothing)
	case turnAccepted:
		return t.standing()
	case turnStreaming:
		return t.status(protocol.StateStreaming, doNothing)
	}
	return step{}
}

// placed tells a named turn where it stands in its provider's queue, and when
// it has left it.
func (t *turn) placed(e *bus.Event) step {
	position := 0
	if e.State == protocol.StateQueued {
		position = e.Position
	}
	if t.state != turnAccepted || !t.named || position == t.position {
		return step{}
	}
	t.position = position
	return t.standing()
}

// standing says where an accepted turn stands: in the queue, or with the vendor.
func (t *turn) standing() step {
	if t.position == 0 {
		return t.status(protocol.StateWaiting, doNothing)
	}
	s := t.status(protocol.StateQueued, doNothing)
	s.frame.Position = t.position
	return s
}

func (t *turn) status(state string, v verb) step {
	return step{verb: v, send: true, frame: protocol.Frame{Type: protocol.TypeStatus, Named: true, ID: t.id, State: state}}
}
