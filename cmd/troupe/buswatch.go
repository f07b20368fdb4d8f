package main

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/bus"
)

// busWatcher passes the bus's ups and downs on to a gateway that is built after
// its bus. Safe for concurrent use; the zero value is ready.
type busWatcher struct {
	mu      sync.Mutex
	gateway *actors.Gateway
}

func (w *busWatcher) up() {
	if g := w.target(); g != nil {
		g.BusUp()
	}
}

func (w *busWatcher) down() {
	if g := w.target(); g != nil {
		g.BusDown()
	}
}

func (w *busWatcher) target() *actors.Gateway {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gateway
}

// watch begins with what is known now.
func (w *busWatcher) watch(g *actors.Gateway, connected bool) {
	w.mu.Lock()
	w.gateway = g
	w.mu.Unlock()
	if connected {
		g.BusUp()
		return
	}
	g.BusDown()
}

// registerBus exports what the bus knows of itself.
func registerBus(r prometheus.Registerer, buses func() []*bus.Bus) {
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "troupe_bus_connected", Help: "1 while every connection to NATS is up.",
		}, func() float64 {
			for _, b := range buses() {
				if !b.Connected() {
					return 0
				}
			}
			return 1
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "troupe_bus_dropped_total", Help: "Messages that NATS subscriptions dropped above their pending limits.",
		}, func() float64 {
			var n uint64
			for _, b := range buses() {
				n += b.Dropped()
			}
			return float64(n)
		}),
	)
}
