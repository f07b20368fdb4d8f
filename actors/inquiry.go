package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/upstream"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Bounds of one question in one worker.
const (
	callsMax  = 6                      // of vendors in all
	againMax  = 2                      // of one provider that was unwell, after the first
	shortRest = 2 * time.Second        // a rest that is waited for where nobody else can be asked
	pauseOnce = 150 * time.Millisecond // before a provider that was unwell is asked again, doubling
)

// inquiry is one run's way to an answer: whom it asks, with which key, and
// whether it asks again. Until the first word it may: the next key, the same
// one a moment later, both within the retry budget, then the next provider of the
// chain; callsMax bounds all of it. After the first word it never does.
//
// It lives in the goroutine of the provider call and tells its run through the
// sink.
type inquiry struct {
	worker *Worker
	job    *bus.Job
	setup  *ProviderSetup  // of the provider that was asked, as it was at the start
	key    protocol.Secret // the user's; empty = the deployment's
	sink   *sink
	// movable: whoever asked would ask another worker; false once it has left.
	movable *atomic.Bool
	coming  *coming
	trace   *runTrace // nil where it is not traced
	log     zerolog.Logger

	calls int
	last  answered // whom the last call went to, for the end of one that panics
}

// answered is how an inquiry ended.
type answered struct {
	result    provider.Result
	err       error
	provider  string // whose answer, or whose failure, it is
	keyID     string // fingerprint of the deployment's key that was used last
	calls     int    // of vendors
	other     bool   // another provider may answer
	elsewhere bool   // another worker may do better with this one
}

// target is one provider of the chain.
type target struct {
	name   string
	model  string // empty = its default
	served *served
	setup  *ProviderSetup
	last   bool // of the chain: nobody else can be asked
}

// run asks until somebody answers or nobody is left. What it tells then is why
// the provider that was asked for could not: that others could not either is
// for the log.
func (e *inquiry) run(ctx context.Context, q *provider.Question) answered {
	var first *answered
	for _, t := range e.chain() {
		a := e.ask(ctx, t, q)
		if a.err == nil || ctx.Err() != nil || e.sink.begun {
			a.calls = e.calls
			a.elsewhere = a.elsewhere && !e.sink.begun
			return a
		}
		e.log.Warn().Str("provider", t.name).Str("code", string(codeOf(a.err))).Msg("Provider could not answer")
		if first == nil {
			first = &a
			if a.elsewhere && e.movable.Load() {
				break // another worker first
			}
		} else if codeOf(a.err) == protocol.UnknownModel {
			continue // not the question's fault: the operator chose this one
		}
		if !a.other || e.calls >= callsMax {
			break
		}
	}
	first.calls = e.calls
	return *first
}

// chain lists who may be asked, the one that was asked for first. A question
// with a user's key stays where that key belongs: the deployment's keys at
// another provider are not this user's to spend. Nor is one without asked of a
// provider that wants users' keys.
func (e *inquiry) chain() []target {
	chain := []target{{name: e.job.Provider, model: e.job.Model, served: e.worker.served[e.job.Provider], setup: e.setup}}
	if e.key.Empty() {
		for _, entry := range e.setup.Config.Fallback {
			name, model := provider.SplitTarget(entry)
			s := e.worker.served[name]
			if s == nil {
				continue
			}
			if setup := s.setup.Load(); setup.Config.UserKeys != provider.UserKeysRequire {
				chain = append(chain, target{name: name, model: model, served: s, setup: setup})
			}
		}
	}
	chain[len(chain)-1].last = true
	return chain
}

// tries is what one provider was asked already.
type tries struct {
	keys    []string // fingerprints of keys that failed
	limited []string // of these, the ones that may be asked later
	rested  bool     // a short rest was waited for
	again   int      // calls after one that found the vendor unwell
}

// ask asks one provider, with one key after the other.
func (e *inquiry) ask(ctx context.Context, t target, q *provider.Question) answered {
	a := answered{provider: t.name, result: provider.Result{Model: t.modelName(), Usage: &protocol.Usage{}}}
	var done tries
	if e.hopeless(t, &a) {
		return a
	}
	for {
		call, err := t.served.line.Enter(ctx, upstream.Ask{
			Owner: e.job.Session, Model: t.modelName(), User: !e.key.Empty(), Tried: done.keys,
		}, e.stands)
		e.coming.end()
		switch {
		case err == nil:
			if a.err != nil {
				e.worker.metrics.retries.WithLabelValues(t.name).Inc()
			}
			a = e.call(ctx, t, call, q)
			if a.err == nil || e.sink.begun || ctx.Err() != nil || !e.mayAsk(ctx, t, &done, &a) {
				return a
			}
		case a.err == nil || !e.outlasts(ctx, t, &done, err):
			return e.kept(ctx, t, a, err)
		}
	}
}

// hopeless tells whether the provider can say by itself that nobody would answer.
// Such a question is no call: it neither costs nor dilutes anything.
func (e *inquiry) hopeless(t target, a *answered) bool {
	c, can := t.setup.Provider.(provider.Checker)
	if !can {
		return false
	}
	fault, err := c.Check(t.model, !e.key.Empty() || t.served.keyed())
	a.err, a.result.Fault = err, fault
	a.other, a.elsewhere = fault != provider.FaultNone, elsewhere(fault, !e.key.Empty())
	return err != nil
}

// stands is told where the question stands in the queue.
func (e *inquiry) stands(position int) {
	e.coming.end()
	e.sink.queued(position)
}

// mayAsk decides whether a failed call is followed by another one of the same
// provider, and waits where that helps.
func (e *inquiry) mayAsk(ctx context.Context, t target, done *tries, a *answered) bool {
	var pause time.Duration
	switch a.result.Fault {
	case provider.FaultNone:
		return false
	case provider.FaultConnect, provider.FaultVendor:
		if done.again == againMax {
			return false
		}
		pause = pauseOnce << done.again
		done.again++
	default:
		switch wait := retryAfter(a.err); {
		case a.keyID != "":
			done.keys = append(done.keys, a.keyID)
			if a.result.Fault == provider.FaultLimited {
				done.limited = append(done.limited, a.keyID)
			}
			if len(done.limited) == 0 && t.served.line.AllTried(done.keys) {
				return false // nothing would be called, so nothing is taken from the budget
			}
		case a.result.Fault != provider.FaultLimited, done.rested, !t.last, wait == 0, wait > shortRest:
			return false // the user's own key, or none: there is no other
		default:
			pause, done.rested = wait, true
		}
	}
	if e.calls >= callsMax || !t.served.line.Retry() {
		return false
	}
	return pause == 0 || e.pause(ctx, pause)
}

// outlasts waits for the first key that may be asked again, once, where nobody
// else can be asked and it is soon.
func (e *inquiry) outlasts(ctx context.Context, t target, done *tries, err error) bool {
	if done.rested || !t.last {
		return false
	}
	var resting *upstream.Resting
	switch {
	case errors.Is(err, upstream.ErrTriedAll) && len(done.limited) > 0:
		done.keys = slices.DeleteFunc(done.keys, func(id string) bool { return slices.Contains(done.limited, id) })
		done.limited = nil
		return true // asked again, the line says how long they rest
	case errors.As(err, &resting) && resting.After <= shortRest:
		done.rested = true
		return e.pause(ctx, resting.After)
	}
	return false
}

// call asks a vendor once.
func (e *inquiry) call(ctx context.Context, t target, call *upstream.Call, q *provider.Question) (a answered) {
	outcome := upstream.Outcome{Kind: upstream.Neutral} // where the adapter panics
	defer func() { call.Done(outcome) }()
	e.calls++
	asked := *q
	asked.Model, asked.Key = t.model, e.key
	if asked.Key.Empty() {
		asked.Key = call.Key()
	}
	asked.Call = e.job.Job + "." + strconv.Itoa(e.calls)
	setup := t.setup
	if own, ok := call.Tag().(*ProviderSetup); ok {
		setup = own // of the key: after a reload it may belong to another address
	}
	e.last = answered{provider: t.name, keyID: call.KeyID(), calls: e.calls}
	e.sink.calling(&calling{
		clocks: clocksOf(&setup.Config, e.sink.runs), n: e.calls, keyID: call.KeyID(), provider: t.name, model: t.modelName(),
	}, call)
	traced := e.trace.calling(e.calls, t, setup)
	defer traced.abandon() // where the adapter panics
	e.sink.trace = traced
	res, err := e.worker.sys.stream(ctx, setup.Provider, &asked, e.sink)
	traced.end(ctx, res, err)
	if res.Unsent {
		e.calls--
	}
	outcome = outcomeOf(res, err)
	if !res.Unsent {
		e.worker.metrics.called(t.name, res.Fault, err)
	}
	return answered{
		provider: t.name, result: res, err: err, keyID: call.KeyID(),
		other: res.Fault != provider.FaultNone,
		// What is too large for a minute's limit is so for the account, whichever worker asks.
		elsewhere: elsewhere(res.Fault, !e.key.Empty()) && codeOf(err) != protocol.ProviderRejected,
	}
}

// pause waits, and tells whether the inquiry goes on. The vendor is not silent
// meanwhile: it was not asked.
func (e *inquiry) pause(ctx context.Context, d time.Duration) bool {
	e.sink.queued(0)
	timer := time.NewTimer(d + rand.N(d/4+time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// kept is the end of an inquiry that was not let through: a says how the last
// call before went, if there was one.
func (e *inquiry) kept(ctx context.Context, t target, a answered, err error) answered {
	if a.err != nil && ctx.Err() == nil {
		return a // the vendor's own refusal tells more
	}
	var resting *upstream.Resting
	told := &protocol.Error{Code: protocol.Internal, Message: "The question could not be sent.", Err: err}
	switch {
	case ctx.Err() != nil:
		told = &protocol.Error{Code: protocol.ProviderInterrupted, Message: "The question was stopped before it was asked.", Err: context.Cause(ctx)}
	case errors.As(err, &resting):
		told, a.other = restingError(t, resting), true
		a.elsewhere = resting.Why == upstream.WhyRefused || resting.Why == upstream.WhySpent || resting.Why == upstream.WhyAway
	case errors.Is(err, upstream.ErrFull), errors.Is(err, upstream.ErrPatience):
		told = &protocol.Error{Code: protocol.Overloaded, RetryAfter: 1, Message: fmt.Sprintf(
			"Provider %s is asked as much as it may be at once. Try again in a moment.", t.name)}
		a.other, a.elsewhere = true, true
	case errors.Is(err, upstream.ErrNoKey): // a reload took them away
		told, a.other = t.served.needsKey(), true
	}
	a.err = told
	return a
}

// modelName is the model that will be asked, as far as it is known here.
func (t target) modelName() string {
	if t.model != "" {
		return t.model
	}
	return t.setup.Config.DefaultModel
}

// restingError says that a provider is not asked for a while.
func restingError(t target, r *upstream.Resting) *protocol.Error {
	why := "did not answer well lately"
	switch r.Why {
	case upstream.WhyAway:
		why = "cannot be reached from here"
	case upstream.WhyRefused:
		why = "refused the deployment's keys"
	case upstream.WhySpent:
		why = "says that the deployment's keys are out of credit"
	case upstream.WhyLimited:
		why = "limits how much the deployment's keys may ask"
	}
	return &protocol.Error{
		Code: protocol.ProviderUnavailable, RetryAfter: wholeSeconds(r.After),
		Message: fmt.Sprintf("Provider %s %s and is left alone for a while. Try again later, or ask another provider.", t.name, why),
	}
}

// wholeSeconds rounds up; waiting never ends too early.
func wholeSeconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}

// elsewhere tells whether another worker may fare better with the same vendor:
// it has a network, and perhaps keys, of its own, but no other key of the user.
func elsewhere(f provider.Fault, userKey bool) bool {
	switch f {
	case provider.FaultConnect:
		return true
	case provider.FaultKeyRefused, provider.FaultKeySpent, provider.FaultKeyDenied:
		return !userKey
	}
	return false
}

// outcomeOf is a call as the line keeps book of it.
func outcomeOf(res provider.Result, err error) upstream.Outcome {
	switch {
	case err == nil:
		return upstream.Outcome{Kind: upstream.Good}
	case res.Unsent:
		return upstream.Outcome{Kind: upstream.Unsent}
	}
	switch res.Fault {
	case provider.FaultConnect:
		return upstream.Outcome{Kind: upstream.Unreached}
	case provider.FaultVendor:
		return upstream.Outcome{Kind: upstream.Failed}
	case provider.FaultLimited:
		return upstream.Outcome{Kind: upstream.Limited, RetryAfter: retryAfter(err)}
	case provider.FaultKeySpent:
		return upstream.Outcome{Kind: upstream.Spent}
	case provider.FaultKeyRefused:
		return upstream.Outcome{Kind: upstream.Refused}
	}
	return upstream.Outcome{Kind: upstream.Neutral}
}

// retryAfter is how long the vendor wants to be left alone.
func retryAfter(err error) time.Duration {
	var told *protocol.Error
	if !errors.As(err, &told) {
		return 0
	}
	return time.Duration(told.RetryAfter) * time.Second
}

func codeOf(err error) protocol.Code {
	var told *protocol.Error
	if errors.As(err, &told) {
		return told.Code
	}
	return protocol.Internal
}
