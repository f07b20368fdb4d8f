package actors

import (
	"fmt"
	"slices"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// poolModel is the real pool, driven by hand, with the clients that the model
// knows of: the pool may crash in the middle of anything it does.
type poolModel struct {
	*workshop
	pool       *pool
	leases     *limit.Leases[*Session]
	mail       *tray
	pid        *actor.PID
	away       bool // it has crashed and is not back
	slots, per int
	guests     []*guest
	leak       bool // negative control: nobody says that an owner has ended
	crashes    int
}

// guest is one connection that asks for a slot.
type guest struct {
	*Session
	mail  *tray
	state guestState
}

type guestState uint8

const (
	guestAsks guestState = iota
	guestIn              // it was granted a slot and lives
	guestDead            // its actor is gone, and nobody has said so
	guestGone
)

func newPoolModel() *poolModel {
	m := &poolModel{workshop: newWorkshop(), slots: 4, per: 2}
	m.leases = limit.NewLeases[*Session](m.slots, m.per)
	m.pid, m.mail = m.register("pool-")
	m.fresh()
	return m
}

func (m *poolModel) fresh() {
	m.pool = &pool{
		guard: guard{sys: m.System, kind: kindPool}, leases: m.leases,
		windows: limit.NewWindows(limit.Config{}), metrics: m.metrics,
	}
}

// strike lets the pool handle one message, with one mishap on the way.
func (m *poolModel) strike(message any, how mishap) {
	d := &stage{system: m.System, self: m.pid, mishap: how}
	m.now = d
	defer func() { m.now = nil }()
	if d.handle(m.pool, message) {
		m.away = true
		m.crashes++
	}
}

// deliver hands the pool the oldest message; what a crash swallows is lost.
func (m *poolModel) deliver(how mishap) {
	if message := m.mail.next(); message != nil {
		m.strike(message, how)
	}
}

func (m *poolModel) restart(how mishap) {
	m.away = false
	m.fresh()
	m.strike(&actor.Started{}, how)
}

func (m *poolModel) arrive(address, session string) {
	s := &Session{client: protocol.Client{Address: address, Session: session}}
	pid, mail := m.register("connections/c")
	s.pid.Store(pid)
	m.guests = append(m.guests, &guest{Session: s, mail: mail})
	m.root.Send(m.pid, &acquire{owner: s, n: 1})
}

// read lets a guest handle its mail, as a connection would.
func (m *poolModel) read(g *guest) {
	for message := g.mail.next(); message != nil; message = g.mail.next() {
		if g.state != guestAsks {
			continue
		}
		switch message.(type) {
		case *granted:
			g.state = guestIn
		case *full, *poolLate:
			m.die(g)
		}
	}
}

// die ends a guest's actor. Its supervisor says so a moment later.
func (m *poolModel) die(g *guest) {
	if g.state < guestDead {
		g.state = guestDead
		m.remove(g.pid.Load())
	}
}

func (m *poolModel) bury(g *guest) {
	if g.state == guestDead {
		g.state = guestGone
		if !m.leak {
			m.root.Send(m.pid, &vacated{owner: g.Session})
		}
	}
}

// settle lets everything come to rest.
func (m *poolModel) settle() {
	for {
		if m.away {
			m.restart(noMishap)
		}
		for !m.mail.empty() {
			m.deliver(noMishap)
		}
		for _, g := range m.guests {
			m.read(g)
			m.bury(g)
		}
		if m.mail.empty() && !m.away {
			return
		}
	}
}

// breach says what is wrong now; "" is nothing. Before is who held a slot before
// the last operation.
func (m *poolModel) breach(before []*Session) string {
	held := map[*Session]bool{}
	for _, s := range m.leases.Owners() {
		held[s] = true
	}
	at, fresh := map[string]int{}, map[string]bool{}
	for s := range held {
		at[s.client.Address]++
		if !slices.Contains(before, s) {
			fresh[s.client.Address] = true
		}
	}
	switch {
	case len(fresh) > 0 && len(held) > m.slots:
		return fmt.Sprintf("I3: %d slots held of %d", len(held), m.slots)
	case len(held) != m.leases.Active():
		return "I3: the slots are counted wrongly"
	}
	for address := range fresh {
		if m.per > 0 && at[address] > m.per {
			return fmt.Sprintf("I3: %d slots held of %d by %s", at[address], m.per, address)
		}
	}
	for _, g := range m.guests {
		if g.state == guestIn && !held[g.Session] {
			return "I3: somebody is in without a slot"
		}
	}
	return ""
}

// balance says what is held by nobody, at rest.
func (m *poolModel) balance() string {
	in := 0
	for _, g := range m.guests {
		if g.state == guestIn {
			in++
		}
	}
	if held := m.leases.Active(); held != in {
		return fmt.Sprintf("I3: %d slots are held by %d connections", held, in)
	}
	return ""
}

// step is one operation, drawn.
func (m *poolModel) step(t *rapid.T) {
	how := func() mishap {
		if rapid.IntRange(0, 3).Draw(t, "crash") > 0 {
			return noMishap
		}
		return mishap(rapid.IntRange(int(atOnce), int(mishaps)-1).Draw(t, "where"))
	}
	pick := func() *guest {
		if len(m.guests) == 0 {
			return nil
		}
		return m.guests[rapid.IntRange(0, len(m.guests)-1).Draw(t, "who")]
	}
	before := m.leases.Owners()
	switch op := rapid.IntRange(0, 11).Draw(t, "op"); op {
	case 0, 1:
		m.arrive(fmt.Sprint("a", rapid.IntRange(0, 3).Draw(t, "address")), "s")
	case 2, 3, 4: // else it hangs, and answers late
		if !m.away {
			m.deliver(how())
		}
	case 5:
		if m.away {
			m.restart(how())
		}
	case 6, 7:
		if g := pick(); g != nil {
			m.read(g)
		}
	case 8: // it leaves, or has waited for too long
		if g := pick(); g != nil {
			m.die(g)
		}
	case 9:
		for _, g := range m.guests {
			m.bury(g)
		}
	case 10:
		if rapid.IntRange(0, 9).Draw(t, "reload") == 0 {
			m.slots, m.per = rapid.IntRange(0, 6).Draw(t, "slots"), rapid.IntRange(0, 3).Draw(t, "per address")
			m.leases.SetBounds(m.slots, m.per)
		}
	default:
		if g := pick(); g != nil && g.state == guestIn { // asks again: it keeps what it has
			m.root.Send(m.pid, &acquire{owner: g.Session, n: 2})
		}
	}
	if b := m.breach(before); b != "" {
		t.Fatal(b)
	}
	m.guests = slices.DeleteFunc(m.guests, func(g *guest) bool { return g.state == guestGone })
}

// poolOps is how many operations the pool goes through, at random.
const poolOps = 100_000

// TestPoolModel: 10⁵ operations on the pool, with crashes in the middle of
// whatever it does: 0 leaked, 0 over-admitted.
func TestPoolModel(t *testing.T) {
	ops, crashes, runs := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m := newPoolModel()
		for range poolOps / 100 {
			m.step(t)
			ops++
		}
		m.settle()
		if b := m.balance(); b != "" {
			t.Fatal(b)
		}
		for _, g := range m.guests {
			m.die(g)
		}
		m.settle()
		require.Zero(t, m.leases.Active(), "I3: leaked")
		crashes += m.crashes
		runs++
	})
	require.Equal(t, runs*poolOps/100, ops)
	require.Greater(t, crashes, ops/50, "it hardly ever crashed")
	t.Logf("%d operations, %d crashes", ops, crashes)
}

// TestPoolModelSees: what the model is for, once each.
func TestPoolModelSees(t *testing.T) {
	t.Run("a lease that nobody ends", func(t *testing.T) {
		m := newPoolModel()
		m.leak = true
		m.arrive("a", "s")
		m.settle()
		require.Empty(t, m.balance())
		m.die(m.guests[0])
		m.settle()
		require.Equal(t, "I3: 1 slots are held by 0 connections", m.balance())
	})
	t.Run("one slot too many", func(t *testing.T) {
		m := newPoolModel()
		for n := range 5 {
			m.arrive(fmt.Sprint("a", n), "s")
		}
		m.settle()
		require.Empty(t, m.breach(nil))
		m.slots--
		require.Equal(t, "I3: 4 slots held of 3", m.breach(nil))
	})
	t.Run("one of an address too many", func(t *testing.T) {
		m := newPoolModel()
		m.arrive("a", "s")
		m.arrive("a", "s")
		m.settle()
		m.per--
		require.Equal(t, "I3: 2 slots held of 1 by a", m.breach(nil))
	})
	t.Run("somebody without a slot", func(t *testing.T) {
		m := newPoolModel()
		m.arrive("a", "s")
		m.settle()
		m.leases.Release(m.guests[0].Session)
		require.Equal(t, "I3: somebody is in without a slot", m.breach(nil))
	})
}
