package limit

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// stamps is the naive model of Windows: every event in a plain list, counted
// from the beginning for every question.
type stamps struct {
	cfg    Config
	events map[identity][]time.Time
	seen   map[identity]sighting
	uses   int
}

type sighting struct {
	at  time.Time
	use int
}

// consumed is what the model's refund needs to know.
type consumed struct {
	connection, session bool
	at                  time.Time
	use                 int
}

func newStamps(c Config) *stamps {
	return &stamps{cfg: c, events: map[identity][]time.Time{}, seen: map[identity]sighting{}}
}

func (m *stamps) inWindow(n identity, r Rule, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(m.events[n]), func(s time.Time) bool { return now.Sub(s) >= r.Window })
}

func (m *stamps) ask(n identity, l Name, r Rule, now time.Time) Decision {
	d := Decision{OK: true, Limit: l, Rule: r, Stamp: now}
	if r.Max == 0 {
		return d
	}
	in := m.inWindow(n, r, now)
	d.Count = len(in)
	if len(in) >= r.Max {
		d.OK = false
		d.RetryAfter = in[len(in)-r.Max].Add(r.Window).Sub(now)
	}
	return d
}

func (m *stamps) add(n identity, r Rule, now time.Time) int {
	in := m.inWindow(n, r, now)
	if len(in) >= r.bound() {
		in = in[1:]
	}
	m.events[n] = append(in, now)
	return len(m.events[n])
}

func (m *stamps) message(now time.Time, address, session string, charge bool) Decision {
	n := identity{address, session, asks}
	d := m.ask(n, Messages, m.cfg.Messages, now)
	if (d.OK || charge) && m.cfg.Messages.Max > 0 {
		d.Count = m.add(n, m.cfg.Messages, now)
	}
	return d
}

func (m *stamps) connect(now time.Time, address, session string, opt ConnectOptions, charge bool) (Decision, consumed) {
	conn, sess, visit := identity{address, "", connects}, identity{address, "", opens}, identity{address, session, visits}
	counted := opt.CountConnection && m.cfg.Connections.Max > 0
	named := !opt.NewSession && m.cfg.Sessions.Max > 0
	last, ok := m.seen[visit]
	knownAt := func(at time.Time) bool {
		return opt.Connected || ok && at.Sub(last.at) < m.cfg.Sessions.Window
	}
	fresh := named && !knownAt(now)

	d := Decision{OK: true, Limit: Connections, Rule: m.cfg.Connections, Stamp: now}
	var refusals []Decision
	if counted {
		if c := m.ask(conn, Connections, m.cfg.Connections, now); !c.OK {
			refusals = append(refusals, c)
			fresh = fresh || named && !knownAt(now.Add(c.RetryAfter))
		}
	}
	if fresh {
		if s := m.ask(sess, Sessions, m.cfg.Sessions, now); !s.OK {
			refusals = append(refusals, s)
		}
	}
	if len(refusals) > 0 && !charge {
		slices.SortStableFunc(refusals, func(a, b Decision) int { return int(b.RetryAfter - a.RetryAfter) })
		return refusals[0], consumed{}
	}
	fresh = named && !knownAt(now)
	if counted {
		d.Count = m.add(conn, m.cfg.Connections, now)
	}
	if fresh {
		n := m.add(sess, m.cfg.Sessions, now)
		if !counted {
			d.Limit, d.Rule, d.Count = Sessions, m.cfg.Sessions, n
		}
	}
	if named {
		m.see(now, address, session)
	}
	return d, consumed{counted, fresh, now, m.uses}
}

func (m *stamps) see(now time.Time, address, session string) {
	m.uses++
	m.seen[identity{address, session, visits}] = sighting{now, m.uses}
}

func (m *stamps) refund(address, session string, c consumed) {
	if c.connection {
		m.takeBack(identity{address, "", connects}, c.at)
	}
	if visit := (identity{address, session, visits}); c.session && m.seen[visit].use == c.use {
		delete(m.seen, visit)
		m.takeBack(identity{address, "", opens}, c.at)
	}
}

func (m *stamps) takeBack(n identity, at time.Time) {
	if i := slices.IndexFunc(m.events[n], at.Equal); i >= 0 {
		m.events[n] = slices.Delete(m.events[n], i, i+1)
	}
}

// admission is a decision that may still be refunded.
type admission struct {
	address, session string
	decision         Decision
	consumed         consumed
}

// TestWindowsAgainstStamps lets Windows and the naive model decide the same
// random attempts, refunds, charges, reloads and resets.
func TestWindowsAgainstStamps(t *testing.T) {
	configs := []Config{
		{Connections: Rule{3, 10 * time.Second}, Messages: Rule{2, 6 * time.Second}, Sessions: Rule{2, 20 * time.Second}},
		{Connections: Rule{1, 10 * time.Second}, Messages: Rule{5, 6 * time.Second}, Sessions: Rule{1, 20 * time.Second}},
		{Connections: Rule{0, 10 * time.Second}, Messages: Rule{1, 6 * time.Second}, Sessions: Rule{3, 20 * time.Second}},
		{Connections: Rule{4, 10 * time.Second}, Messages: Rule{0, 6 * time.Second}, Sessions: Rule{0, 20 * time.Second}},
	}
	addresses := rapid.SampledFrom([]string{alice, bob})
	sessions := rapid.SampledFrom([]string{"s", "t", "u"})
	options := rapid.SampledFrom([]ConnectOptions{socket, socket, socket, live, http, unnamed})
	rapid.Check(t, func(t *rapid.T) {
		w, m, now := NewWindows(configs[0]), newStamps(configs[0]), start
		var admitted []admission
		var wait time.Duration
		same := func(t *rapid.T, want, got Decision) {
			got.grant = grant{}
			require.Equal(t, want, got)
			require.Equal(t, got.OK, got.RetryAfter == 0)
			wait = got.RetryAfter
		}
		connect := func(t *rapid.T) {
			a := admission{address: addresses.Draw(t, "address"), session: sessions.Draw(t, "session")}
			opt := options.Draw(t, "options")
			a.decision = w.Connect(now, a.address, a.session, opt)
			want, c := m.connect(now, a.address, a.session, opt, false)
			same(t, want, a.decision)
			if a.consumed = c; want.OK {
				admitted = append(admitted, a)
			}
		}
		message := func(t *rapid.T) {
			address, session := addresses.Draw(t, "address"), sessions.Draw(t, "session")
			same(t, m.message(now, address, session, false), w.Message(now, address, session))
		}
		t.Repeat(map[string]func(*rapid.T){
			"connect": connect, "connect too": connect, "message": message, "message too": message,
			"later": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "by")))
			},
			"just before": func(*rapid.T) { now = now.Add(max(0, wait-1)) },
			"just then":   func(*rapid.T) { now, wait = now.Add(wait), 0 },
			"refund": func(t *rapid.T) {
				if len(admitted) == 0 {
					t.Skip("nothing was admitted")
				}
				i := rapid.IntRange(0, len(admitted)-1).Draw(t, "which")
				a := admitted[i]
				admitted = slices.Delete(admitted, i, i+1)
				if now.Sub(a.decision.Stamp) > time.Second {
					t.Skip("a refund follows its decision at once")
				}
				w.RefundConnect(a.address, a.session, a.decision)
				m.refund(a.address, a.session, a.consumed)
			},
			"charge": func(t *rapid.T) {
				a := admission{address: addresses.Draw(t, "address"), session: sessions.Draw(t, "session")}
				opt := options.Draw(t, "options")
				a.decision = w.ChargeConnect(now, a.address, a.session, opt)
				want, c := m.connect(now, a.address, a.session, opt, true)
				same(t, want, a.decision)
				a.consumed = c
				admitted = append(admitted, a)
				w.ChargeMessage(now, a.address, a.session)
				m.message(now, a.address, a.session, true)
			},
			"seen": func(t *rapid.T) {
				address, session := addresses.Draw(t, "address"), sessions.Draw(t, "session")
				w.Seen(now, address, session)
				if m.cfg.Sessions.Max > 0 {
					m.see(now, address, session)
				}
			},
			"reload": func(t *rapid.T) {
				m.cfg = rapid.SampledFrom(configs).Draw(t, "config")
				w.SetConfig(m.cfg)
			},
			"sweep": func(*rapid.T) { w.Sweep(now) },
			"reset": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "dice") > 0 {
					t.Skip("seldom")
				}
				keys := w.Len()
				require.Equal(t, keys, w.Reset())
				m, admitted = newStamps(m.cfg), nil
			},
			"": func(t *rapid.T) { order(t, &w.table) },
		})
	})
}

// However the clock jumps, nobody waits longer than one window and waiting as
// long as asked is enough.
func TestAnyClock(t *testing.T) {
	c := Config{Connections: Rule{2, 5 * time.Second}, Messages: Rule{2, 7 * time.Second}, Sessions: Rule{1, 9 * time.Second}}
	sessions := rapid.SampledFrom([]string{"s", "t"})
	rapid.Check(t, func(t *rapid.T) {
		w, now := NewWindows(c), start
		for range rapid.IntRange(1, 60).Draw(t, "attempts") {
			jump := rapid.Int64Range(-int64(20*time.Second), int64(20*time.Second)).Draw(t, "jump")
			now = now.Add(time.Duration(jump))
			session := sessions.Draw(t, "session")
			attempt := func(now time.Time) Decision { return w.Connect(now, alice, session, socket) }
			if rapid.Bool().Draw(t, "message") {
				attempt = func(now time.Time) Decision { return w.Message(now, alice, session) }
			}
			if d := attempt(now); !d.OK {
				require.LessOrEqual(t, d.RetryAfter, d.Rule.Window)
				require.LessOrEqual(t, d.Count, d.Rule.Max)
				now = now.Add(d.RetryAfter)
				require.True(t, attempt(now).OK)
			}
		}
	})
}
