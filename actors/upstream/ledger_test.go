package upstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const ledgerSteps = 100_000

// TestLineAgainstLedger does a hundred thousand random things to a line and
// keeps its own account: of who is in, with which key, and who waits.
func TestLineAgainstLedger(t *testing.T) {
	seed := rand.Uint64()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		g := &ledger{t: t, rng: rand.New(rand.NewPCG(seed, 0)), rests: map[mark]time.Time{}, ended: map[string]int{}}
		g.settings = g.anySettings()
		g.line = New(g.settings, func() { g.told++ })
		for range ledgerSteps {
			g.step()
			synctest.Wait()
			g.check()
		}
		g.close()
	})
}

// visit is one Enter, until it is over.
type visit struct {
	ask      Ask
	since    time.Time
	cancel   context.CancelFunc
	curious  bool
	position atomic.Int64

	over atomic.Bool // the rest is written before
	call *Call
	err  error
}

type ledger struct {
	t        *testing.T
	rng      *rand.Rand
	line     *Line
	settings Settings

	waiting []*visit
	inside  []*visit
	was     []*visit // inside before this step
	rests   map[mark]time.Time
	ended   map[string]int
	told    int
}

func (g *ledger) anySettings() Settings {
	s := Settings{
		Room: g.rng.IntN(7), RoomPerKey: g.rng.IntN(4), Queue: g.rng.IntN(12),
		Patience: time.Duration(g.rng.IntN(4)) * time.Second, Keyless: g.rng.IntN(4) == 0,
	}
	for _, text := range []string{"a", "b", "c"} {
		if g.rng.IntN(4) > 0 {
			s.Keys = append(s.Keys, Key{Secret: secret(text), Weight: g.rng.IntN(4)})
		}
	}
	return s
}

func (g *ledger) step() {
	g.was = slices.Clone(g.inside)
	switch n := g.rng.IntN(100); {
	case n < 45:
		g.enter()
	case n < 80:
		g.done()
	case n < 84 && len(g.waiting) > 0:
		g.waiting[g.rng.IntN(len(g.waiting))].cancel()
	case n < 86 && len(g.inside) > 0:
		g.inside[g.rng.IntN(len(g.inside))].call.Answered()
	case n < 93:
		time.Sleep(time.Duration(g.rng.Int64N(int64(2 * time.Second))))
	case n < 95:
		g.configure()
	case n < 97:
		g.line.Heard(g.worker(), g.anyRests())
	case n < 99:
		g.line.Forget(g.worker())
	default:
		g.line.Retry()
		g.line.Own()
		g.line.Resting()
	}
}

func (g *ledger) worker() string { return []string{"v", "w"}[g.rng.IntN(2)] }

func (g *ledger) anyRests() (out []Rest) {
	all := []Rest{
		{Why: WhyFailing},
		{Key: idOf("a"), Why: WhySpent},
		{Key: idOf("b"), Model: "m", Why: WhyLimited},
		{Key: idOf("x"), Why: WhyRefused},
	}
	for _, r := range all {
		if g.rng.IntN(4) == 0 {
			r.For = time.Duration(g.rng.Int64N(int64(3 * time.Second)))
			out = append(out, r)
		}
	}
	return out
}

func (g *ledger) enter() {
	ctx, cancel := context.WithCancel(g.t.Context())
	v := &visit{since: time.Now(), cancel: cancel, curious: g.rng.IntN(2) == 0, ask: Ask{
		Owner: string(rune('a' + g.rng.IntN(5))), Model: []string{"m", "n"}[g.rng.IntN(2)], User: g.rng.IntN(8) == 0,
	}}
	for _, text := range []string{"a", "b", "c"} {
		if g.rng.IntN(8) == 0 {
			v.ask.Tried = append(v.ask.Tried, idOf(text))
		}
	}
	g.waiting = append(g.waiting, v)
	go func() {
		defer cancel()
		var told func(int)
		if v.curious {
			told = func(p int) { v.position.Store(int64(p)) }
		}
		v.call, v.err = g.line.Enter(ctx, v.ask, told)
		v.over.Store(true)
	}()
}

func (g *ledger) done() {
	if len(g.inside) == 0 {
		return
	}
	i := g.rng.IntN(len(g.inside))
	v := g.inside[i]
	g.inside = slices.Delete(g.inside, i, i+1)
	kinds := []Kind{Good, Good, Good, Good, Good, Good, Good, Good, Good, Good, Good, Good, Neutral, Neutral, Failed, Failed, Limited, Spent, Refused}
	o := Outcome{Kind: kinds[g.rng.IntN(len(kinds))], RetryAfter: time.Duration(g.rng.Int64N(int64(4 * time.Second)))}
	if id := v.call.KeyID(); !v.ask.User && g.has(id) {
		switch o.Kind {
		case Limited:
			g.rest(mark{key: id, model: v.ask.Model}, max(o.RetryAfter, time.Nanosecond))
		case Spent:
			g.rest(mark{key: id}, spentRest)
		case Refused:
			g.rest(mark{key: id}, refusedRest)
		}
	}
	for range 1 + g.rng.IntN(2) {
		v.call.Done(o)
	}
}

func (g *ledger) rest(m mark, length time.Duration) {
	if until := time.Now().Add(length); until.After(g.rests[m]) {
		g.rests[m] = until
	}
}

// has tells whether the configuration has the key; "" is the way without one.
func (g *ledger) has(id string) bool {
	if id == "" {
		return g.settings.Keyless && len(g.settings.Keys) == 0
	}
	return slices.ContainsFunc(g.settings.Keys, func(k Key) bool { return fingerprint(k.Secret) == id })
}

func (g *ledger) configure() {
	g.settings = g.anySettings()
	for m := range g.rests {
		if m.model == "" || !g.has(m.key) {
			delete(g.rests, m)
		}
	}
	g.line.Configure(g.settings)
}

// check compares after every step.
func (g *ledger) check() {
	t := g.t
	g.waiting = slices.DeleteFunc(g.waiting, func(v *visit) bool {
		if v.over.Load() {
			g.settleVisit(v)
		}
		return v.over.Load()
	})
	load := g.line.Load()
	require.Equal(t, len(g.inside), load.InFlight)
	require.Equal(t, len(g.waiting), load.Queued)

	if g.settings.Room > 0 && len(g.inside) > g.settings.Room {
		require.LessOrEqual(t, len(g.inside), len(g.was), "over-admission")
	}
	now, before := g.perKey(g.inside), g.perKey(g.was)
	for id, n := range now {
		if g.settings.RoomPerKey > 0 && n > g.settings.RoomPerKey {
			require.LessOrEqual(t, n, before[id], "over-admission with one key")
		}
	}

	var told, stand []int
	for _, v := range g.waiting {
		if v.curious {
			told = append(told, int(v.position.Load()))
		}
		if g.settings.Patience > 0 {
			require.Less(t, time.Since(v.since), g.settings.Patience)
		}
	}
	g.line.mu.Lock()
	defer g.line.mu.Unlock()
	for i, w := range g.line.queue.order() {
		require.True(t, g.line.judge(&w.ask, g.line.now()).wait, "waits, but could go or should know")
		if w.curious {
			stand = append(stand, i+1)
		}
	}
	slices.Sort(told)
	require.Equal(t, stand, told, "everybody was told its place")
}

func (g *ledger) perKey(visits []*visit) map[string]int {
	out := map[string]int{}
	for _, v := range visits {
		if id := v.call.KeyID(); id != "" {
			out[id]++
		}
	}
	return out
}

// settleVisit checks an Enter that is over: in rightly, or out with a reason.
func (g *ledger) settleVisit(v *visit) {
	t := g.t
	if v.err != nil {
		require.Nil(t, v.call)
		g.ended[g.reason(v.err)]++
		return
	}
	g.ended["in"]++
	g.inside = append(g.inside, v)
	id := v.call.KeyID()
	if v.ask.User {
		require.Empty(t, id)
		return
	}
	require.True(t, g.has(id))
	require.NotContains(t, v.ask.Tried, id)
	require.False(t, g.rests[mark{key: id}].After(time.Now()), "the key rests")
	require.False(t, g.rests[mark{key: id, model: v.ask.Model}].After(time.Now()), "the key rests for the model")
}

func (g *ledger) reason(err error) string {
	var resting *Resting
	if errors.As(err, &resting) {
		require.Positive(g.t, resting.After)
		return "resting " + string(resting.Why)
	}
	for name, known := range map[string]error{
		"full": ErrFull, "patience": ErrPatience, "no key": ErrNoKey, "tried all": ErrTriedAll, "left": context.Canceled,
	} {
		if errors.Is(err, known) {
			return name
		}
	}
	require.NoError(g.t, err, "an unknown error")
	return ""
}

// close lets everybody go and sees that nothing is left, and that the test saw
// what it is about.
func (g *ledger) close() {
	t := g.t
	for len(g.inside)+len(g.waiting) > 0 {
		for _, v := range g.waiting {
			v.cancel()
		}
		g.was = slices.Clone(g.inside)
		g.done()
		synctest.Wait()
		g.check()
	}
	atRest(t, g.line)
	for _, what := range []string{
		"in", "full", "patience", "no key", "tried all", "left",
		"resting failing", "resting limited", "resting spent", "resting refused",
	} {
		require.Greater(t, g.ended[what], 20, what)
	}
	require.Greater(t, g.told, 100)
	t.Log(g.ended)
}
