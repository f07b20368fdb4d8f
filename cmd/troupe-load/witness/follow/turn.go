package follow

import "time"

// Turn is one client's way through one question, over all its sockets.
type Turn struct {
	ID      string    `json:"id"`
	Asked   time.Time `json:"asked"`            // when it was last said, as long as no run was named
	Stopped time.Time `json:"stopped,omitzero"` // when the client said cancel
	Sockets []Record  `json:"sockets"`
	Resumes []Resume  `json:"resumes,omitempty"`
	GaveUp  string    `json:"gave_up,omitempty"` // a code that was told, or one of the reasons below
}

// Why clients give up; every other reason is a code that they were told.
const (
	Left     = "left"     // they went away, as they were meant to
	Replaced = "replaced" // the socket died before a run was named: the question may be asked anew
	Stopped  = "stopped"  // their context ended first
)

// Record is what is remembered of one socket.
type Record struct {
	Gateway string    `json:"gateway"`
	Opened  time.Time `json:"opened"`
	Closed  time.Time `json:"closed,omitzero"` // zero = open
	Why     string    `json:"why"`
	Own     bool      `json:"own"` // the client itself closed it
}

// Resume is one request to follow a run again.
type Resume struct {
	At     time.Time `json:"at"`
	Socket int       `json:"socket"` // index
	Run    string    `json:"run"`
	After  uint64    `json:"after"` // seq
}

// Gateways are those that the turn's sockets led to, in order.
func (t *Turn) Gateways() (list []string) {
	for _, s := range t.Sockets {
		list = append(list, s.Gateway)
	}
	return list
}

// Resumed are the sockets on which the client asked to go on, in order.
func (t *Turn) Resumed() (sockets []int) {
	for _, r := range t.Resumes {
		sockets = append(sockets, r.Socket)
	}
	return sockets
}
