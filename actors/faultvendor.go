package actors

import (
	"context"

	"github.com/troupe-chat/troupe/actors/fault"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// stream asks a vendor once, through whatever faults are set for vendors.
func (s *System) stream(ctx context.Context, p provider.Provider, q *provider.Question, to provider.Sink) (provider.Result, error) {
	if s.faults == nil {
		return p.Stream(ctx, q, to)
	}
	v := s.faults.Decide(fault.Asked{Actor: faultVendor, Message: messageCall, ID: q.Call})
	switch v.Fault {
	case fault.Panic:
		panic(injectedPanic{})
	case fault.Error:
		return provider.Result{Fault: provider.FaultVendor}, &protocol.Error{
			Code: protocol.ProviderUnavailable, Message: "The provider failed.", RetryAfter: 1,
		}
	}
	v.Wait(ctx.Done())
	call, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &faultySink{Sink: to, faults: s.faults, id: q.Call, ctx: call, cancel: cancel}
	result, err := p.Stream(call, q, f)
	if f.broken && ctx.Err() == nil {
		result.Fault = provider.FaultVendor
		return result, &protocol.Error{Code: protocol.ProviderInterrupted, Message: "The provider's answer broke off."}
	}
	f.release()
	return result, err
}

// faultySink stands between one call of a vendor and its run.
type faultySink struct {
	provider.Sink
	faults *fault.Set
	id     string
	ctx    context.Context // of the call
	cancel context.CancelFunc

	// Owned by the call's goroutine.
	held   []byte // one piece that waits for the next one; nil = none
	broken bool   // the answer breaks off here: nothing more is passed on
}

// Text implements provider.Sink. What is held back is copied: a piece is
// borrowed.
func (f *faultySink) Text(piece []byte) {
	if f.broken {
		return
	}
	v := f.faults.Decide(fault.Asked{Actor: faultVendor, Message: messageText, ID: f.id, Holding: f.held != nil})
	switch v.Fault {
	case fault.Panic:
		panic(injectedPanic{})
	case fault.Error:
		f.broken = true
		f.cancel()
		return
	case fault.Drop:
		return
	case fault.Reorder:
		f.held = append([]byte{}, piece...)
		return
	case fault.Repeat:
		f.Sink.Text(piece)
	}
	v.Wait(f.ctx.Done())
	f.Sink.Text(piece)
	f.release()
}

// release passes on what was held back: behind the next piece, or at the end.
func (f *faultySink) release() {
	if f.held != nil {
		f.Sink.Text(f.held)
		f.held = nil
	}
}
