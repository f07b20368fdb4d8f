package upstream

import "time"

// verdict is what one caller may do now: go, wait or be refused.
type verdict struct {
	err  error
	wait bool
	key  *key          // to go with; nil with a user's own
	next time.Duration // of one who waits: when a rest ends that may end the wait, too
}

// judge decides and changes nothing but the keys' marks. What no rest can change
// is said first: whoever has no key need not come back.
func (l *Line) judge(a *Ask, now time.Duration) verdict {
	s := survey{next: never}
	if !a.User {
		s = l.keys.survey(now, a.Tried, l.settings.RoomPerKey, func(id string) claim { return l.keyRest(now, id, a.Model) })
		if len(l.keys.active) == 0 {
			return verdict{err: ErrNoKey}
		}
		if s.untried == 0 {
			return verdict{err: ErrTriedAll}
		}
	}
	if rest := l.providerRest(now); rest.until > now {
		return verdict{err: &Resting{After: rest.until - now, Why: rest.why}}
	}
	if !a.User && s.ready == 0 {
		return verdict{err: &Resting{After: s.next - now, Why: s.why}}
	}
	if l.settings.Room > 0 && l.inFlight >= l.settings.Room {
		return verdict{wait: true, next: s.next}
	}
	if a.User {
		return verdict{}
	}
	k := l.keys.choose()
	return verdict{key: k, wait: k == nil, next: s.next}
}

// admit lets a caller in who was just judged.
func (l *Line) admit(a *Ask, k *key, now time.Duration) *Call {
	l.inFlight++
	if k != nil {
		l.keys.take(k)
	}
	l.budget.entered(now)
	c := &Call{line: l, key: k, model: a.Model, tag: l.settings.Tag, ticket: l.breaker.enter(now)}
	c.try()
	l.dirty = l.dirty || c.ticket.probe
	return c
}

// settle serves and refuses those who wait, and tells the others where they
// stand. It follows every change, so nobody waits who could go.
func (l *Line) settle(now time.Duration) {
	if l.queue.len == 0 {
		return
	}
	for l.serveNext(now) {
	}
	for i, w := range l.queue.order() {
		w.stand(i + 1)
	}
}

// serveNext lets in the first who can go, and tells whether there was one: the
// order is another one then. Those in front of it who cannot wait any more are
// refused on the way.
func (l *Line) serveNext(now time.Duration) bool {
	for _, w := range l.queue.order() {
		v := l.judge(&w.ask, now)
		deadline := w.deadline(l.settings.Patience)
		switch {
		case v.err != nil:
			l.queue.remove(w)
			w.end(nil, v.err)
		case !v.wait:
			l.queue.serve(w)
			w.end(l.admit(&w.ask, v.key, now), nil)
			return true
		case now >= deadline:
			l.queue.remove(w)
			w.end(nil, ErrPatience)
		default:
			w.wakeAt(min(v.next, deadline))
		}
	}
	return false
}

// keyRest is the rest of a key as a whole or for a model, whoever saw it.
func (l *Line) keyRest(now time.Duration, id, model string) claim {
	if now >= l.own.latest && now >= l.heard.latest {
		return claim{} // the usual case, told without looking for each key
	}
	whole, forModel := mark{key: id}, mark{key: id, model: model}
	return longer(
		longer(l.own.find(now, whole), l.heard.find(now, whole)),
		longer(l.own.find(now, forModel), l.heard.find(now, forModel)),
	)
}

// providerRest is the rest of the provider as a whole, whoever saw it.
func (l *Line) providerRest(now time.Duration) claim {
	heard := l.heard.find(now, mark{provider: true})
	if rest := l.breaker.resting(now); rest > 0 {
		return longer(heard, claim{until: now + rest, why: l.breaker.why()})
	}
	return heard
}
