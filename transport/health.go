package transport

import (
	"net/http"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Words of protocol.Health.
const (
	statusDraining = "draining"
	busDown        = "down"
)

// health tells people how the server is. It is 503 only when no chat can
// work: while draining, without a bus, and where no worker lives.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	h := s.gw.Health()
	if h.Version == "" {
		h.Version = s.version
	}
	if s.draining.Load() {
		h.Status = statusDraining
	}
	status := http.StatusOK
	if h.Status == statusDraining || h.Bus == busDown || h.Workers == 0 {
		status = http.StatusServiceUnavailable
	}
	answerJSON(w, status, h)
}

// livez asks nobody: a process that answers lives.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

type readiness struct {
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	answer := readiness{Reason: "this server is being withdrawn"}
	if !s.notReady.Load() && !s.draining.Load() {
		answer.Ready, answer.Reason = s.probed.Ready()
	}
	if answer.Ready {
		answerJSON(w, http.StatusOK, readiness{Ready: true})
		return
	}
	answerJSON(w, http.StatusServiceUnavailable, answer)
}

func (s *Server) providers(w http.ResponseWriter, _ *http.Request) {
	offers := append([]protocol.Offer{}, s.gw.Offers()...)
	for i := range offers {
		if offers[i].Models == nil {
			offers[i].Models = []string{}
		}
	}
	answerJSON(w, http.StatusOK, map[string][]protocol.Offer{"providers": offers})
}
