package actors

import "time"

// What became of a job.
const (
	jobTaken    = "taken"    // it is a run, or nobody has said yet what becomes of it
	jobDeclined = "declined" // turned down, or not to be taken any more
)

// repeats are the names of the jobs of the last jobsKept, and at most of twice
// that, with what became of them. They are forgotten a generation at a time: a map
// that names come and go in one by one would stay as large as it ever was. The zero
// value is empty.
type repeats struct {
	young, old map[string]string
	turned     time.Time // when young began
}

// seen notes a name, with this fate where it is new, and tells whether it was here
// before.
func (r *repeats) seen(name, fate string, now time.Time) bool {
	r.turn(now)
	known := r.get(name)
	if known != "" {
		fate = known
	}
	r.put(name, fate)
	return known != ""
}

// get tells what became of a job; empty if it is not known.
func (r *repeats) get(name string) string {
	if fate, ok := r.young[name]; ok {
		return fate
	}
	return r.old[name]
}

func (r *repeats) put(name, fate string) {
	if r.young == nil {
		r.young = map[string]string{}
	}
	r.young[name] = fate
}

// turn lets a generation go when it is time.
func (r *repeats) turn(now time.Time) {
	switch age := now.Sub(r.turned); {
	case age <= jobsKept:
		return
	case age <= 2*jobsKept:
		r.old = r.young
	default:
		r.old = nil
	}
	r.young, r.turned = nil, now
}
