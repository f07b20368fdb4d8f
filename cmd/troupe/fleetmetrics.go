package main

import "github.com/prometheus/client_golang/prometheus"

// registerFleet exports what this process knows of who answers: a gateway how
// many workers it hears, a worker how much it takes. Each role has its own
// family alone, so that a worker never looks like a gateway without workers.
func (a *app) registerFleet() {
	if a.gateway != nil {
		a.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "troupe_workers", Help: "Workers that this gateway hears.",
		}, func() float64 { return float64(a.gateway.actors.Health().Workers) }))
	}
	if a.worker != nil {
		a.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "troupe_runs_limit", Help: "Runs that this worker takes at a time.",
		}, func() float64 { return float64(a.worker.actors.Load().Capacity) }))
	}
}
