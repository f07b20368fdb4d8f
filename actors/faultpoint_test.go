package actors

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/fault"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// broken is a house where faults can be set.
type broken struct {
	*house
	faults *fault.Set
}

func buildBroken(t *testing.T, change ...func(*plan)) *broken {
	t.Helper()
	b := &broken{faults: fault.NewSet(fault.Options{Catalogue: FaultCatalogue()})}
	p := defaultPlan()
	p.talk = talker("one ", "two ", "three ", "four ")
	p.faults = b.faults
	for _, f := range change {
		f(&p)
	}
	b.house = build(t, p)
	t.Cleanup(b.faults.Close)
	return b
}

func (b *broken) set(line string) (id string) {
	b.t.Helper()
	s, err := fault.Parse(line)
	require.NoError(b.t, err)
	id, err = b.faults.Add(s)
	require.NoError(b.t, err)
	return id
}

// struck is how often the newest fault has struck.
func (b *broken) struck() int {
	list := b.faults.List()
	return list[len(list)-1].Hit
}

const fourWords = "one two three four "

// complete is the whole answer to a turn.
func complete(t *testing.T, c *client, id, text string) {
	t.Helper()
	ends := c.terminals(id)
	require.Len(t, ends, 1)
	require.Equal(t, protocol.TypeComplete, ends[0].Type, "%+v", ends[0])
	require.Equal(t, text, string(ends[0].Text))
}

// TestFaultOfAConnectionStaysThere: each fault of one connection, with another
// one beside it that must not notice.
func TestFaultOfAConnectionStaysThere(t *testing.T) {
	for line, check := range map[string]func(t *testing.T, b *broken, c *client){
		"connection panic message=chunksArrived times=1": func(t *testing.T, _ *broken, c *client) {
			require.Equal(t, []protocol.Code{protocol.Internal}, c.closed())
		},
		"connection hang message=chunksArrived times=1 for=2s": func(t *testing.T, _ *broken, c *client) {
			require.Empty(t, c.terminals("v"))
			pass(2 * time.Second)
			complete(t, c, "v", fourWords)
		},
		"connection delay message=chunksArrived times=1 delay=1s": func(t *testing.T, _ *broken, c *client) {
			pass(time.Second)
			complete(t, c, "v", fourWords)
		},
		"connection drop message=chunksArrived times=1": func(t *testing.T, _ *broken, c *client) {
			pass(2 * time.Second)
			complete(t, c, "v", fourWords)
		},
		"connection repeat message=chunksArrived": func(t *testing.T, _ *broken, c *client) {
			complete(t, c, "v", fourWords)
		},
		"connection reorder message=chunksArrived times=1": func(t *testing.T, _ *broken, c *client) {
			pass(2 * time.Second)
			complete(t, c, "v", fourWords)
		},
	} {
		t.Run(line, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := buildBroken(t)
				victim, witness := b.open("v"), b.open("w")
				victim.chat("v", "hi")
				b.set(line)
				pass(pace / 2)
				witness.chat("w", "hi") // its chunks come behind the victim's
				pass(pace)
				require.Positive(t, b.struck())
				if id := b.faults.List()[0].ID; line != "connection hang message=chunksArrived times=1 for=2s" {
					b.faults.Remove(id)
				}
				pass(5 * pace)
				complete(t, witness, "w", fourWords)
				check(t, b, victim)
				b.empty()
			})
		})
	}
}

// TestHangingConnectionsHoldUpNobody: fifty actors hang in one crew, the others
// answer in time.
func TestHangingConnectionsHoldUpNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := buildBroken(t, func(p *plan) { p.pool.MaxPerIP = 0 })
		var stuck, well []*client
		for i := range 50 {
			stuck = append(stuck, b.open(fmt.Sprint("h", i)))
		}
		for i := range 50 {
			well = append(well, b.open(fmt.Sprint("w", i)))
		}
		b.set("connection hang message=socketClosed for=1m times=50")
		for _, c := range stuck {
			c.leave(protocol.CauseGone)
		}
		for _, c := range well { // while the crew is still finding out
			c.session.Receive(&protocol.Chat{ID: "1", Content: "hi"})
		}
		pass(4*pace + 100*time.Millisecond)
		require.Equal(t, 50, b.struck())
		for _, c := range well {
			complete(t, c, "1", fourWords)
		}
		require.Equal(t, 1, b.faults.Clear(), "and all are let go together")
		pass(time.Second)
		require.EqualValues(t, 50, b.gateway.Status().Actors.Connection)
		b.empty()
	})
}

// TestDecisionsThatFail: who asks hears at once that there will be none.
func TestDecisionsThatFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := buildBroken(t)
		c := b.open("s")
		id := b.set("limiter error")
		c.chat("1", "hi")
		pass(0)
		require.Equal(t, 1, b.bus.jobCount(), "the bucket decides at once")
		require.Positive(t, b.gateway.gate.replaced.Load())
		b.faults.Remove(id)
		pass(time.Second)
		require.Zero(t, b.gauge("troupe_limiter_degraded"))

		id = b.set("pool error")
		refused := b.knock(protocol.Client{Session: "s2", Address: "192.0.2.9"})
		pass(0)
		require.Equal(t, protocol.Internal, refused.last().Code)
		b.faults.Remove(id)

		id = b.set("provider error")
		c.chat("2", "hi")
		pass(0)
		require.Equal(t, protocol.ProviderUnavailable, c.terminals("2")[0].Code)
		b.faults.Remove(id)
		b.open("s3").chat("3", "hi")
		pass(5 * pace)
		b.empty()
	})
}

// TestVendorFaults: a call of a vendor fails like a real one, its text too.
func TestVendorFaults(t *testing.T) {
	for line, want := range map[string]struct {
		code protocol.Code
		text string
		in   time.Duration
	}{
		"vendor panic message=call":                     {code: protocol.Internal, in: 10 * time.Millisecond},
		"vendor error message=call":                     {code: protocol.ProviderUnavailable, in: time.Second},
		"vendor error message=call times=1":             {text: fourWords, in: time.Second},
		"vendor hang message=call for=3s":               {text: fourWords, in: 3*time.Second + 5*pace},
		"vendor hang message=call for=1h":               {code: protocol.ProviderTimeout, in: 5*time.Second + 250*time.Millisecond},
		"vendor delay message=call delay=1s":            {text: fourWords, in: time.Second + 5*pace},
		"vendor panic message=text after=2":             {code: protocol.Internal, text: "one two ", in: 4 * pace},
		"vendor hang message=text after=2 for=1h":       {code: protocol.ProviderTimeout, text: "one two ", in: 2*time.Second + 250*time.Millisecond},
		"vendor delay message=text after=2 delay=300ms": {text: fourWords, in: 12 * pace},
		"vendor error message=text after=2":             {code: protocol.ProviderInterrupted, text: "one two ", in: 4 * pace},
		"vendor drop message=text after=1 every=2":      {text: "one three ", in: 5 * pace},
		"vendor repeat message=text after=3":            {text: fourWords + "four ", in: 5 * pace},
		"vendor reorder message=text":                   {text: "two one four three ", in: 5 * pace},
		"vendor reorder message=text after=3":           {text: fourWords, in: 5 * pace}, // nobody comes behind it
	} {
		t.Run(line, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := buildBroken(t, func(p *plan) { p.runs.FirstTokenTimeout, p.runs.StallTimeout = 5*time.Second, 2*time.Second })
				c := b.open("s")
				b.set(line)
				c.chat("1", "hi")
				pass(want.in)
				ends := c.terminals("1")
				require.Len(t, ends, 1)
				require.Equal(t, want.code, ends[0].Code, "%+v", ends[0])
				require.Equal(t, want.text, string(ends[0].Text))
				require.Empty(t, c.closed())
				b.faults.Clear()
				c.chat("2", "hi")
				pass(6 * pace)
				complete(t, c, "2", fourWords)
				b.empty()
			})
		})
	}
}

// TestRunFaults: whatever strikes a run, its client hears one end.
func TestRunFaults(t *testing.T) {
	for line, want := range map[string]struct {
		kind protocol.Type
		in   time.Duration
	}{
		"run panic message=piece after=2":       {protocol.TypeError, 3*pace + 50*time.Millisecond},
		"run panic message=Started":             {protocol.TypeError, 50 * time.Millisecond},
		"run hang message=piece after=2 for=1s": {protocol.TypeComplete, time.Second + 6*pace},
		"run delay message=piece delay=150ms":   {protocol.TypeComplete, 12 * pace},
		"run drop message=piece after=2":        {protocol.TypeComplete, 5 * pace},
		"run repeat message=piece":              {protocol.TypeComplete, 5 * pace},
		"run reorder message=piece":             {protocol.TypeComplete, 6 * pace},
		"run repeat":                            {protocol.TypeComplete, 6 * pace},
		"run panic message=streamEnded":         {protocol.TypeError, 5 * pace},
		"provider hang message=startRun for=1s": {protocol.TypeComplete, 3*time.Second + 6*pace},
		"provider panic message=Terminated":     {protocol.TypeComplete, 6 * pace},
	} {
		t.Run(line, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := buildBroken(t)
				c := b.open("s")
				b.set(line)
				c.chat("1", "hi")
				pass(want.in)
				ends := c.terminals("1")
				require.Len(t, ends, 1)
				require.Equal(t, want.kind, ends[0].Type, "%+v", ends[0])
				b.faults.Clear()
				pass(time.Second)
				c.chat("2", "hi")
				pass(6 * pace)
				complete(t, c, "2", fourWords)
				b.empty()
			})
		})
	}
}

// TestHeldBack: a message comes behind the next one, or after a while.
func TestHeldBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := buildBroken(t)
		heard := make(chan any, 10)
		inner := actor.ReceiveFunc(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *retryDue, *settled, *searchLate:
				heard <- ctx.Message()
			}
		})
		pid := b.sys.root.Spawn(actor.PropsFromProducer(func() actor.Actor { return b.sys.staged(kindConnection, inner) }))
		b.set("connection reorder message=retryDue delay=1s")
		b.sys.root.Send(pid, &retryDue{to: 1})
		b.sys.root.Send(pid, &retryDue{to: 2})
		b.sys.root.Send(pid, &retryDue{to: 3})
		pass(0)
		require.Len(t, heard, 2)
		require.Equal(t, []any{&retryDue{to: 2}, &retryDue{to: 1}}, []any{<-heard, <-heard})
		pass(time.Second - time.Millisecond)
		require.Empty(t, heard)
		pass(time.Millisecond)
		require.Equal(t, &retryDue{to: 3}, <-heard)

		b.sys.root.Send(pid, &retryDue{to: 4})
		pass(time.Millisecond)
		b.faults.Clear()
		b.sys.root.Send(pid, &settled{to: 5})
		pass(0)
		require.Equal(t, []any{&settled{to: 5}, &retryDue{to: 4}}, []any{<-heard, <-heard}, "also where no fault is set any more")
		pass(2 * time.Second)
		require.Empty(t, heard)
		require.NoError(t, b.sys.root.StopFuture(pid).Wait())
	})
}

// TestWithoutFaultsNothingStandsThere: the actor itself takes its messages, and
// enter has nothing to ask.
func TestWithoutFaultsNothingStandsThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		k := &connection{}
		require.Same(t, k, h.sys.staged(kindConnection, k))
		require.Nil(t, h.sys.inject)
	})
}

// received lists, by the type that receives, the types in the switches of its
// Receive, as the sources have them.
func received(t *testing.T, file, receiver string) (names []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Name.Name != "Receive" || fn.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name != receiver {
			continue
		}
		add := func(e ast.Expr) {
			star, ok := e.(*ast.StarExpr)
			if !ok {
				return
			}
			switch x := star.X.(type) {
			case *ast.Ident:
				names = append(names, x.Name)
			case *ast.SelectorExpr:
				names = append(names, x.Sel.Name)
			}
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CaseClause:
				for _, e := range n.List {
					add(e)
				}
			case *ast.TypeAssertExpr:
				add(n.Type)
			}
			return true
		})
	}
	require.NotEmpty(t, names, receiver)
	return names
}

// TestCatalogueHasEveryMessage: what an actor takes can be struck, and what can be
// struck is taken.
func TestCatalogueHasEveryMessage(t *testing.T) {
	takes := map[string][]string{
		kindConnection: received(t, "connection.go", "connection"), kindRun: received(t, "run.go", "run"),
		kindLimiter: received(t, "limiter.go", "limiter"), kindPool: received(t, "pool.go", "pool"),
		kindRoster:      append(received(t, "roster.go", "roster"), received(t, "gateway_roster.go", "gatewayRoster")...),
		kindConnections: received(t, "connections.go", "connections"), kindProvider: received(t, "provider.go", "providerSupervisor"),
	}
	names := FaultCatalogue().Names()
	lifecycle := []string{"Started", "Stopping", "Stopped", "Restarting", "Terminated"}
	for kind, taken := range takes {
		require.Subset(t, names[kind], taken, kind)
		require.Subset(t, append(taken, lifecycle...), names[kind], kind)
		for i, name := range names[kind] {
			require.NotContains(t, names[kind][:i], name, "%s twice", kind)
		}
	}
	require.Len(t, names, len(takes)+2)
	require.Contains(t, names[faultBus], "in.event.chunk")
	require.Contains(t, names[faultVendor], "text")
}

// TestWhatCannotBeStruck: each refusal says what can.
func TestWhatCannotBeStruck(t *testing.T) {
	for line, words := range map[string]string{
		"connection drop message=Started":      "drop cannot strike Started of connection, which takes panic, hang or delay",
		"connections repeat message=open":      "repeat cannot strike open",
		"provider repeat message=startRun":     "means nothing for provider",
		"connection repeat message=asked":      "repeat cannot strike asked",
		"connection error":                     "error means nothing for connection",
		"roster reorder message=Terminated":    `message: "Terminated" is not allowed`,
		"bus panic message=out.job":            "panic cannot strike out.job",
		"bus error message=in.event":           "error cannot strike in.event",
		"vendor drop message=call":             "drop cannot strike call",
		"gateway panic":                        `actor: "gateway" is not allowed`,
		"connection panic message=chunkArrive": "connection takes Started",
	} {
		s, err := fault.Parse(line)
		require.NoError(t, err)
		require.ErrorContains(t, FaultCatalogue().Check(&s), words, line)
	}
}
