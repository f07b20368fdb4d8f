package actors

import (
	"sync/atomic"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// workerBus is what a worker knows of its bus. Safe for concurrent use.
type workerBus struct {
	everUp atomic.Bool  // the bus was there at least once
	down   atomic.Int64 // the moment since when; 0 = up, or not watched yet
}

// BusUp and BusDown are called by whoever holds the bus, from any goroutine;
// neither blocks. A worker that is back says so at once: until a gateway hears
// it, its runs are lost ones and their clients wait.
func (w *Worker) BusUp() {
	w.link.everUp.Store(true)
	w.link.down.Store(0)
	_ = w.bus.Beat(w.beat(time.Now())) // down again already: the next one speaks
}

// BusDown remembers since when.
func (w *Worker) BusDown() { w.link.down.CompareAndSwap(0, int64(w.sys.moment(time.Now()))) }

// busAway tells whether the bus is away, and since when.
func (w *Worker) busAway() (away bool, since time.Time) {
	m := moment(w.link.down.Load())
	return m != 0 || !w.link.everUp.Load(), w.sys.at(m)
}

// Ready tells an orchestrator whether jobs can come here. A full worker is
// ready: it is the bus that sends jobs elsewhere.
func (w *Worker) Ready() (bool, string) {
	if w.draining.Load() {
		return false, "draining"
	}
	if !w.link.everUp.Load() {
		return false, "waiting for the first connection to the message bus"
	}
	if away, since := w.busAway(); away && time.Since(since) > busPatience {
		return false, "no connection to the message bus"
	}
	return true, ""
}

// Health is what people and dashboards ask.
func (w *Worker) Health() protocol.WorkerHealth {
	h := protocol.WorkerHealth{
		Role: protocol.RoleWorker, ID: w.id, Status: "ok", Version: w.cfg.Version, Bus: "ok",
		Active: w.Active(), Capacity: w.cfg.Worker.MaxRuns,
	}
	if away, _ := w.busAway(); away {
		h.Bus, h.Status = "down", "degraded"
	}
	if h.Pressure = int(w.sys.Pressed().Stage); h.Pressure > 0 {
		h.Status = "degraded"
	}
	if w.draining.Load() {
		h.Status = "draining"
	}
	return h
}
