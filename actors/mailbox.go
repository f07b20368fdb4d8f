package actors

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is the mailbox of all actors. It keeps the promises of protoactor's
// own: system messages first, each kind in the order of its posting, one message
// at a time, user messages not while suspended. It costs 64 bytes and nothing for
// what was delivered, a third of the smallest of those: there are thousands. It
// tells whoever asks how it stands, which those do not.
type mailbox struct {
	invoker actor.MessageInvoker
	place   *place

	mu           sync.Mutex
	system, user letters
	running      bool // somebody delivers, or will
	suspended    bool
	waiting      uint32
	front        stamp // the message that waits foremost came to the front
	began        stamp // the message that is handled; 0 = none is
}

// place is what all mailboxes of a dispatcher share.
type place struct {
	dispatcher actor.Dispatcher
	crew       *crew // the dispatcher, if it is one
	clock      *clock
}

func newPlace(d actor.Dispatcher, c *clock) *place {
	p := &place{dispatcher: d, clock: c}
	p.crew, _ = d.(*crew)
	return p
}

// newMailbox is an actor.MailboxProducer.
func newMailbox() actor.Mailbox { return &mailbox{} }

// RegisterHandlers implements actor.Mailbox. It comes before the first message.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.invoker = invoker
	switch d := dispatcher.(type) {
	case *crew:
		m.place = d.place
	case *alone:
		m.place = d.place
	}
	if m.place == nil {
		m.place = newPlace(dispatcher, &clock{})
	}
}

// Start implements actor.Mailbox.
func (*mailbox) Start() {}

// PostUserMessage implements actor.Mailbox. Any goroutine may post.
func (m *mailbox) PostUserMessage(message any) { m.post(&m.user, message) }

// PostSystemMessage implements actor.Mailbox. A look is no message: whoever posts
// it has its answer at once, also from an actor that hangs. It comes this way
// because a process leads to its mailbox by nothing else, and system messages
// are rare.
func (m *mailbox) PostSystemMessage(message any) {
	if l, ok := message.(*look); ok {
		m.look(l)
		return
	}
	m.post(&m.system, message)
}

// look is a question to a mailbox: how it stands.
type look struct {
	suspended bool  // its actor panicked and did not come back yet
	running   bool  // somebody delivers, or will
	waiting   int   // messages that are not being handled yet
	oldest    stamp // the one of these that came first had come by then; 0 = none waits
	began     stamp // the message that is handled; 0 = none is
}

func (m *mailbox) look(l *look) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.suspended, l.running, l.began = m.suspended, m.running, m.began
	if l.waiting = int(m.waiting); l.waiting > 0 {
		l.oldest = m.front
	}
}

// UserMessageCount implements actor.Mailbox.
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.user.count()
}

func (m *mailbox) post(to *letters, message any) {
	if m.enter(to, message) {
		m.wake()
	}
}

// deliverHere posts a user message and, unless somebody delivers already, delivers
// it and what comes meanwhile on the caller's goroutine. It is for callers who
// may be held up by that actor, and by no other: its own helpers.
func (m *mailbox) deliverHere(message any) {
	if m.enter(&m.user, message) {
		m.run()
	}
}

// enter takes a message in, and tells whether nobody delivers yet.
func (m *mailbox) enter(to *letters, message any) (idle bool) {
	l := &letter{message: message}
	m.mu.Lock()
	defer m.mu.Unlock()
	to.push(l)
	if m.waiting++; m.waiting == 1 {
		m.front = m.place.clock.now()
	}
	idle = !m.running
	m.running = true
	return idle
}

// wake has somebody run the mailbox. A crew takes it as it is, which saves the
// allocation of a method value.
func (m *mailbox) wake() {
	if c := m.place.crew; c != nil {
		c.enqueue(m)
		return
	}
	m.place.dispatcher.Schedule(m.run)
}

// run delivers until there is nothing to deliver.
func (m *mailbox) run() {
	for !m.deliver() { // a panic of the actor ends one round
	}
}

// deliver hands out what is there, and tells whether that was all.
func (m *mailbox) deliver() (all bool) {
	var message any
	defer func() {
		if r := recover(); r != nil {
			m.invoker.EscalateFailure(r, message)
		}
	}()
	for n := m.place.dispatcher.Throughput(); ; n-- {
		if n < 0 {
			n = m.place.dispatcher.Throughput()
			runtime.Gosched()
		}
		l, system := m.take()
		if l == nil {
			return true
		}
		message = l.message
		switch message.(type) {
		case *actor.SuspendMailbox, *actor.ResumeMailbox: // take has done it
		default:
			if system {
				m.invoker.InvokeSystemMessage(message)
			} else {
				m.invoker.InvokeUserMessage(message)
			}
		}
	}
}

// take removes what is due next; nil: nothing is, and the next post wakes.
func (m *mailbox) take() (l *letter, system bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l = m.system.pop(); l != nil {
		switch l.message.(type) {
		case *actor.SuspendMailbox:
			m.suspended = true
		case *actor.ResumeMailbox:
			m.suspended = false
		}
		m.taken()
		return l, true
	}
	if !m.suspended {
		l = m.user.pop()
	}
	if m.running = l != nil; m.running {
		m.taken()
	} else {
		m.began = 0
	}
	return l, false
}

// taken notes that one waits less, and that the next one is foremost. A time for
// each message would be exact where an actor is slow, and cost each a third of
// its letter; where one hangs this is as exact.
func (m *mailbox) taken() {
	m.waiting--
	m.began = m.place.clock.now()
	m.front = m.began
}

// letters are messages in their order: a ring of which the last is known, and
// the first comes behind it. The zero value is empty.
type letters struct{ last *letter }

type letter struct {
	next    *letter
	message any
}

func (q *letters) push(l *letter) {
	if q.last == nil {
		l.next = l
	} else {
		l.next, q.last.next = q.last.next, l
	}
	q.last = l
}

func (q *letters) pop() *letter {
	if q.last == nil {
		return nil
	}
	first := q.last.next
	if first == q.last {
		q.last = nil
	} else {
		q.last.next = first.next
	}
	first.next = nil
	return first
}

func (q *letters) count() (n int) {
	if q.last == nil {
		return 0
	}
	for l := q.last.next; l != q.last; l = l.next {
		n++
	}
	return n + 1
}
