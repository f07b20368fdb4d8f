package actors

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
)

// TestGather: chunks of one message of the bus come to each turn together and in
// their order, whoever spoke between them; turns that share a slot send each other
// off, and nobody else's chunks are lost or kept.
func TestGather(t *testing.T) {
	g := &gather{gateway: &Gateway{followers: newFollowers()}}
	var got []*chunksArrived
	follow := func(to uint64) {
		box := &mailbox{}
		box.RegisterHandlers(&invoker{on: func(m any) { got = append(got, m.(*chunksArrived)) }}, actor.NewSynchronizedDispatcher(crewTurn))
		g.gateway.followers.byTo[to] = &follower{box: box}
	}
	const one, two, same = 7, 8, 7 + gatherSlots
	for _, to := range []uint64{one, two, same} {
		follow(to)
	}
	chunk := func(to uint64, seq uint64) {
		g.add(&bus.Event{Type: bus.EventChunk, To: to, Seq: seq, Text: []byte{byte(seq)}})
	}
	type came struct {
		to   uint64
		seqs []uint64
	}
	flush := func() (all []came) {
		g.send()
		for _, m := range got {
			c := came{to: m.to}
			for _, a := range m.chunks {
				require.Equal(t, []byte{byte(a.seq)}, a.text)
				c.seqs = append(c.seqs, a.seq)
			}
			all = append(all, c)
			g.done(m)
		}
		got = nil
		return all
	}

	for seq := range uint64(3) {
		chunk(one, seq+1)
		chunk(two, seq+1)
		chunk(99, seq+1) // nobody
	}
	require.Empty(t, got, "nothing before the message is at its end")
	require.Equal(t, []came{{one, []uint64{1, 2, 3}}, {two, []uint64{1, 2, 3}}}, flush())
	require.Empty(t, flush())

	chunk(one, 4)
	chunk(same, 1)
	chunk(same, 2)
	chunk(one, 5)
	require.Equal(t, []came{{one, []uint64{4}}, {same, []uint64{1, 2}}, {one, []uint64{5}}}, flush())

	chunk(two, 4)
	delete(g.gateway.followers.byTo, two)
	require.Equal(t, []came{{two, []uint64{4}}}, flush(), "its connection knows what is late")
	chunk(two, 5)
	require.Empty(t, flush())
	require.Empty(t, g.used)
}
