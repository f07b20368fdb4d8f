package transport

import (
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// prober is asked by /readyz.
type prober interface {
	// Ready tells whether work may be sent here; the string says why not.
	Ready() (bool, string)
}

// Worker is what a worker's own port asks of it. No method blocks.
type Worker interface {
	Health() protocol.WorkerHealth
	Ready() (bool, string)
}

// OperatorOptions is what a worker's Server is made of.
type OperatorOptions struct {
	HTTP      HTTPConfig      // admin_listen, which must be set, admin_token and tls; the rest is a gateway's
	WebSocket WebSocketConfig // handshake_timeout bounds the headers of a request
	Worker    Worker
	Tree      Tree
	Log       zerolog.Logger
	Registry  *prometheus.Registry // private; nil = one of its own
	Version   string
	Faults    Faults // nil = there are none, and no address for them
}

// NewOperator builds the server of a process that has operators and no
// clients: probes, health, metrics, the living actors and what faults there are on
// http.admin_listen, nothing else. It starts, drains and stops as a gateway's
// does.
func NewOperator(o OperatorOptions) (*Server, error) {
	if o.HTTP.AdminListen == "" {
		return nil, errors.New("http.admin_listen: is empty; a worker listens nowhere else, so give it host:port, as in 127.0.0.1:9000")
	}
	s, err := newServer(Options{
		HTTP: o.HTTP, WebSocket: o.WebSocket, Log: o.Log, Registry: o.Registry, Version: o.Version, Faults: o.Faults,
	}, HTTPConfig.ForWorker, withFaults(workerRoutes(), o.Faults), o.Worker)
	if err != nil {
		return nil, err
	}
	s.worker, s.tree = o.Worker, o.Tree
	return s, nil
}

// ForGateway is what a gateway obeys: the whole.
func (c HTTPConfig) ForGateway() HTTPConfig { return c }

// ForWorker is what a worker obeys: it has a port for operators alone, and that
// only where admin_listen is set.
func (c HTTPConfig) ForWorker() HTTPConfig {
	if c.AdminListen == "" {
		return HTTPConfig{}
	}
	return HTTPConfig{AdminListen: c.AdminListen, AdminToken: c.AdminToken, TLS: c.TLS}
}

// workerRoutes is the whole outside of a worker, besides faults.
func workerRoutes() []route {
	return []route{
		{"GET", "/api/health", areaOpen, plainly((*Server).workerHealth)},
		{"GET", "/livez", areaOpen, plainly((*Server).livez)},
		{"GET", "/readyz", areaOpen, plainly((*Server).readyz)},
		{"GET", actorsPath, areaOperator, plainly((*Server).actors)},
		{"GET", "/metrics", areaOperator, plainly((*Server).metrics)},
	}
}

// WorkerRoutes lists every address of a worker for the documentation and its
// test.
func WorkerRoutes() []Route { return listed(append(workerRoutes(), faultRoutes()...)) }

// workerHealth tells people how the worker is. It is 503 only where it cannot
// take a question: while draining and without a bus. A full one is well.
func (s *Server) workerHealth(w http.ResponseWriter, _ *http.Request) {
	h := s.worker.Health()
	if s.draining.Load() {
		h.Status = statusDraining
	}
	status := http.StatusOK
	if h.Status == statusDraining || h.Bus == busDown {
		status = http.StatusServiceUnavailable
	}
	answerJSON(w, status, h)
}
