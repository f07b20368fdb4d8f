package fault

import "time"

// Listed is one fault as operators see it.
type Listed struct {
	ID          string    `json:"id"`
	Actor       string    `json:"actor"`
	Fault       string    `json:"fault"`
	Message     string    `json:"message,omitempty"`
	For         string    `json:"for"`
	Probability float64   `json:"probability"`
	After       int       `json:"after"`
	Every       int       `json:"every"`
	Times       int       `json:"times"`
	Delay       string    `json:"delay,omitempty"`
	Seed        uint64    `json:"seed"`
	Expires     time.Time `json:"expires"`
	Over        bool      `json:"over,omitempty"`
	Met         int       `json:"met"`
	Hit         int       `json:"hit"`
	Last        []Struck  `json:"last"`
}

// Struck is one message that a fault has struck.
type Struck struct {
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Message string    `json:"message"`
}

// List tells of every fault that is set, in the order of setting, and of those
// that ended in the last ten minutes behind them. Met counts matching messages,
// Hit those that were struck; Last holds a fault's share of the newest 1,000 hits
// of all, oldest first.
func (s *Set) List() []Listed {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(time.Now())
	last := map[*active][]Struck{}
	s.hits.each(func(h *hit) {
		last[h.fault] = append(last[h.fault], Struck{At: h.at, Actor: h.actor, Message: h.message})
	})
	list := make([]Listed, 0, len(s.active)+len(s.ended))
	for _, faults := range [][]*active{s.active, s.ended} {
		for _, f := range faults {
			list = append(list, f.listed(last[f]))
		}
	}
	return list
}

func (f *active) listed(last []Struck) Listed {
	if last == nil {
		last = []Struck{}
	}
	l := Listed{
		ID: f.id, Actor: f.spec.Actor, Fault: f.spec.Fault, Message: f.spec.Message, For: short(f.spec.For),
		Probability: f.spec.Probability, After: f.spec.After, Every: f.spec.Every, Times: f.spec.Times, Seed: f.spec.Seed,
		Expires: f.expires, Over: f.isOver, Met: f.met, Hit: f.hit, Last: last,
	}
	if f.spec.Delay != 0 {
		l.Delay = short(f.spec.Delay)
	}
	return l
}

// hit is one message that was struck.
type hit struct {
	fault          *active
	at             time.Time
	actor, message string
}

// ring keeps the newest hits.
type ring struct {
	hits []hit
	next int // where the next one goes, once it is full
}

func (r *ring) put(h hit) {
	if len(r.hits) < keptHits {
		r.hits = append(r.hits, h)
		return
	}
	r.hits[r.next] = h
	r.next = (r.next + 1) % keptHits
}

// each shows them, oldest first.
func (r *ring) each(show func(*hit)) {
	for i := range r.hits {
		show(&r.hits[(r.next+i)%len(r.hits)])
	}
}
