package actors

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// scene is a house at work: a witness and a victim, each with a running answer.
type scene struct {
	*house
	saboteur        *saboteur
	witness, victim *client
	log             *bytes.Buffer
}

const spoken = "one two three four five six seven eight nine ten "

func newScene(t *testing.T, early ...sabotage) *scene {
	return newSceneOf(t, func(*plan) {}, early...)
}

// newSceneOf is newScene of a plan that is bent first.
func newSceneOf(t *testing.T, bend func(*plan), early ...sabotage) *scene {
	s := &scene{saboteur: &saboteur{}, log: &bytes.Buffer{}}
	s.saboteur.arm(early...)
	p := defaultPlan()
	p.talk, p.inject, p.log = talker("one ", "two ", "three ", "four ", "five ", "six ", "seven ", "eight ", "nine ", "ten "), s.saboteur.inject, s.log
	bend(&p)
	s.house = build(t, p)
	s.witness, s.victim = s.open("s-witness"), s.open("s-victim")
	s.witness.chat("w", "hi")
	s.victim.chat("v", "hi")
	pass(2*pace + pace/2)
	return s
}

// victimRun is the run of the victim's answer.
func (s *scene) victimRun() *actor.PID {
	s.t.Helper()
	for _, f := range s.victim.seen() {
		if f.Type == protocol.TypeAccepted {
			pid := s.worker.runs.pid(f.RunID)
			require.NotNil(s.t, pid)
			return pid
		}
	}
	require.Fail(s.t, "the victim's run was not accepted")
	return nil
}

// strike sends a message that its receiver dies of.
func (s *scene) strike(kind string, to *actor.PID, message any) {
	s.saboteur.arm(sabotage{kind: kind, message: message})
	s.sys.root.Send(to, message)
	synctest.Wait()
}

// alive is the verdict: the witness heard its whole answer, a stranger is let in
// and answered, nothing is held once all have left, and no key is in the log.
func (s *scene) alive() {
	s.t.Helper()
	pass(6 * time.Second)
	_, left := s.saboteur.strikes()
	require.Zero(s.t, left, "the fault never struck: this case proves nothing")
	require.Empty(s.t, s.witness.closed(), "the witness was cut")
	ends := s.witness.terminals("w")
	require.Len(s.t, ends, 1)
	require.Equal(s.t, protocol.TypeComplete, ends[0].Type, "%+v", ends[0])
	require.Equal(s.t, spoken, string(ends[0].Text))

	stranger := s.open("s-stranger")
	stranger.chat("n", "hi")
	pass(3 * time.Second)
	require.Len(s.t, stranger.terminals("n"), 1)
	require.Equal(s.t, spoken, string(stranger.last().Text))
	select {
	case err := <-s.sys.Fatal():
		require.NoError(s.t, err)
	default:
	}
	s.empty()
	require.NotContains(s.t, s.log.String(), "canary")
	require.Contains(s.t, s.log.String(), "Panic caught")
}

// residents are the actors that are registered now, by id.
func (s *scene) residents() map[string]actor.Process {
	out := map[string]actor.Process{}
	for _, shelf := range s.sys.actors.ProcessRegistry.LocalPIDs.LocalPIDs {
		for id, p := range shelf.Items() {
			if slices.Contains(kinds(), kindOf(s.sys.actors.NewLocalPID(id))) {
				out[id] = p.(actor.Process)
			}
		}
	}
	return out
}

// others are the residents that are not the victim's own.
func (s *scene) others() map[string]actor.Process {
	out := s.residents()
	delete(out, s.victim.session.pid.Load().Id)
	delete(out, s.victimRun().Id)
	require.Greater(s.t, len(out), len(kinds()), "the witness has a connection and a run, and there are two rosters")
	return out
}

// untouched checks that none of the others was replaced or is gone, children of
// the one that panicked least of all.
func (s *scene) untouched(others map[string]actor.Process) {
	s.t.Helper()
	now := s.residents()
	for id, p := range others {
		require.True(s.t, now[id] == p || strings.Contains(id, "/"+kindProvider) && s.witnessDone(), "%s is not what it was", id)
	}
}

// witnessDone tells whether the witness's answer is over: its run may be gone.
func (s *scene) witnessDone() bool { return len(s.witness.terminals("w")) > 0 }

// anybody is a message that nobody knows, and that everybody hears who lives.
type anybody struct{ _ byte }

// noZombies checks that everybody who is registered still hears what is said.
func (s *scene) noZombies() {
	s.t.Helper()
	for id := range s.residents() {
		call := &anybody{}
		s.saboteur.listen(call)
		s.sys.root.Send(s.sys.actors.NewLocalPID(id), call)
		synctest.Wait()
		require.Equal(s.t, kindOf(s.sys.actors.NewLocalPID(id)), s.saboteur.listen(nil), "%s is registered and hears nothing", id)
	}
}

// gone checks that an actor is really gone and not a zombie that still answers.
func (s *scene) gone(pid *actor.PID) {
	s.t.Helper()
	_, lives := s.sys.actors.ProcessRegistry.GetLocal(pid.Id)
	require.False(s.t, lives, "%s is still there", pid.Id)
}

// panicCase is one way to panic: provoke makes it happen, check looks at what it
// cost the one it hit.
type panicCase struct {
	kind    string
	actor   string // its type
	message any
	early   bool // armed before the house is built
	provoke func(s *scene)
	check   func(s *scene)
}

func clientTold(s *scene) {
	require.Equal(s.t, []protocol.Code{protocol.Internal}, s.victim.closed())
	require.Equal(s.t, protocol.Internal, s.victim.last().Code)
	s.gone(s.victim.session.pid.Load())
	gone := s.bus.wordsOf(bus.ControlGone)
	require.Len(s.t, gone, 1, "the victim's run was not let go")
	require.Equal(s.t, protocol.OnDisconnectGrace, gone[0].OnDisconnect)
}

func oneError(s *scene) {
	ends := s.victim.terminals("v")
	require.Len(s.t, ends, 1)
	require.Equal(s.t, protocol.Internal, ends[0].Code)
	require.Equal(s.t, "one two ", string(ends[0].Text))
	require.Empty(s.t, s.victim.closed())
}

// unharmed: the victim's answer goes on to its end.
func unharmed(s *scene) {
	pass(3 * time.Second)
	ends := s.victim.terminals("v")
	require.Len(s.t, ends, 1)
	require.Equal(s.t, spoken, string(ends[0].Text))
}

// panicCases is every kind of actor with every message it takes.
func panicCases() []panicCase {
	var out []panicCase
	direct := func(kind string, to func(s *scene) *actor.PID, check func(*scene), messages ...any) {
		for _, m := range messages {
			out = append(out, panicCase{
				kind: kind, actor: typesOf(kind)[0], message: m, check: check,
				provoke: func(s *scene) { s.strike(kind, to(s), m) },
			})
		}
	}
	lifecycle := func(kind string, m any, provoke, check func(*scene)) {
		out = append(out, panicCase{kind: kind, actor: typesOf(kind)[0], message: m, check: check, provoke: func(s *scene) {
			s.saboteur.arm(on(kind, m))
			provoke(s)
		}})
	}
	direct(kindConnection, func(s *scene) *actor.PID { return s.victim.session.pid.Load() }, clientTold,
		&chunksArrived{}, &eventArrived{}, &replied{}, &noResponders{}, &asked{}, &socketClosed{}, &decided{},
		&limiterLate{}, &granted{}, &full{}, &poolLate{}, &offerLate{}, &retryDue{}, &checkSilence{}, &workerLost{},
		&settled{}, &searchLate{}, &busLost{}, &busBack{}, &idled{}, &drain{}, &endNow{}, &closeDue{}, &nextDue{})
	direct(kindRun, (*scene).victimRun, oneError,
		&piece{}, &reasoned{}, &queuedAt{}, &calling{}, &streamEnded{}, &keyArrived{}, &nameDue{}, &stopRun{}, &followed{}, &followerGone{}, &acknowledged{},
		&clockDue{}, &keyLate{}, &stopLate{}, &graceOver{}, &repeatDue{}, &expire{}, &speak{}, &shutDown{})

	tops := []struct {
		kind     string
		pid      func(s *scene) *actor.PID
		messages []any
		restarts bool
	}{
		{kindGateway, func(s *scene) *actor.PID { return s.gateway.root }, []any{&sweepIdle{}}, false},
		{kindWorker, func(s *scene) *actor.PID { return s.worker.root }, []any{&sweepIdle{}}, false},
		{kindLimiter, func(s *scene) *actor.PID { return s.gateway.gate.limiter.Load() }, []any{&decide{}, &probe{}}, true},
		{kindPool, func(s *scene) *actor.PID { return s.gateway.pool }, []any{&acquire{}, &vacated{}}, true},
		{kindRoster, func(s *scene) *actor.PID { return s.gateway.rosterPID }, []any{&beatHeard{}, &rosterTick{}, &unreachable{}}, true},
		{kindRoster, func(s *scene) *actor.PID { return s.worker.rosterP }, []any{&beatHeard{}, &rosterTick{}, &tellRests{}}, true},
		{kindConnections, func(s *scene) *actor.PID { return s.gateway.children }, []any{&sweepIdle{}, &drainAll{}, &closeAll{}}, false},
		{kindProvider, func(s *scene) *actor.PID { return s.worker.served["echo"].pid }, []any{&sweepIdle{}}, false},
	}
	for i, top := range tops {
		first := len(out)
		direct(top.kind, top.pid, unharmed, top.messages...)
		for _, m := range []any{&actor.Restarting{}, &actor.Started{}} {
			if top.restarts {
				lifecycle(top.kind, m, func(s *scene) { s.strike(top.kind, top.pid(s), top.messages[0]) }, unharmed)
			}
		}
		if i > 0 && tops[i-1].kind == top.kind { // the second of its kind
			for n := first; n < len(out); n++ {
				out[n].actor = typesOf(top.kind)[1]
			}
		}
	}
	for _, kind := range []string{kindGateway, kindLimiter, kindPool, kindRoster, kindConnections, kindWorker, kindProvider} {
		for _, who := range typesOf(kind) {
			out = append(out, panicCase{kind: kind, actor: who, message: &actor.Started{}, early: true, provoke: func(*scene) {}, check: unharmed})
		}
	}

	lifecycle(kindConnection, &actor.Started{}, func(s *scene) { s.victim = s.knock(protocol.Client{Session: "s-new"}) }, func(s *scene) {
		require.Equal(s.t, []protocol.Code{protocol.Internal}, s.victim.closed())
		s.gone(s.victim.session.pid.Load())
	})
	lifecycle(kindConnections, &open{}, func(s *scene) { s.victim = s.knock(protocol.Client{Session: "s-new"}) }, func(s *scene) {
		require.Equal(s.t, []protocol.Code{protocol.Internal}, s.victim.closed())
	})
	leave := func(s *scene) { s.victim.leave(protocol.CauseGone); synctest.Wait() }
	left := func(s *scene) { s.gone(s.victim.session.pid.Load()) }
	lifecycle(kindConnection, &actor.Stopping{}, leave, left)
	lifecycle(kindConnection, &actor.Stopped{}, leave, left)
	lifecycle(kindConnections, &actor.Terminated{}, leave, left)
	lifecycle(kindPool, &vacated{}, leave, left)

	again := func(s *scene) { s.victim.chat("", "hi"); pass(4 * time.Second) }
	answered := func(s *scene) {
		ends := s.victim.terminals("")
		require.Len(s.t, ends, 1)
		require.Equal(s.t, spoken, string(ends[0].Text), "%+v", ends[0])
	}
	lifecycle(kindRun, &actor.Started{}, again, func(s *scene) { // refused at once, and not offered elsewhere
		ends := s.victim.terminals("")
		require.Len(s.t, ends, 1)
		require.Equal(s.t, protocol.Internal, ends[0].Code)
	})
	lifecycle(kindRun, &actor.Stopping{}, again, answered)
	lifecycle(kindRun, &actor.Stopped{}, again, answered)
	lifecycle(kindProvider, &actor.Terminated{}, again, answered)
	lifecycle(kindProvider, &startRun{}, func(s *scene) { s.victim.chat("n", "hi") }, func(s *scene) { // offered again at once
		accepted := slices.ContainsFunc(s.victim.seen(), func(f protocol.Frame) bool { return f.Type == protocol.TypeAccepted && f.ID == "n" })
		require.True(s.t, accepted, "the client was not told within 50 ms")
		pass(4 * time.Second)
		ends := s.victim.terminals("n")
		require.Len(s.t, ends, 1)
		require.Equal(s.t, spoken, string(ends[0].Text), "%+v", ends[0])
	})
	return out
}

// TestPanicEverywhere panics every kind of actor on every message it takes. It
// is gone, resumed or fresh; its client is told; nobody else notices.
func TestPanicEverywhere(t *testing.T) {
	for i, c := range panicCases() {
		name := fmt.Sprintf("%s/%T", c.kind, c.message)
		if c.early {
			name += " at start"
		}
		t.Run(fmt.Sprintf("%02d %s", i, name), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var early []sabotage
				if c.early {
					early = append(early, c.aim())
				}
				s := newScene(t, early...)
				others := s.others()
				c.provoke(s)
				pass(50 * time.Millisecond)
				c.check(s)
				s.untouched(others)
				pass(backoffMax + backoffMax/2) // who comes back is back
				s.noZombies()
				s.alive()
				s.noZombies()
				require.Equal(t, []string{c.actor}, slices.Compact(s.saboteur.victims()), "the row is another actor's")
			})
		})
	}
}

// aim is the panic of this very type of actor on the next message of this type.
func (c panicCase) aim() sabotage {
	p := on(c.kind, c.message)
	p.actor = c.actor
	return p
}

// TestRootPastItsLimit: a root that panics more than ten times in ten seconds
// gives the process up, with one error.
func TestRootPastItsLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t)
		for n := range rootPanics + 3 {
			s.strike(kindGateway, s.gateway.root, &drain{})
			if n+1 <= rootPanics {
				require.Empty(t, s.sys.Fatal(), "given up after %d", n+1)
			}
		}
		err := <-s.sys.Fatal()
		require.ErrorContains(t, err, s.gateway.root.Id)
		require.Empty(t, s.sys.Fatal(), "said twice")
	})
}

// TestRootForgives: panics that are far apart are no reason to give up.
func TestRootForgives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t)
		for range 3 * rootPanics {
			s.strike(kindWorker, s.worker.root, &drain{})
			pass(1100 * time.Millisecond)
		}
		require.Empty(t, s.sys.Fatal())
		s.alive()
	})
}
