package limit

import (
	"math"
	"time"
)

// attempt is one connect on its way through the windows.
type attempt struct {
	now                    time.Time
	at                     int64
	connects, opens, visit key
	counted                bool          // by the connection window
	named                  bool          // its session is remembered
	left                   time.Duration // until its session is new again; 0 = it is
}

func (w *Windows) attempt(now time.Time, address, session string, opt ConnectOptions) attempt {
	a := attempt{
		now:     now,
		at:      w.clock.nanos(now),
		counted: opt.CountConnection && !w.cfg.Connections.Off(),
		named:   session != "" && !opt.NewSession && !w.cfg.Sessions.Off(),
	}
	if a.counted {
		a.connects = w.table.hasher.key(connects, address, "")
	}
	if a.named {
		a.opens = w.table.hasher.key(opens, address, "")
		a.visit = w.table.hasher.key(visits, address, session)
		a.left = w.left(a.visit, a.at)
		if opt.Connected {
			a.left = math.MaxInt64
		}
	}
	return a
}

// fresh tells whether the session window counts the attempt.
func (a *attempt) fresh() bool { return a.named && a.left == 0 }

// judge asks both windows and changes neither. Nothing is consumed before both
// have agreed, which is why a refused attempt has nothing to give back.
//
// The session window is asked when the session is new, and also when it will be
// by the time the connection window opens: RetryAfter has to be true then.
func (w *Windows) judge(a *attempt) (connection, session Decision) {
	connection, session = Decision{OK: true}, Decision{OK: true}
	if a.counted {
		connection = w.ask(a.connects, Connections, w.cfg.Connections, a.at)
	}
	if a.named && a.left <= connection.RetryAfter {
		session = w.ask(a.opens, Sessions, w.cfg.Sessions, a.at)
	}
	connection.Stamp, session.Stamp = a.now, a.now
	return connection, session
}

// admit consumes.
func (w *Windows) admit(a *attempt) Decision {
	d := Decision{OK: true, Limit: Connections, Rule: w.cfg.Connections, Stamp: a.now}
	d.grant = grant{at: a.at, connection: a.counted, session: a.fresh()}
	if a.counted {
		d.Count = w.stamp(a.connects, connects, w.cfg.Connections, a.at)
	}
	if a.fresh() {
		n := w.stamp(a.opens, opens, w.cfg.Sessions, a.at)
		if !a.counted {
			d.Limit, d.Rule, d.Count = Sessions, w.cfg.Sessions, n
		}
	}
	if a.named {
		d.grant.touch = w.see(a.visit, a.at)
	}
	w.table.fit()
	return d
}

// ask tells whether the key's window has room, and if not, when it will.
func (w *Windows) ask(k key, limit Name, rule Rule, at int64) Decision {
	d := Decision{OK: true, Limit: limit, Rule: rule}
	if rule.Off() {
		return d
	}
	e := w.table.find(k)
	if e == nil {
		return d
	}
	e.window.expire(at, int64(rule.Window))
	d.Count = e.window.len()
	if d.Count < rule.Max {
		return d
	}
	// More than Max stamps are there after a charge or a smaller limit: it is
	// the Max-th newest that has to leave.
	d.OK = false
	d.RetryAfter = rule.Window - time.Duration(at-e.window.at(d.Count-rule.Max))
	return d
}

// stamp enters an event and tells how many the window holds with it.
func (w *Windows) stamp(k key, kd kind, rule Rule, at int64) int {
	e := w.table.find(k)
	if e == nil {
		e = w.table.insert(k, kd)
	}
	e.window.expire(at, int64(rule.Window))
	if e.window.len() >= rule.bound() {
		e.window.popOldest()
	}
	w.table.push(e, at)
	return e.window.len()
}

// takeBack removes an event, and its key when that was all.
func (w *Windows) takeBack(k key, at int64) {
	e := w.table.find(k)
	if e == nil {
		return
	}
	e.window.remove(at)
	if e.window.len() == 0 {
		w.table.forget(k)
	}
}

// left is how long the session will still count as seen; 0 = it does not.
func (w *Windows) left(visit key, at int64) time.Duration {
	e := w.table.find(visit)
	if e == nil {
		return 0
	}
	e.window.expire(at, int64(w.cfg.Sessions.Window))
	if e.window.len() == 0 {
		return 0
	}
	return w.cfg.Sessions.Window - time.Duration(at-e.window.at(0))
}

// see notes that the session was seen, and returns the number of this use.
func (w *Windows) see(visit key, at int64) uint32 {
	e := w.table.find(visit)
	if e == nil {
		e = w.table.insert(visit, visits)
	}
	w.touches++
	e.window, e.touch = window{one: at}, w.touches
	return e.touch
}

// keep is how long events of a kind count.
func (w *Windows) keep(k kind) int64 {
	switch k {
	case connects:
		return int64(w.cfg.Connections.Window)
	case asks:
		return int64(w.cfg.Messages.Window)
	default:
		return int64(w.cfg.Sessions.Window)
	}
}
