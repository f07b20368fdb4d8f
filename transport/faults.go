package transport

import (
	"errors"
	"io"
	"net/http"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Faults makes this process fail on purpose, for tests. No method blocks.
type Faults interface {
	// Add sets the fault that a JSON body describes. The error is for the
	// operator: it names the field and what is allowed.
	Add(body []byte) (id string, err error)
	// List is the answer of the listing, to be encoded as JSON.
	List() any
	// Clear ends all faults and tells how many there were.
	Clear() int
	// Remove ends one; false where there is none of that id.
	Remove(id string) bool
}

const (
	faultsPath   = "/api/debug/faults"
	maxFaultBody = 4 << 10
)

// faultRoutes exist only where faults are enabled, on http.admin_listen and for
// the bearer of http.admin_token: who breaks a server must have been let in on
// purpose, and not for being taken for somebody on the machine.
func faultRoutes() []route {
	return []route{
		{"GET", faultsPath, areaFaults, plainly((*Server).listFaults)},
		{"POST", faultsPath, areaFaults, plainly((*Server).addFault)},
		{"DELETE", faultsPath, areaFaults, plainly((*Server).clearFaults)},
		{"DELETE", faultsPath + "/{fault_id}", areaFaults, (*Server).removeFault},
	}
}

// withFaults adds the fault routes where there are faults.
func withFaults(table []route, f Faults) []route {
	if f == nil {
		return table
	}
	return append(table, faultRoutes()...)
}

func (s *Server) listFaults(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, s.faults.List())
}

func (s *Server) addFault(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFaultBody))
	if err != nil {
		status, message := http.StatusBadRequest, "The fault could not be read."
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			status, message = http.StatusRequestEntityTooLarge, "A fault has at most 4 KiB."
		}
		answerStatus(w, status, message)
		return
	}
	id, err := s.faults.Add(body)
	if err != nil {
		answerError(w, protocol.NewError(protocol.InvalidMessage, err.Error(), 0))
		return
	}
	answerJSON(w, http.StatusCreated, map[string]string{"id": id})
}

func (s *Server) clearFaults(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, map[string]int{"cleared": s.faults.Clear()})
}

func (s *Server) removeFault(w http.ResponseWriter, _ *http.Request, p params) {
	if !s.faults.Remove(p.fault) {
		answerStatus(w, http.StatusNotFound, "No fault of this id is set: it was cleared, or is over. GET "+faultsPath+" lists them.")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}
