package actors

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-chat/troupe/actors/limit"
)

// limiterModel is the real limiter and its gate, driven by hand in a bubble, and
// a list of everybody who was admitted.
type limiterModel struct {
	*workshop
	limiter  *limiter
	gate     *gate
	pid      *actor.PID
	mail     *tray
	askers   *actor.PID
	answers  *tray
	away     bool
	cfg      limit.Config
	n        uint32
	asking   []*decide
	admitted map[admittance][]admission
	last     time.Duration // the newest advice when to come back
	crashes  int
	replaced int // admitted in the limiter's place
	generous bool
}

// admittance is what one window counts.
type admittance struct {
	message          bool
	address, session string
}

type admission struct {
	at       time.Time
	fallback bool
	decided  *decided
}

func limiterConfigs() []limit.Config {
	rule := func(n int, d time.Duration) limit.Rule { return limit.Rule{Max: n, Window: d} }
	return []limit.Config{
		{Messages: rule(4, 5*time.Second), Connections: rule(2, 3*time.Second)},
		{Messages: rule(3, 2*time.Second), Connections: rule(5, 10*time.Second), Sessions: rule(2, 4*time.Second)},
		{Messages: rule(1, time.Second), Connections: rule(6, time.Second)},
		{Messages: rule(10, 20*time.Second)},
	}
}

func newLimiterModel(c limit.Config) *limiterModel {
	m := &limiterModel{workshop: newWorkshop(), cfg: c, admitted: map[admittance][]admission{}}
	m.pid, m.mail = m.register("limiter-")
	m.askers, m.answers = m.register("connections/c")
	m.gate = &gate{
		sys: m.System, windows: limit.NewWindows(c), fallback: limit.NewFallback(c),
		leases: limit.NewLeases[*Session](0, 0), log: zerolog.Nop(), metrics: m.metrics,
	}
	m.gate.limiter.Store(m.pid)
	m.fresh()
	return m
}

func (m *limiterModel) fresh() {
	m.limiter = &limiter{guard: guard{sys: m.System, kind: kindLimiter}, gate: m.gate}
}

func (m *limiterModel) strike(message any, how mishap) {
	d := &stage{system: m.System, self: m.pid, mishap: how}
	m.now = d
	defer func() { m.now = nil }()
	if d.handle(m.limiter, message) {
		m.away = true
		m.crashes++
	}
}

// ask is what a connection does with a question or with itself.
func (m *limiterModel) ask(k admittance) string {
	m.n++
	q := &decide{
		from: m.askers, n: m.n, until: time.Now().Add(limiterPatience),
		message: k.message, address: k.address, session: k.session, options: limit.ConnectOptions{CountConnection: true},
	}
	if d := m.gate.ask(q); d != nil {
		return m.settled(q, d, true)
	}
	m.asking = append(m.asking, q)
	return ""
}

func (m *limiterModel) deliver(how mishap) string {
	if message := m.mail.next(); message != nil {
		m.strike(message, how)
	}
	for a := m.answers.next(); a != nil; a = m.answers.next() {
		d := a.(*decided)
		if i := slices.IndexFunc(m.asking, func(q *decide) bool { return q.n == d.n }); i >= 0 {
			q := m.asking[i]
			m.asking = slices.Delete(m.asking, i, i+1)
			if b := m.settled(q, d, false); b != "" {
				return b
			}
		}
	}
	return ""
}

// pass lets time go by; who has waited long enough asks the fallback.
func (m *limiterModel) pass(d time.Duration) string {
	end := time.Now().Add(d)
	for len(m.asking) > 0 && !m.asking[0].until.After(end) {
		q := m.asking[0]
		m.asking = m.asking[1:]
		time.Sleep(time.Until(q.until))
		if b := m.settled(q, m.gate.late(q), true); b != "" {
			return b
		}
	}
	time.Sleep(time.Until(end))
	return ""
}

func (m *limiterModel) rule(k admittance) limit.Rule {
	if k.message {
		return m.cfg.Messages
	}
	return m.cfg.Connections
}

// settled notes an answer, and says what is wrong with it; "" is nothing.
func (m *limiterModel) settled(q *decide, d *decided, fallback bool) string {
	k := admittance{message: q.message, address: q.address, session: q.session}
	if !k.message {
		k.session = ""
	}
	m.last = d.decision.RetryAfter
	if !d.decision.OK && !m.generous {
		return ""
	}
	if fallback {
		m.replaced++
	}
	m.admitted[k] = append(m.admitted[k], admission{at: d.decision.Stamp, fallback: fallback, decided: d})
	return m.breach(k, d.decision.Stamp)
}

// breach looks at the window that ends with the newest admission.
func (m *limiterModel) breach(k admittance, now time.Time) string {
	r := m.rule(k)
	if r.Max == 0 {
		return ""
	}
	list := m.admitted[k]
	in, replaced := 0, 0
	for _, a := range list {
		if now.Sub(a.at) < r.Window {
			in++
			if a.fallback {
				replaced++
			}
		}
	}
	half := max(1, r.Max/2)
	switch newest := list[len(list)-1]; {
	case !newest.fallback && in > r.Max:
		return fmt.Sprintf("I7: %d admitted in a window of %d", in, r.Max)
	case replaced > half:
		return fmt.Sprintf("I7: %d admitted in a window by the fallback, which has %d", replaced, half)
	case in > r.Max+half:
		return fmt.Sprintf("I7: %d admitted in a window of %d and a half", in, r.Max)
	}
	return ""
}

// refund takes the newest connection of an address back, as a full pool does.
func (m *limiterModel) refund(address string) {
	k := admittance{address: address}
	list := m.admitted[k]
	if n := len(list); n > 0 && time.Since(list[n-1].at) < time.Second {
		m.gate.refund(address, "s", list[n-1].decided)
		m.admitted[k] = list[:n-1]
	}
}

func (m *limiterModel) reload(c limit.Config) {
	m.cfg = c
	m.gate.windows.SetConfig(c)
	m.gate.fallback.SetConfig(c)
	clear(m.admitted) // another rule: what was admitted under the old one is not counted by it
}

// limiterOp is one operation, drawn: rapid cannot draw inside a bubble.
type limiterOp struct {
	what    int
	how     mishap
	address string
	d       time.Duration // up to a second
	config  int           // most are none
}

func drawLimiterOp(t *rapid.T) limiterOp {
	return limiterOp{
		what: rapid.IntRange(0, 15).Draw(t, "what"),
		how: rapid.SampledFrom([]mishap{
			noMishap, noMishap, noMishap, noMishap, noMishap, noMishap, noMishap, noMishap, noMishap, atOnce, unanswered, answeredAt,
		}).Draw(t, "how"),
		address: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "address"),
		d:       time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "d")),
		config:  rapid.IntRange(0, 79).Draw(t, "config"),
	}
}

// step does one operation, and says what is wrong then.
func (m *limiterModel) step(o limiterOp) (wrong string) {
	switch o.what {
	case 0, 1, 2:
		wrong = m.ask(admittance{message: true, address: o.address, session: "s"})
	case 3, 4:
		wrong = m.ask(admittance{address: o.address, session: "s"})
	case 5, 6, 7, 8: // else it hangs
		if !m.away {
			wrong = m.deliver(o.how)
		}
	case 9, 10:
		if m.away {
			m.away = false
			m.fresh()
			m.strike(&actor.Started{}, o.how)
		}
	case 11:
		wrong = m.pass(o.d / 25)
	case 12:
		wrong = m.pass(4 * o.d)
	case 13:
		wrong = m.pass(m.last) // exactly when it was told to come back
	case 14:
		m.refund(o.address)
	default:
		m.gate.sweep(time.Now())
		if all := limiterConfigs(); o.config < len(all) {
			m.reload(all[o.config])
		}
	}
	return wrong
}

// rested proves that nothing is held back for good: a window later, with the
// limiter back, exactly what the rule says is admitted.
func (m *limiterModel) rested() string {
	if wrong := m.pass(time.Second); wrong != "" { // who asked has gone to the fallback by then
		return wrong
	}
	m.away = false
	m.fresh()
	m.strike(&actor.Started{}, noMishap)
	for !m.mail.empty() {
		if wrong := m.deliver(noMishap); wrong != "" {
			return wrong
		}
	}
	if m.gate.away.Load() {
		return "F8: the limiter is back and nobody has noticed"
	}
	if wrong := m.pass(30 * time.Second); wrong != "" {
		return wrong
	}
	k := admittance{message: true, address: "a", session: "s"}
	before := len(m.admitted[k])
	for range 2 * m.cfg.Messages.Max {
		m.ask(k)
		if wrong := m.deliver(noMishap); wrong != "" {
			return wrong
		}
	}
	if n := len(m.admitted[k]) - before; n != m.cfg.Messages.Max {
		return fmt.Sprintf("I7: at rest %d are admitted of %d", n, m.cfg.Messages.Max)
	}
	return ""
}

const limiterOps = 100_000

// TestLimiterModel: 10⁵ operations on the limiter and the bucket in its place,
// with crashes before, between and after what it does, hangs and late answers:
// never more than the rule in any window from the limiter, never more than half
// of it from the bucket, and nothing is kept back afterwards.
func TestLimiterModel(t *testing.T) {
	ops, crashes, replaced, runs := 0, 0, 0, 0
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		todo := rapid.SliceOfN(rapid.Custom(drawLimiterOp), limiterOps/100, limiterOps/100).Draw(t, "operations")
		config := rapid.SampledFrom(limiterConfigs()).Draw(t, "config")
		wrong := ""
		bubble(outer, func(*testing.T) {
			m := newLimiterModel(config)
			for i := 0; i < len(todo) && wrong == ""; i++ {
				wrong = m.step(todo[i])
			}
			wrong = cmp.Or(wrong, m.rested())
			crashes += m.crashes
			replaced += m.replaced
		})
		if wrong != "" {
			t.Fatal(wrong)
		}
		ops += len(todo)
		runs++
	})
	require.Equal(t, runs*limiterOps/100, ops)
	require.Greater(t, crashes, ops/100, "it hardly ever crashed")
	require.Greater(t, replaced, ops/100, "the fallback hardly ever decided")
	t.Logf("%d operations, %d crashes, %d admitted by the fallback", ops, crashes, replaced)
}

// TestLimiterModelSees: one admitted too many is seen, from either of the two.
func TestLimiterModelSees(t *testing.T) {
	for _, away := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			m := newLimiterModel(limiterConfigs()[0])
			m.generous = true // refusals are taken for admissions
			m.gate.away.Store(away)
			var wrong string
			for n := 0; wrong == "" && n < 9; n++ {
				m.ask(admittance{message: true, address: "a", session: "s"})
				wrong = cmp.Or(m.breachOf("a"), m.deliver(noMishap))
			}
			require.Contains(t, wrong, "I7: ")
		})
	}
}

func (m *limiterModel) breachOf(address string) string {
	k := admittance{message: true, address: address, session: "s"}
	if len(m.admitted[k]) == 0 {
		return ""
	}
	return m.breach(k, time.Now())
}

// TestLimiterCrashes at random points under random questions, through the whole
// house: the bound holds as the workers see it, each question is answered, and
// the full rule is back in the end.
func TestLimiterCrashes(t *testing.T) {
	rule := limit.Rule{Max: 4, Window: 2 * time.Second}
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { crashLimiter(t, seed, rule) })
		})
	}
}

func crashLimiter(t *testing.T, seed uint64, rule limit.Rule) {
	dice := rand.New(rand.NewPCG(seed, 2))
	wrecker, door := &saboteur{}, &gateOf{kind: kindLimiter}
	p := defaultPlan()
	p.limits.Messages, p.talk, p.runs.PerConnection = rule, talker("a"), 100
	p.inject = func(kind string, m any) { door.inject(kind, m); wrecker.inject(kind, m) }
	h := build(t, p)
	c := h.open("s")
	asked, shut := 0, false
	for range 150 {
		switch dice.IntN(6) {
		case 0, 1, 2:
			if c.wanted() == asked {
				continue // the last one waits for the limiter still: nothing is read meanwhile
			}
			asked++
			c.chat(fmt.Sprint(asked), "hi")
		case 3:
			wrecker.arm(sabotage{kind: kindLimiter})
		case 4:
			if shut = !shut; shut {
				door.close()
			} else {
				door.open()
			}
		default:
			pass(time.Duration(dice.IntN(700)) * time.Millisecond)
		}
		synctest.Wait()
	}
	if shut {
		door.open()
	}
	pass(3 * time.Second)
	fired, _ := wrecker.strikes()
	require.Positive(t, fired)
	for n := range asked {
		require.Len(t, c.terminals(fmt.Sprint(n+1)), 1, "question %d", n+1)
	}
	h.bus.locked(func() {
		for i, first := range h.bus.jobs {
			in := 0
			for _, job := range h.bus.jobs[i:] {
				if job.Sent-first.Sent < rule.Window.Milliseconds() {
					in++
				}
			}
			require.LessOrEqual(t, in, rule.Max*3/2, "I7: admitted in a window")
		}
	})
	wrecker.mu.Lock()
	wrecker.plans = nil
	wrecker.mu.Unlock()
	pass(rule.Window)
	before := h.bus.jobCount()
	for n := range 2 * rule.Max {
		c.chat(fmt.Sprint("last", n), "hi")
		pass(time.Millisecond)
	}
	require.Equal(t, rule.Max, h.bus.jobCount()-before, "the full rule is back")
	h.empty()
}
