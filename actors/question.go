package actors

import (
	"fmt"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// jobSlack is what a job's envelope may take besides its messages and system
// prompt, in bytes of a bus message.
const jobSlack = 4 << 10

// questionFrame is what the list and the last message take besides its content.
const questionFrame = 64

// question is a chat frame made ready for the bus.
type question struct {
	job     bus.Job // To, Job, Sent and Deadline are set per attempt
	key     protocol.Secret
	content []byte // escaped, for this socket's memory
}

// prepare applies product, defaults and bounds to a chat frame. It takes the
// keys out of the frame: the one that is needed goes into the question, the
// others are destroyed.
func (g *Gateway) prepare(chat *protocol.Chat, c *protocol.Client, mem *memory) (*question, *protocol.Error) {
	if c.Customer && !g.knowsProduct(c.Product) { // a reload took it away
		dropKeys(chat)
		return nil, &protocol.Error{Code: protocol.ProductNotFound, Message: "This product is not configured any more."}
	}
	live := g.live.Load()
	name, model, system, fixed := chat.Provider, chat.Model, "", false
	if c.Customer {
		p := live.Products[c.Product]
		fixed = !p.ClientChoice
		system = p.System
		if fixed || name == "" {
			name = p.Provider
		}
		if fixed || (model == "" && name == p.Provider) { // another provider does not know this model
			model = p.Model
		}
	}
	if name == "" {
		name = live.DefaultProvider
	}
	key := chat.TakeKey(name)
	kind, known := g.providerType(name)
	if !known {
		key.Zero()
		return nil, &protocol.Error{Code: protocol.UnknownProvider, Message: fmt.Sprintf(
			"No provider of that name is configured. GET /api/providers lists what can be asked; the default is %q.", live.DefaultProvider)}
	}
	if kind == provider.TypeEcho {
		key.Zero() // needs none: it goes no further
		key = protocol.Secret{}
	}
	clientSystem := g.cfg.Chat.ClientSystem && !fixed
	if clientSystem && chat.System != "" {
		system = chat.System
	}
	q := &question{key: key, content: protocol.AppendEscaped(nil, []byte(chat.Content))}
	q.job = bus.Job{
		Gateway: g.id, Session: c.Session, Name: chat.ID, Product: c.Product,
		Provider: name, Model: model, System: system,
		Temperature: capTemperature(chat.Temperature, g.cfg.Chat.MaxTemperature), MaxTokens: min(chat.MaxTokens, g.cfg.Chat.MaxTokens),
		OnDisconnect: g.policy(chat), NeedsKey: !key.Empty(),
		Reasoning: chat.Reasoning && (chat.ID != "" || c.Kind == protocol.HTTP),
	}
	room := g.jobs.MaxPayload() - jobSlack - len(system)*2 - len(q.content) - questionFrame
	q.job.Messages = appendMessages(chat, mem, q.content, room, clientSystem)
	if len(q.job.Messages)+len(system)*2 > g.jobs.MaxPayload()-jobSlack {
		key.Zero()
		return nil, &protocol.Error{Code: protocol.InvalidMessage, Message: fmt.Sprintf(
			"The question with its earlier messages is larger than the message bus carries (max_payload %d bytes). Send fewer or shorter messages.", g.jobs.MaxPayload())}
	}
	return q, nil
}

// appendMessages writes what the vendor will see: the client's own earlier
// turns where it sent some, else this socket's memory, then the question.
func appendMessages(chat *protocol.Chat, mem *memory, content []byte, room int, clientSystem bool) []byte {
	dst := []byte{'['}
	if chat.HasMessages {
		var scratch []byte
		for _, m := range chat.Messages {
			if m.Role == protocol.RoleSystem && !clientSystem {
				continue
			}
			scratch = protocol.AppendEscaped(scratch[:0], []byte(m.Content))
			dst = append(appendMessage(dst, m.Role, scratch), ',')
		}
	} else {
		dst = mem.appendTo(dst, room)
	}
	return append(appendMessage(dst, protocol.RoleUser, content), ']')
}

func capTemperature(t *float64, bound float64) *float64 {
	if t == nil || *t <= bound {
		return t
	}
	return &bound
}

// policy is what a lost socket will mean: a turn that the client cannot name
// ends with its socket.
func (g *Gateway) policy(chat *protocol.Chat) string {
	switch {
	case chat.ID == "":
		return protocol.OnDisconnectCancel
	case chat.OnDisconnect != "":
		return chat.OnDisconnect
	default:
		return g.cfg.Runs.OnDisconnect
	}
}

// graceOf is the policy where the server, not the client, ended the socket: the
// run waits at least for grace.
func graceOf(policy string) string {
	if policy == protocol.OnDisconnectContinue {
		return policy
	}
	return protocol.OnDisconnectGrace
}
