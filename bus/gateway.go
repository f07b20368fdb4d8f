package bus

import (
	"strings"

	"github.com/nats-io/nats.go"
)

// GatewayHandler takes what workers say to one gateway. Its methods are called
// in the order of the wire from one goroutine and must not block.
type GatewayHandler interface {
	// Event takes one event of a run. It is borrowed until the method returns;
	// its Text and Usage may be kept and are never written to.
	Event(e *Event)
	// Batch says that the message which brought the last events has no more.
	// Not every event needs to wait for it, nor may it be counted on after a
	// panic of Event.
	Batch()
	// Reply takes the answer to the job or control of the asker `to`.
	Reply(to uint64, r *Reply)
	// NoResponders says that nobody listens where the asker `to` asked.
	NoResponders(to uint64)
}

// gatewayInbox dispatches the one subscription of a gateway.
type gatewayInbox struct {
	// Set once.
	bus     *Bus
	base    string // "<prefix>.v1.gateway.<id>."
	handler GatewayHandler

	lane *lane // nil without a saboteur

	// Owned by the subscription's goroutine.
	decoder EventDecoder
}

// ListenGateway hands all that is meant for a gateway to h. It is one wildcard
// subscription, because two would be two goroutines and an event could overtake
// the reply it follows.
func (b *Bus) ListenGateway(id string, h GatewayHandler) (*Subscription, error) {
	subject, err := b.subjects.Gateway(id)
	if err != nil {
		return nil, err
	}
	in := &gatewayInbox{bus: b, base: strings.TrimSuffix(subject, ">"), handler: h, lane: b.newLane(h.Batch)}
	return b.subscribe(subject, "", in.message)
}

func (in *gatewayInbox) message(m *nats.Msg) {
	tail := strings.TrimPrefix(m.Subject, in.base)
	if tail == eventsTail {
		if broken := in.decoder.Decode(m.Data, in.event); broken > 0 {
			in.bus.skipMalformed(m.Subject, broken)
		}
		if in.lane.watched() {
			in.lane.locked(in.handler.Batch)
			return
		}
		in.handler.Batch() // guarded with the message
		return
	}
	digits, ok := strings.CutPrefix(tail, replyTail)
	to, valid := parseNumber(digits)
	switch {
	case !ok || !valid:
		in.bus.skipMalformed(in.base+">", 1)
	case noResponders(m):
		in.unheard(to)
	default:
		in.reply(to, m)
	}
}

// event guards each event by itself, so that one that panics does not take the
// events of others in the same message with it.
func (in *gatewayInbox) event(e *Event) {
	defer in.bus.recovered("event")
	if in.lane.watched() {
		own := *e
		in.lane.arrive(sortEvent, e.Type, func() { in.handler.Event(&own) })
		return
	}
	in.handler.Event(e)
}

func (in *gatewayInbox) unheard(to uint64) {
	if in.lane.watched() {
		in.lane.arrive(sortNoResponders, "", func() { in.handler.NoResponders(to) })
		return
	}
	in.handler.NoResponders(to)
}

func (in *gatewayInbox) reply(to uint64, m *nats.Msg) {
	r, err := DecodeReply(m.Data)
	if err != nil {
		in.bus.skipMalformed(m.Subject, 1)
		return
	}
	if in.lane.watched() {
		in.lane.arrive(sortReply, r.Type, func() { in.handler.Reply(to, r) })
		return
	}
	in.handler.Reply(to, r)
}

// noResponders tells the server's own answer for a subject without listeners:
// an empty message with a status.
func noResponders(m *nats.Msg) bool {
	return len(m.Data) == 0 && m.Header.Get("Status") == "503"
}

// Ask sends a job to one worker of its provider's queue group. The answer
// arrives at the gateway's handler as Reply or NoResponders for job.To.
func (b *Bus) Ask(job *Job) error {
	if !validToken(job.Job) {
		return ErrToken
	}
	subject, err := b.subjects.Chat(job.Provider)
	if err != nil {
		return err
	}
	reply, err := b.subjects.Reply(job.Gateway, job.To)
	if err != nil {
		return err
	}
	data := appendJob(make([]byte, 0, jobOverhead+len(job.Messages)+len(job.System)), job)
	if b.out.watched() {
		trace := job.Trace
		return b.out.leave(sortJob, "", func() error { return b.requestJob(subject, reply, data, trace) })
	}
	return b.requestJob(subject, reply, data, job.Trace)
}

func (b *Bus) requestJob(subject, reply string, data []byte, trace string) error {
	if trace != "" {
		return b.requestTraced(subject, reply, data, trace)
	}
	return b.request(subject, reply, data)
}

// jobOverhead is about what a job takes besides its texts.
const jobOverhead = 512

// Control sends a word to a run of a worker. The answer arrives at the gateway's
// handler as Reply or NoResponders for c.To.
func (b *Bus) Control(worker string, c *Control) error {
	subject, err := b.subjects.Control(worker)
	if err != nil {
		return err
	}
	data, err := encode(c)
	if err != nil {
		return err
	}
	return b.ask(sortControl, c.Type, subject, c.Gateway, c.To, data)
}

// ask owns data.
func (b *Bus) ask(sort, kind, subject, gateway string, to uint64, data []byte) error {
	reply, err := b.subjects.Reply(gateway, to)
	if err != nil {
		return err
	}
	if b.out.watched() {
		return b.out.leave(sort, kind, func() error { return b.request(subject, reply, data) })
	}
	return b.request(subject, reply, data)
}
