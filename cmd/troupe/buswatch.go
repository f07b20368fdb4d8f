package main

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/troupe-chat/troupe/bus"
)

// busWatcher passes the bus's ups and downs on to a gateway or a worker, which
// are built after their bus. Safe for concurrent use; the zero value is ready.
type busWatcher struct {
	mu   sync.Mutex
	tree busListener
}

// busListener is what a gateway or a worker is told of its bus.
type busListener interface {
	BusUp()
	BusDown()
}

func (w *busWatcher) up() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tree != nil {
		w.tree.BusUp()
	}
}

func (w *busWatcher) down() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tree != nil {
		w.tree.BusDown()
	}
}

// watch begins with what is so now. It looks under the lock: a change before
// that is seen, one behind it is told.
func (w *busWatcher) watch(tree busListener, connected func() bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tree = tree
	if connected() {
		tree.BusUp()
		return
	}
	tree.BusDown()
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
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "troupe_bus_reconnects_total", Help: "Times that a lost connection to NATS came back.",
		}, func() float64 {
			var n uint64
			for _, b := range buses() {
				n += b.Reconnects()
			}
			return float64(n)
		}),
	)
}
