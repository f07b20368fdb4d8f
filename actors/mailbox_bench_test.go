package actors

import (
	"fmt"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
)

// counting counts what a mailbox delivers, and tells done of each.
type counting struct{ done *sync.WaitGroup }

func (counting) InvokeSystemMessage(any)  {}
func (i counting) InvokeUserMessage(any)  { i.done.Done() }
func (counting) EscalateFailure(_, _ any) {}

// mailboxes are ours and protoactor's own.
func mailboxes() []struct {
	name    string
	produce actor.MailboxProducer
} {
	return []struct {
		name    string
		produce actor.MailboxProducer
	}{{"own", newMailbox}, {"lockfree", actor.UnboundedLockfree()}}
}

// BenchmarkMailbox is messages from their posting until all are delivered, within
// the post (sync) or by our crew. One op is all messages of the name.
func BenchmarkMailbox(b *testing.B) {
	message := any(&chunksArrived{})
	for _, mailbox := range mailboxes() {
		run := func(name string, dispatcher actor.Dispatcher, messages int) {
			b.Run(fmt.Sprintf("%s/%s/messages=%d", mailbox.name, name, messages), func(b *testing.B) {
				var done sync.WaitGroup
				m := mailbox.produce()
				m.RegisterHandlers(counting{&done}, dispatcher)
				b.ReportAllocs()
				for b.Loop() {
					done.Add(messages)
					for range messages {
						m.PostUserMessage(message)
					}
					done.Wait()
				}
			})
		}
		run("sync", actor.NewSynchronizedDispatcher(crewTurn), 1)
		run("crew", &crew{}, 1)
		run("crew", &crew{}, 16)
	}
}

// TestMailboxWakesWithoutAllocating: what the crew is given of a mailbox is the
// mailbox.
func TestMailboxWakesWithoutAllocating(t *testing.T) {
	m := &mailbox{}
	c := &crew{workers: 1, queue: make([]part, 0, 1)} // one who is busy elsewhere
	m.RegisterHandlers(&invoker{}, c)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.wake()
		if p, _ := c.next(0); p != part(m) {
			panic("not the mailbox")
		}
	}))
}

// BenchmarkCrew is parts from Schedule until all have run.
func BenchmarkCrew(b *testing.B) {
	for _, parts := range []int{1, 64} {
		b.Run(fmt.Sprintf("schedule/parts=%d", parts), func(b *testing.B) {
			var c crew
			var done sync.WaitGroup
			part := done.Done
			b.ReportAllocs()
			for b.Loop() {
				done.Add(parts)
				for range parts {
					c.Schedule(part)
				}
				done.Wait()
			}
		})
	}
}
