package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// sendKey seals the user's key to the run's worker, again and again until the
// run shows that it has it: one word can be lost. The plain bytes live on until
// the first text: a second attempt would need them.
func (c *connection) sendKey(ctx actor.Context, t *asking) {
	if t.state != turnAccepted || t.keyed || t.question == nil || !t.question.job.NeedsKey || t.keys == keysMax {
		return
	}
	t.keys++
	t.wait(after(c.sys, keyPause, ctx.Self(), &replied{to: t.to, reply: &bus.Reply{Type: replyKeyAgain}}))
	public := c.gateway.publicKey(t.worker)
	if public == nil { // a worker whose first beat is still on its way
		return
	}
	sealed, err := bus.Seal(public, t.question.key.Reveal(), bus.SealInfo(t.run, t.provider))
	if err != nil {
		c.line(zerolog.ErrorLevel).Err(err).Str("worker", t.worker).Msg("Key could not be sealed")
		c.control(t, &bus.Control{Type: bus.ControlRelease})
		c.apply(ctx, t, t.fail(protocol.Internal, "Your key could not be sealed for the worker.", 0))
		return
	}
	c.control(t, &bus.Control{Type: bus.ControlKey, Sealed: sealed})
}

// hasKey: the run has begun, so it has the user's key.
func (c *connection) hasKey(t *asking) {
	if t.keyed || t.question == nil || !t.question.job.NeedsKey {
		return
	}
	t.keyed = true
	t.wait(nil)
}

const (
	keyPause      = 250 * time.Millisecond
	keysMax       = int(keyPatience / keyPause) // longer a run does not wait for it
	replyKeyAgain = "key_again"                 // from a connection to itself, never on the bus
)
