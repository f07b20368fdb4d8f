package bus_test

import (
	"testing"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/bustest"
)

type counter struct {
	want int
	done chan struct{}
}

func (c *counter) Batch()                   {}
func (c *counter) Reply(uint64, *bus.Reply) {}
func (c *counter) NoResponders(uint64)      {}
func (c *counter) Event(*bus.Event) {
	if c.want--; c.want == 0 {
		close(c.done)
	}
}

// BenchmarkRelay is 256 streams from a worker to a gateway over a real server:
// packed, handed over, decoded.
func BenchmarkRelay(b *testing.B) {
	server := bustest.Server(b)
	gateway, worker := connect(b, to(server.URL(), "troupe"), bus.Options{}), connect(b, to(server.URL(), "troupe"), bus.Options{})
	c := &counter{want: b.N, done: make(chan struct{})}
	if _, err := gateway.ListenGateway("g1", c); err != nil {
		b.Fatal(err)
	}
	flush(b, gateway)
	out := bus.NewOutgoing(worker, 0)
	e := bus.Event{Type: bus.EventChunk, Text: []byte("twenty bytes of text")}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		e.To, e.Seq = uint64(i%256), uint64(i/256+1)
		out.Publish("g1", &e, false)
	}
	<-c.done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/float64(out.Sent()), "events/message")
	if err := out.Close(b.Context()); err != nil || out.Dropped() > 0 {
		b.Fatal(err, out.Dropped())
	}
}
