package bus

import (
	"time"

	"github.com/nats-io/nats.go"
)

// ListenControl hands each word to a run of this worker to h, one at a time,
// with the subject to Reply to. h must not block.
func (b *Bus) ListenControl(worker string, h func(c *Control, reply string)) (*Subscription, error) {
	subject, err := b.subjects.Control(worker)
	if err != nil {
		return nil, err
	}
	in := b.newLane(nil)
	return b.subscribe(subject, "", func(m *nats.Msg) {
		c, err := DecodeControl(m.Data)
		if err != nil || !b.repliesTo(m.Reply, c.Gateway, c.To) {
			b.skipMalformed(m.Subject, 1)
			return
		}
		if in.watched() {
			in.arrive(sortControl, c.Type, func() { h(c, m.Reply) })
			return
		}
		h(c, m.Reply)
	})
}

// Reply answers a job or a control on the subject that came with it. A subject
// that is not a gateway's reply subject is refused.
func (b *Bus) Reply(subject string, r *Reply) error {
	if _, _, ok := b.subjects.parseReply(subject); !ok {
		return ErrToken
	}
	data, err := encode(r)
	if err != nil {
		return err
	}
	return b.say(sortReply, r.Type, subject, data)
}

// repliesTo tells whether a reply subject is that of the asker whom the message
// names. Else a message could make a worker speak anywhere.
func (b *Bus) repliesTo(reply, gateway string, to uint64) bool {
	g, n, ok := b.subjects.parseReply(reply)
	return ok && g == gateway && n == to
}

// Beat says that the process beat.Role and beat.ID lives.
func (b *Bus) Beat(beat *Beat) error {
	subject, err := b.subjects.Beat(beat.Role, beat.ID)
	if err != nil {
		return err
	}
	data, err := encode(beat)
	if err != nil {
		return err
	}
	return b.say(sortBeat, "", subject, data)
}

// Usage says what a run cost. Its name goes along as Nats-Msg-Id, so a JetStream
// stream on the subject keeps each record once.
// https://docs.nats.io/using-nats/developer/develop_jetstream/model_deep_dive#message-deduplication
func (b *Bus) Usage(r *UsageRecord) error {
	data, err := encode(r)
	if err != nil {
		return err
	}
	m := nats.NewMsg(b.subjects.Usage())
	m.Data = data
	m.Header.Set(nats.MsgIdHdr, r.RunHash)
	if b.out.watched() {
		return b.out.leave(sortUsage, "", func() error { return b.publishMsg(m) })
	}
	return b.publishMsg(m)
}

// ListenBeats hands every beat, one's own too, to h with the time of its
// arrival. A beat that names another sender than its subject is skipped: the
// server's permissions guard subjects, not contents. h must not block.
func (b *Bus) ListenBeats(h func(beat *Beat, received time.Time)) (*Subscription, error) {
	in := b.newLane(nil)
	return b.subscribe(b.subjects.Beats(), "", func(m *nats.Msg) {
		received := time.Now()
		beat, err := DecodeBeat(m.Data)
		role, id, ok := b.subjects.parseBeat(m.Subject)
		if err != nil || !ok || beat.Role != role || beat.ID != id {
			b.skipMalformed(b.subjects.Beats(), 1)
			return
		}
		if in.watched() {
			in.arrive(sortBeat, "", func() { h(beat, received) })
			return
		}
		h(beat, received)
	})
}
