package actors

import (
	"reflect"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/actors/fault"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// staged puts an actor behind a faultpoint where faults may be set; elsewhere nothing
// stands between it and its messages.
func (s *System) staged(kind string, a actor.Actor) actor.Actor {
	if s.faults == nil {
		return a
	}
	return &faultpoint{Actor: a, sys: s, kind: kind}
}

// faultpoint asks for each message of one actor whether a fault strikes it. What
// keeps a message from its actor happens here; what happens inside the actor
// (panic, hang, delay) happens in guard.enter, behind all that the actor has
// deferred.
type faultpoint struct {
	actor.Actor
	sys  *System
	kind string

	// Owned by Receive.
	held  any // one message that waits for the next one; nil = none
	round int // counts what was held, so that an old clock frees nothing newer
}

// heldDue says that a message was held back for long enough.
type heldDue struct{ round int }

// struck is the context of a message that a fault strikes inside its actor.
type struck struct {
	actor.Context
	verdict fault.Verdict
}

// again is the context of a message that is handled apart from its delivery.
type again struct {
	actor.Context
	message any
}

// Message implements actor.Context.
func (a again) Message() any { return a.message }

// failing is an actor that is asked for decisions. fail tells whoever asked that
// there will be none.
type failing interface {
	fail(ctx actor.Context, message any)
}

// Receive implements actor.Actor.
func (s *faultpoint) Receive(ctx actor.Context) {
	if s.held == nil && !s.sys.faults.Active() {
		s.Actor.Receive(ctx)
		return
	}
	message := ctx.Message()
	switch m := message.(type) {
	case *heldDue:
		if m.round == s.round {
			s.release(ctx)
		}
		return
	case *actor.Stopping, *actor.Restarting:
		s.held = nil // its mailbox goes unread, too
	}
	before := s.held
	s.play(ctx, message, s.sys.faults.Decide(fault.Asked{
		Actor: s.kind, Message: nameOf(message), ID: ctx.Self().GetId(), Holding: s.held != nil,
	}))
	if before != nil {
		s.release(ctx)
	}
}

// play carries a verdict out.
func (s *faultpoint) play(ctx actor.Context, message any, v fault.Verdict) {
	switch v.Fault {
	case "":
		s.Actor.Receive(ctx)
	case fault.Drop:
	case fault.Error:
		if a, ok := s.Actor.(failing); ok {
			a.fail(ctx, message)
		}
	case fault.Repeat:
		second := copied(message) // before the first is given back
		s.Actor.Receive(ctx)
		s.Actor.Receive(again{ctx, second})
	case fault.Reorder:
		s.held = message
		s.round++
		after(s.sys, v.Delay, ctx.Self(), &heldDue{round: s.round})
	default:
		s.Actor.Receive(struck{ctx, v})
	}
}

// release hands out what was held back.
func (s *faultpoint) release(ctx actor.Context) {
	if m := s.held; m != nil {
		s.held = nil
		s.Actor.Receive(again{ctx, m})
	}
}

// copied makes a second message of one that its receiver gives back. All others
// are never changed after they were sent.
func copied(message any) any {
	if m, ok := message.(*chunksArrived); ok {
		return &chunksArrived{to: m.to, chunks: slices.Clone(m.chunks)}
	}
	return message
}

// nameOf is what a message is called: its type without package.
func nameOf(message any) string {
	t := reflect.TypeOf(message)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// injectedPanic is what a fault panics with: the log names its type.
type injectedPanic struct{}

// injected is what guard.enter runs: what tests want, then the verdict of the
// actor's faultpoint. Nil where neither is there.
func injected(inject Injector, faults *fault.Set) func(kind string, ctx actor.Context) {
	if inject == nil && faults == nil {
		return nil
	}
	return func(kind string, ctx actor.Context) {
		if inject != nil {
			inject(kind, ctx.Message())
		}
		if s, ok := ctx.(struck); ok {
			if s.verdict.Fault == fault.Panic {
				panic(injectedPanic{})
			}
			s.verdict.Wait(nil)
		}
	}
}

// fail implements failing: the connection asks the fallback bucket at once.
func (l *limiter) fail(ctx actor.Context, message any) {
	if m, ok := message.(*decide); ok {
		ctx.Send(m.from, &limiterLate{ask: m})
	}
}

// fail implements failing: the client is told to come back.
func (p *pool) fail(ctx actor.Context, message any) {
	if m, ok := message.(*acquire); ok {
		ctx.Send(m.owner.pid.Load(), &poolLate{n: m.n})
	}
}

// fail implements failing: the job is refused, and what it held is free.
func (p *providerSupervisor) fail(_ actor.Context, message any) {
	if m, ok := message.(*startRun); ok {
		m.coming.end()
		p.worker.freeSlot()
		p.worker.refuse(p.served, m.reply, &protocol.Error{
			Code: protocol.ProviderUnavailable, Message: "The provider cannot be asked now. Ask again.", RetryAfter: 1,
		})
	}
}
