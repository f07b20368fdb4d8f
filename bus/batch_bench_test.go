package bus

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// packer adds chunks as 256 streams to some gateways do, every 64th followed by
// a message to each: take, send, release.
type packer struct {
	b        *batcher
	gateways []string
	spare    []*batch
	now      time.Time
	n        int
	event    Event
}

func newPacker(gateways int) *packer {
	p := &packer{b: newBatcher(1 << 20), now: time.Unix(1000, 0), event: Event{Type: EventChunk, Text: []byte("twenty bytes of text")}}
	for i := range gateways {
		p.gateways = append(p.gateways, fmt.Sprint("gateway-", i))
	}
	return p
}

// add is one chunk; time goes on as at 100,000 of them a second.
func (p *packer) add() {
	p.n++
	p.now = p.now.Add(10 * time.Microsecond)
	p.event.To, p.event.Seq = uint64(p.n%256), uint64(p.n/256+1)
	if !p.b.add(p.now, p.gateways[p.n%len(p.gateways)], &p.event, false, 1<<20) {
		panic("no room")
	}
	if p.n%64 == 0 {
		taken := p.b.take(p.spare)
		for _, t := range taken {
			p.b.release(t)
		}
		clear(taken)
		p.spare = taken
	}
}

func TestBatcherAllocatesNothing(t *testing.T) {
	for _, gateways := range []int{1, 4} {
		p := newPacker(gateways)
		messages := func() {
			for range 256 {
				p.add()
			}
		}
		messages() // buffers and lists come to their size
		require.Zero(t, testing.AllocsPerRun(20, messages), "gateways=%d", gateways)
	}
}

// BenchmarkBatcher is one event into a batch, with its share of a message.
func BenchmarkBatcher(b *testing.B) {
	for _, gateways := range []int{1, 4} {
		b.Run(fmt.Sprintf("add/gateways=%d", gateways), func(b *testing.B) {
			p := newPacker(gateways)
			b.SetBytes(int64(len(p.event.Text)))
			b.ReportAllocs()
			for b.Loop() {
				p.add()
			}
		})
	}
}
