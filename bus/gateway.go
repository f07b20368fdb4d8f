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
	in := &gatewayInbox{bus: b, base: strings.TrimSuffix(subject, ">"), handler: h}
	return b.subscribe(subject, "", in.message)
}

func (in *gatewayInbox) message(m *nats.Msg) {
	tail := strings.TrimPrefix(m.Subject, in.base)
	if tail == eventsTail {
		if broken := in.decoder.Decode(m.Data, in.event); broken > 0 {
			in.bus.skipMalformed(m.Subject, broken)
		}
		return
	}
	digits, ok := strings.CutPrefix(tail, replyTail)
	to, valid := parseNumber(digits)
	switch {
	case !ok || !valid:
		in.bus.skipMalformed(in.base+">", 1)
	case noResponders(m):
		in.handler.NoResponders(to)
	default:
		in.reply(to, m)
	}
}

// event guards each event by itself, so that one that panics does not take the
// events of others in the same message with it.
func (in *gatewayInbox) event(e *Event) {
	defer in.bus.recovered("event")
	in.handler.Event(e)
}

func (in *gatewayInbox) reply(to uint64, m *nats.Msg) {
	r, err := DecodeReply(m.Data)
	if err != nil {
		in.bus.skipMalformed(m.Subject, 1)
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
	return b.ask(subject, job.Gateway, job.To, job)
}

// Control sends a word to a run of a worker. The answer arrives at the gateway's
// handler as Reply or NoResponders for c.To.
func (b *Bus) Control(worker string, c *Control) error {
	subject, err := b.subjects.Control(worker)
	if err != nil {
		return err
	}
	return b.ask(subject, c.Gateway, c.To, c)
}

func (b *Bus) ask(subject, gateway string, to uint64, message any) error {
	reply, err := b.subjects.Reply(gateway, to)
	if err != nil {
		return err
	}
	data, err := encode(message)
	if err != nil {
		return err
	}
	return b.request(subject, reply, data)
}
