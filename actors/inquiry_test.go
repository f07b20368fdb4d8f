package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// vendorCall is one call that a scripted vendor got.
type vendorCall struct {
	vendor string
	asked  provider.Question
	key    string
	at     time.Time
}

// market is where scripted vendors write down who asks them.
type market struct {
	mu    sync.Mutex
	calls []vendorCall
}

// vendor answers its first call by the first step, the second by the second,
// and all after the last one alike.
func (m *market) vendor(name string, steps ...fakeProvider) fakeProvider {
	n := 0
	return func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
		m.mu.Lock()
		m.calls = append(m.calls, vendorCall{vendor: name, asked: *q, key: string(q.Key.Reveal()), at: time.Now()})
		step := steps[min(n, len(steps)-1)]
		n++
		m.mu.Unlock()
		return step(ctx, q, sink)
	}
}

func (m *market) all() []vendorCall {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]vendorCall(nil), m.calls...)
}

// order is who was called, in few words: vendor, and its key where it has one.
func (m *market) order() (out []string) {
	for _, c := range m.all() {
		out = append(out, strings.TrimSpace(c.vendor+" "+c.key))
	}
	return out
}

// codeFor is what a vendor's refusal usually means to the user.
func codeFor(f provider.Fault) protocol.Code {
	switch f {
	case provider.FaultConnect, provider.FaultVendor:
		return protocol.ProviderUnavailable
	case provider.FaultLimited:
		return protocol.ProviderRateLimited
	case provider.FaultKeyRefused, provider.FaultKeySpent, provider.FaultKeyDenied:
		return protocol.ProviderUnauthorized
	}
	return protocol.ProviderRejected
}

// fails is a step: the vendor says no before its first word.
func fails(f provider.Fault, retryAfter int) fakeProvider {
	return func(_ context.Context, q *provider.Question, _ provider.Sink) (provider.Result, error) {
		return provider.Result{Model: q.Model, Fault: f, Usage: &protocol.Usage{}}, &protocol.Error{
			Code: codeFor(f), Message: fmt.Sprintf("fault %d", f), RetryAfter: retryAfter,
		}
	}
}

// replies is a step: the vendor answers at once.
func replies(words ...string) fakeProvider {
	return func(_ context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
		for _, w := range words {
			sink.Text([]byte(w))
		}
		return provider.Result{Finish: protocol.FinishStop, Model: q.Model, Usage: &protocol.Usage{InputTokens: 5, OutputTokens: 7}}, nil
	}
}

// holds is a step: the vendor says what it is given and is silent until it is
// stopped.
func holds(words ...string) fakeProvider {
	return func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
		for _, w := range words {
			sink.Text([]byte(w))
		}
		<-ctx.Done()
		return provider.Result{Model: q.Model}, &protocol.Error{Code: protocol.ProviderInterrupted, Message: "stopped", Err: context.Cause(ctx)}
	}
}

// serves is one provider of a worker.
func serves(talk provider.Provider, c provider.Config) ProviderSetup {
	c.Type = provider.TypeOpenAI
	return ProviderSetup{Config: c, Provider: talk, State: stateReady}
}

// secrets are keys of a deployment.
func secrets(keys ...string) (out []protocol.Secret) {
	for _, k := range keys {
		out = append(out, secret(k))
	}
	return out
}

// hire starts one more worker in the house, on a bus of its choice.
func (h *house) hire(b *fakeBus, runs RunsConfig, providers map[string]ProviderSetup) *Worker {
	h.t.Helper()
	w, err := NewWorker(h.sys, b, b, h.sys.log, WorkerOptions{
		Version: "test", Worker: WorkerConfig{MaxRuns: 100, DrainTimeout: time.Second}, Runs: runs, Providers: providers,
	})
	require.NoError(h.t, err)
	require.NoError(h.t, w.Start())
	b.locked(func() { b.worker = w })
	return w
}

// newFirm is a worker alone with providers of its own.
func newFirm(t *testing.T, providers map[string]ProviderSetup, change ...func(*plan)) *bench {
	t.Helper()
	p := defaultPlan()
	for _, c := range change {
		c(&p)
	}
	h := build(t, p)
	h.bus.locked(func() { h.bus.gateway, h.bus.beating = nil, nil }) // its events are ours
	h.worker = h.hire(h.bus, p.runs, providers)
	pass(0)
	return &bench{house: h}
}

// offer gives the worker a job as it is and returns its answer.
func (b *bench) offer(j bus.Job) bus.Reply {
	b.t.Helper()
	b.jobs++
	j.Job, j.To, j.Gateway, j.OnDisconnect = fmt.Sprintf("job-%d", b.jobs), uint64(b.jobs), desk1, protocol.OnDisconnectGrace
	j.Deadline = time.Now().Add(offerTimeout).UnixMilli()
	j.Messages = json.RawMessage(`[{"role":"user","content":"hi"}]`)
	before := len(b.bus.replies())
	b.worker.onJob(&j, subjectOf(j.To))
	synctest.Wait()
	for _, r := range b.bus.replies()[before:] {
		if toOf(r.subject) == j.To {
			return r.Reply
		}
	}
	require.Fail(b.t, "the job was not answered")
	return bus.Reply{}
}

// put is offer for a job that must be taken; it returns the follower's number.
func (b *bench) put(j bus.Job) (to uint64) {
	b.t.Helper()
	require.Equal(b.t, bus.ReplyAccepted, b.offer(j).Type)
	return uint64(b.jobs)
}

// figure reads one series of /metrics; its label values come in the order of
// the labels' names.
func (h *house) figure(name string, values ...string) float64 {
	h.t.Helper()
	families, err := h.gather.Gather()
	require.NoError(h.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var got []string
			for _, l := range m.GetLabel() {
				got = append(got, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(got, values) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	require.Fail(h.t, "no such series", "%s %v", name, values)
	return 0
}

// isEnd tells a terminal event.
func isEnd(e *bus.Event) bool {
	return e.Type == bus.EventComplete || e.Type == bus.EventCancelled || e.Type == bus.EventError
}

// over tells whether a follower heard an end.
func (b *bench) over(to uint64) bool {
	for _, e := range b.heard(to) {
		if isEnd(&e) {
			return true
		}
	}
	return false
}

// end is what a follower heard last, always the same.
func (b *bench) end(to uint64) (end bus.Event) {
	b.t.Helper()
	for _, e := range b.heard(to) {
		switch {
		case !isEnd(&e):
		case end.Type == "":
			end = e
		default:
			require.Equal(b.t, end, e, "a run ended twice")
		}
	}
	require.NotEmpty(b.t, end.Type, "the run did not end")
	return end
}

// idle checks that no provider has a call in flight, or anybody who waits.
func (b *bench) idle() {
	b.t.Helper()
	for name, s := range b.worker.served {
		load := s.line.Load()
		require.Zero(b.t, load.InFlight+load.Queued, "%s: %+v", name, load)
	}
	require.Zero(b.t, b.worker.Active())
}

// TestInquiryAsksAgain: a vendor that is unwell is asked twice more, after
// growing pauses, then the next of the chain; the end says who answered.
func TestInquiryAsksAgain(t *testing.T) {
	for _, fault := range []provider.Fault{provider.FaultConnect, provider.FaultVendor} {
		for failures := 1; failures <= 3; failures++ {
			t.Run(fmt.Sprintf("fault %d, %d times", fault, failures), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var m market
					steps := make([]fakeProvider, failures, failures+1)
					for i := range steps {
						steps[i] = fails(fault, 0)
					}
					b := newFirm(t, map[string]ProviderSetup{
						"a": serves(m.vendor("a", append(steps, replies("Hel", "lo"))...), provider.Config{DefaultModel: "model-a", Fallback: []string{"gone", "b/model/b"}}),
						"b": serves(m.vendor("b", replies("Hello")), provider.Config{}),
					})
					to := b.put(bus.Job{Provider: "a", Model: "model-a"})
					pass(time.Second)
					calls, end := m.all(), b.end(to)
					require.Len(t, calls, failures+1)
					require.Equal(t, bus.EventComplete, end.Type)
					require.Equal(t, failures+1, end.Attempts)
					require.Equal(t, &bus.Usage{InputTokens: 5, OutputTokens: 7}, end.Usage, "only the answer costs")
					names := map[string]bool{}
					for i, c := range calls {
						names[c.asked.Call] = true
						last := i == 3
						require.Equal(t, map[bool]string{false: "a model-a", true: "b model/b"}[last], c.vendor+" "+c.asked.Model)
						if i > 0 && !last {
							pause := pauseOnce << (i - 1)
							require.GreaterOrEqual(t, c.at.Sub(calls[i-1].at), pause)
							require.LessOrEqual(t, c.at.Sub(calls[i-1].at), pause+pause/4+time.Millisecond)
						}
					}
					require.Len(t, names, failures+1, "two calls have one name")
					require.Equal(t, map[bool]string{false: "a model-a", true: "b model/b"}[failures == 3], end.Provider+" "+end.Model)
					b.idle()
				})
			})
		}
	}
}

// TestInquiryNobodyLeft: where nobody can answer the user hears why the one who
// was asked could not.
func TestInquiryNobodyLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{
			"a": serves(m.vendor("a", fails(provider.FaultVendor, 9)), provider.Config{Fallback: []string{"b"}}),
			"b": serves(m.vendor("b", fails(provider.FaultLimited, 70)), provider.Config{APIKeys: secrets("k")}),
		})
		to := b.put(bus.Job{Provider: "a"})
		pass(time.Second)
		end := b.end(to)
		require.Equal(t, []string{"a", "a", "a", "b k"}, m.order())
		require.Equal(t, []any{"a", "fault 2", 9, 4, false}, []any{end.Provider, end.Message, end.RetryAfter, end.Attempts, end.Elsewhere})
		require.Equal(t, string(protocol.ProviderUnavailable), end.Code)
		require.InDelta(t, 3, b.figure("troupe_provider_calls_total", "a", "vendor"), 0)
		require.InDelta(t, 1, b.figure("troupe_provider_calls_total", "b", "limited"), 0)
		require.InDelta(t, 2, b.figure("troupe_provider_retries_total", "a"), 0)
		require.Zero(t, b.figure("troupe_provider_retries_total", "b"), "nobody was asked again")
		b.idle()
	})
}

// TestInquiryKeys: a key that cannot be used is followed by the next one, each
// is asked once, and after the last one the chain goes on.
func TestInquiryKeys(t *testing.T) {
	for _, fault := range []provider.Fault{
		provider.FaultLimited, provider.FaultKeyRefused, provider.FaultKeySpent, provider.FaultKeyDenied,
	} {
		t.Run(fmt.Sprintf("fault %d", fault), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				b := newFirm(t, map[string]ProviderSetup{
					"a": serves(m.vendor("a", fails(fault, 1)), provider.Config{APIKeys: secrets("k1", "k2", "k3"), Fallback: []string{"b"}}),
					"b": serves(m.vendor("b", replies("Hello")), provider.Config{}),
				})
				began := time.Now()
				to := b.put(bus.Job{Provider: "a"})
				require.Equal(t, []string{"a k1", "a k2", "a k3", "b"}, m.order(), "at once: another key need not wait")
				require.Zero(t, m.all()[3].at.Sub(began))
				require.Equal(t, 4, b.end(to).Attempts)
				b.idle()
			})
		})
	}
}

// TestInquiryLastKey: a question that no key may ask takes nothing from the budget
// of retries where none follows, so it cannot keep others from theirs.
func TestInquiryLastKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		denied := fails(provider.FaultKeyDenied, 0)
		b := newFirm(t, map[string]ProviderSetup{"a": serves(
			m.vendor("a", denied, denied, denied, denied, fails(provider.FaultVendor, 0), replies("Hello")), provider.Config{APIKeys: secrets("k1")},
		)})
		for range 4 {
			require.Equal(t, bus.EventError, b.end(b.put(bus.Job{Provider: "a"})).Type)
		}
		to := b.put(bus.Job{Provider: "a"})
		pass(time.Second)
		require.Equal(t, bus.EventComplete, b.end(to).Type, "the vendor was not asked again")
		require.Len(t, m.order(), 6)
	})
}

// TestInquiryTooLarge: a question above the limit of a minute is asked with the next
// key, and of no other worker: the limit is the account's.
func TestInquiryTooLarge(t *testing.T) {
	for code, want := range map[protocol.Code]bool{protocol.ProviderRejected: false, protocol.ProviderUnauthorized: true, protocol.UnknownModel: true} {
		t.Run(string(code), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				large := func(_ context.Context, q *provider.Question, _ provider.Sink) (provider.Result, error) {
					return provider.Result{Model: q.Model, Fault: provider.FaultKeyDenied, Usage: &protocol.Usage{}}, &protocol.Error{Code: code, Message: "no"}
				}
				b := newFirm(t, map[string]ProviderSetup{"a": serves(m.vendor("a", large), provider.Config{APIKeys: secrets("k1", "k2")})})
				e := b.end(b.put(bus.Job{Provider: "a", Movable: true}))
				require.Equal(t, want, e.Elsewhere)
				require.Len(t, m.order(), 2)
			})
		})
	}
}

// TestInquiryNextKey: the first key that can be used answers.
func TestInquiryNextKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{"a": serves(
			m.vendor("a", fails(provider.FaultKeySpent, 0), replies("Hello")), provider.Config{APIKeys: secrets("k1", "", "k2")},
		)})
		require.Equal(t, bus.EventComplete, b.end(b.put(bus.Job{Provider: "a"})).Type)
		require.Equal(t, []string{"a k1", "a k2"}, m.order())
		b.put(bus.Job{Provider: "a"})
		require.Equal(t, []string{"a k2"}, m.order()[2:], "a spent key was asked again")
	})
}

// TestInquiryWeights: keys are used as often as their weights say.
func TestInquiryWeights(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{"a": serves(
			m.vendor("a", replies("Hello")), provider.Config{APIKeys: secrets("k1", "k2"), APIKeyWeights: []int{3}},
		)})
		used := map[string]int{}
		for range 8 {
			b.put(bus.Job{Provider: "a"})
		}
		for _, c := range m.all() {
			used[c.key]++
		}
		require.Equal(t, map[string]int{"k1": 6, "k2": 2}, used)
	})
}

// TestInquiryFaultNone: what another call would end alike is told at once.
func TestInquiryFaultNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{
			"a": serves(m.vendor("a", fails(provider.FaultNone, 0), replies("never")), provider.Config{APIKeys: secrets("k1", "k2"), Fallback: []string{"b"}}),
			"b": serves(m.vendor("b", replies("never")), provider.Config{}),
		})
		to := b.put(bus.Job{Provider: "a", Movable: true})
		end := b.end(to)
		pass(5 * time.Second)
		require.Equal(t, []string{"a k1"}, m.order())
		require.Equal(t, []any{string(protocol.ProviderRejected), 1, false}, []any{end.Code, end.Attempts, end.Elsewhere})
		b.idle()
	})
}

// TestInquiryAfterTheFirstWord: once the vendor has said anything, shown or not,
// nobody else is asked, neither here nor by another worker.
func TestInquiryAfterTheFirstWord(t *testing.T) {
	for word, speak := range map[string]func(provider.Sink){
		"text":      func(s provider.Sink) { s.Text([]byte("Hel")) },
		"reasoning": func(s provider.Sink) { s.Reasoning([]byte("hm")) },
	} {
		for fault := provider.FaultNone; fault <= provider.FaultKeyDenied; fault++ {
			t.Run(fmt.Sprintf("%s, fault %d", word, fault), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var m market
					b := newFirm(t, map[string]ProviderSetup{
						"a": serves(m.vendor("a", func(ctx context.Context, q *provider.Question, s provider.Sink) (provider.Result, error) {
							speak(s)
							return fails(fault, 1)(ctx, q, s)
						}), provider.Config{APIKeys: secrets("k1", "k2"), Fallback: []string{"b"}}),
						"b": serves(m.vendor("b", replies("never")), provider.Config{}),
					})
					to := b.put(bus.Job{Provider: "a", Name: "1", Movable: true})
					pass(5 * time.Second)
					end := b.end(to)
					require.Equal(t, []string{"a k1"}, m.order())
					require.Equal(t, []any{bus.EventError, 1, false}, []any{end.Type, end.Attempts, end.Elsewhere})
					b.idle()
				})
			})
		}
	}
}

// TestInquirySixCalls: one question is never more than six calls, however long
// the chain.
func TestInquirySixCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		providers := map[string]ProviderSetup{}
		for _, name := range []string{"b", "c", "d"} {
			providers[name] = serves(m.vendor(name, fails(provider.FaultVendor, 0)), provider.Config{})
		}
		providers["a"] = serves(m.vendor("a", fails(provider.FaultVendor, 0)), provider.Config{Fallback: []string{"b", "c", "d"}})
		b := newFirm(t, providers)
		to := b.put(bus.Job{Provider: "a"})
		pass(10 * time.Second)
		require.Equal(t, []string{"a", "a", "a", "b", "b", "b"}, m.order())
		require.Equal(t, callsMax, b.end(to).Attempts)
		b.idle()
	})
}

// TestInquiryBudget: three retries in ten seconds where there is little to do;
// what comes beyond hears the vendor's own word.
func TestInquiryBudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		shaky := make([]fakeProvider, 0, 10)
		for range 5 {
			shaky = append(shaky, fails(provider.FaultVendor, 0), replies("Hello"))
		}
		b := newFirm(t, map[string]ProviderSetup{"a": serves(m.vendor("a", shaky...), provider.Config{})})
		ask := func() bus.Event {
			to := b.put(bus.Job{Provider: "a"})
			pass(time.Second)
			return b.end(to)
		}
		for range retriesOfQuietLine {
			require.Equal(t, bus.EventComplete, ask().Type)
		}
		end := ask()
		require.Equal(t, []any{"fault 2", 1}, []any{end.Message, end.Attempts})
		require.Len(t, m.all(), 2*retriesOfQuietLine+1)
		require.InDelta(t, retriesOfQuietLine, b.figure("troupe_provider_retries_total", "a"), 0)
		pass(11 * time.Second)
		require.Equal(t, 1, ask().Attempts) // the answer that was left over
		require.Equal(t, 2, ask().Attempts, "the budget did not come back")
	})
}

// retriesOfQuietLine is the budget of a line with little to do, per ten seconds.
const retriesOfQuietLine = 3

// sealed hands a run its user's key.
func (b *bench) sealed(to uint64, run, name, key string) {
	b.t.Helper()
	box, err := bus.Seal(b.worker.keys.PublicKey(), []byte(key), bus.SealInfo(run, name))
	require.NoError(b.t, err)
	b.control(bus.Control{Type: bus.ControlKey, Run: run, To: to, Sealed: box})
}

// TestInquiryUserKey: a question with a user's key stays with its provider and
// its key, whatever happens; another worker is asked only where that helps.
func TestInquiryUserKey(t *testing.T) {
	for fault := provider.FaultNone; fault <= provider.FaultKeyDenied; fault++ {
		t.Run(fmt.Sprintf("fault %d", fault), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				b := newFirm(t, map[string]ProviderSetup{
					"a": serves(m.vendor("a", fails(fault, 60)), provider.Config{APIKeys: secrets("k1", "k2"), Fallback: []string{"b"}}),
					"b": serves(m.vendor("b", replies("never")), provider.Config{APIKeys: secrets("k3")}),
				})
				reply := b.offer(bus.Job{Provider: "a", Session: "s", NeedsKey: true, Movable: true})
				b.sealed(1, reply.Run, "a", "sk-user")
				pass(2 * time.Second)
				for _, call := range m.order() {
					require.Equal(t, "a sk-user", call)
				}
				ill := fault == provider.FaultConnect || fault == provider.FaultVendor
				require.Len(t, m.all(), map[bool]int{false: 1, true: 3}[ill])
				end := b.end(1)
				require.Equal(t, fmt.Sprintf("fault %d", fault), end.Message)
				require.Equal(t, fault == provider.FaultConnect, end.Elsewhere, "another worker has the same key of this user")
				b.idle()
			})
		})
	}
}

// TestInquiryShortWait: where nobody else can be asked, a limit that is over in
// two seconds is waited for, once; a longer one is told.
func TestInquiryShortWait(t *testing.T) {
	limited := func(seconds int) fakeProvider { return fails(provider.FaultLimited, seconds) }
	tests := map[string]struct {
		keys    []string
		user    bool
		movable bool
		steps   []fakeProvider
		waited  time.Duration
		want    []string
		answer  bool
	}{
		"without a key":                   {nil, false, false, []fakeProvider{limited(1), replies("Hi")}, time.Second, []string{"a", "a"}, true},
		"one key":                         {[]string{"k1"}, false, false, []fakeProvider{limited(2), replies("Hi")}, 2 * time.Second, []string{"a k1", "a k1"}, true},
		"one key, other workers":          {[]string{"k1"}, false, true, []fakeProvider{limited(2), replies("Hi")}, 2 * time.Second, []string{"a k1", "a k1"}, true},
		"two keys, the sooner one":        {[]string{"k1", "k2"}, false, false, []fakeProvider{limited(60), limited(1), replies("Hi")}, time.Second, []string{"a k1", "a k2", "a k2"}, true},
		"two keys, one is denied":         {[]string{"k1", "k2"}, false, false, []fakeProvider{fails(provider.FaultKeyDenied, 0), limited(1), replies("Hi")}, time.Second, []string{"a k1", "a k2", "a k2"}, true},
		"the user's key":                  {[]string{"k1"}, true, false, []fakeProvider{limited(1), replies("Hi")}, time.Second, []string{"a sk-user", "a sk-user"}, true},
		"once":                            {[]string{"k1"}, false, false, []fakeProvider{limited(1)}, time.Second, []string{"a k1", "a k1"}, false},
		"once without a key":              {nil, false, false, []fakeProvider{limited(1)}, time.Second, []string{"a", "a"}, false},
		"too long":                        {[]string{"k1"}, false, false, []fakeProvider{limited(3), replies("never")}, 0, []string{"a k1"}, false},
		"too long for the user's key":     {nil, true, false, []fakeProvider{limited(3), replies("never")}, 0, []string{"a sk-user"}, false},
		"the vendor does not say for how": {[]string{"k1"}, false, false, []fakeProvider{limited(0), replies("never")}, 0, []string{"a k1"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				b := newFirm(t, map[string]ProviderSetup{"a": serves(m.vendor("a", tt.steps...), provider.Config{APIKeys: secrets(tt.keys...)})})
				began := time.Now()
				reply := b.offer(bus.Job{Provider: "a", Session: "s", NeedsKey: tt.user, Movable: tt.movable})
				if tt.user {
					b.sealed(1, reply.Run, "a", "sk-user")
				}
				pass(4 * time.Second)
				require.Equal(t, tt.want, m.order())
				calls, end := m.all(), b.end(1)
				waited := calls[len(calls)-1].at.Sub(began)
				require.GreaterOrEqual(t, waited, tt.waited)
				require.LessOrEqual(t, waited, tt.waited+tt.waited/2)
				require.Equal(t, len(calls), end.Attempts)
				if tt.answer {
					require.Equal(t, bus.EventComplete, end.Type)
					return
				}
				require.Equal(t, string(protocol.ProviderRateLimited), end.Code)
				b.idle()
			})
		})
	}
}

// TestInquiryTooLongIsTold: with the vendor's own figure.
func TestInquiryTooLongIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{"a": serves(m.vendor("a", fails(provider.FaultLimited, 37)), provider.Config{APIKeys: secrets("k1")})})
		require.Equal(t, 37, b.end(b.put(bus.Job{Provider: "a"})).RetryAfter)
	})
}

// TestInquiryCancel: a cancel ends the question where it is, and nobody is asked
// any more.
func TestInquiryCancel(t *testing.T) {
	tests := map[string]struct {
		steps []fakeProvider
		at    time.Duration
		calls int
	}{
		"while the vendor is silent":      {[]fakeProvider{holds()}, time.Second, 1},
		"while it talks":                  {[]fakeProvider{holds("Hel")}, time.Second, 1},
		"in the pause before the retry":   {[]fakeProvider{fails(provider.FaultVendor, 0)}, pauseOnce / 2, 1},
		"in the second pause":             {[]fakeProvider{fails(provider.FaultConnect, 0)}, 2 * pauseOnce, 2},
		"while a short limit is sat out":  {[]fakeProvider{fails(provider.FaultLimited, 2)}, time.Second, 1},
		"while it is asked for a retry":   {[]fakeProvider{fails(provider.FaultVendor, 0), holds()}, time.Second, 2},
		"while the next provider answers": {[]fakeProvider{fails(provider.FaultKeyDenied, 0)}, time.Second, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				c := provider.Config{APIKeys: secrets("k1")}
				if name == "while the next provider answers" {
					c.Fallback = []string{"b"}
				}
				b := newFirm(t, map[string]ProviderSetup{
					"a": serves(m.vendor("a", tt.steps...), c), "b": serves(m.vendor("b", holds()), provider.Config{}),
				})
				run := b.offer(bus.Job{Provider: "a", Session: "s", Name: "1"}).Run
				pass(tt.at)
				b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 1})
				require.Equal(t, bus.EventCancelled, b.end(1).Type, "at once")
				require.Equal(t, tt.calls, b.end(1).Attempts)
				pass(10 * time.Second)
				require.Len(t, m.all(), tt.calls, "somebody was asked after the cancel")
				b.idle()
			})
		})
	}
}

// TestInquiryPanic: an adapter that panics is one error, told once, and its room
// is free for the next.
func TestInquiryPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		var log logbook
		b := newFirm(t, map[string]ProviderSetup{"a": serves(
			m.vendor("a", func(context.Context, *provider.Question, provider.Sink) (provider.Result, error) { panic("sk-canary") }, replies("Hello")),
			provider.Config{APIKeys: secrets("k1"), MaxConcurrent: 1},
		)}, func(p *plan) { p.log = &log })
		to := b.put(bus.Job{Provider: "a"})
		end := b.end(to)
		require.Equal(t, []any{bus.EventError, string(protocol.Internal), 1}, []any{end.Type, end.Code, end.Attempts})
		require.NotContains(t, log.String(), "canary")
		b.idle()
		require.Equal(t, bus.EventComplete, b.end(b.put(bus.Job{Provider: "a"})).Type)
		b.idle()
	})
}
