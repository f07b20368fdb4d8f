package bus

import (
	"context"
	"testing"

	"github.com/rs/zerolog"
)

// BenchmarkOutgoing is 256 streams to 4 gateways without the network: what an
// event costs its run, and how many share a message.
func BenchmarkOutgoing(b *testing.B) {
	flush := func(context.Context) error { return nil }
	publish := func(string, []byte) error { return nil }
	o := newOutgoing(zerolog.Nop(), publish, func() int { return 1 << 20 }, flush, 0)
	gateways := []string{"gateway-1", "gateway-2", "gateway-3", "gateway-4"}
	e := Event{Type: EventChunk, Text: []byte("twenty bytes of text")}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		e.To, e.Seq = uint64(n%256), uint64(n/256+1)
		o.Publish(gateways[n%len(gateways)], &e, false)
	}
	if err := o.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/float64(max(1, o.Sent())), "events/message")
}
