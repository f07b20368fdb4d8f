package actors

import "time"

// Clocks of the beats.
const (
	beatEvery    = 500 * time.Millisecond
	lookEvery    = beatEvery / 2         // how often a roster judges
	beatsLost    = 3 * beatEvery         // silence after which a peer counts as lost
	suspectAfter = beatEvery + lookEvery // silence after which a peer is probed
	probesFailed = 2                     // in a row: nobody listens where the peer should
	ownLate      = 2 * beatEvery         // our own beat did not come back: we are the deaf one
	clockJump    = time.Second           // between two looks: we were paused
)

// pulse tells which peers have fallen silent. Only our own beats, heard back
// over the bus, entitle us to judge: who was paused, or lost the bus, declares
// nobody dead, and after a gap every peer gets its three beats afresh. Pure.
type pulse struct {
	ownHeard time.Time
	looked   time.Time
	peers    map[string]sign
}

// sign is the last of a peer.
type sign struct {
	heard  time.Time
	failed int // probes since then that met nobody
}

func newPulse(now time.Time) pulse {
	return pulse{ownHeard: now, looked: now, peers: map[string]sign{}}
}

// own: our own beat came back. It tells whether that was late.
func (p *pulse) own(now time.Time) (late bool) {
	if late = now.Sub(p.ownHeard) > ownLate; late {
		p.pardon(now)
	}
	p.ownHeard = now
	return late
}

// heard: a peer lives.
func (p *pulse) heard(id string, now time.Time) { p.peers[id] = sign{heard: now} }

// knows tells whether a peer was heard and is not lost.
func (p *pulse) knows(id string) bool {
	_, ok := p.peers[id]
	return ok
}

// forget: a peer said that it leaves.
func (p *pulse) forget(id string) { delete(p.peers, id) }

// look tells who is lost, and forgets them, and whose silence deserves a probe.
func (p *pulse) look(now time.Time) (lost, suspects []string) {
	jumped := now.Sub(p.looked) > lookEvery+clockJump
	p.looked = now
	if jumped {
		p.pardon(now)
		return nil, nil
	}
	if !p.entitled(now) {
		return nil, nil
	}
	for id, s := range p.peers {
		switch silence := now.Sub(s.heard); {
		case silence > beatsLost:
			lost = append(lost, id)
			delete(p.peers, id)
		case silence > suspectAfter:
			suspects = append(suspects, id)
		}
	}
	return lost, suspects
}

// entitled tells whether we hear ourselves.
func (p *pulse) entitled(now time.Time) bool { return now.Sub(p.ownHeard) <= ownLate }

// unreachable: nobody listened where a probe went. It tells whether the peer is
// lost by that, and forgets it then. Once is not enough: a peer that changes its
// server is away from the bus for a moment.
func (p *pulse) unreachable(id string, now time.Time) (lost bool) {
	s, ok := p.peers[id]
	if !ok || !p.entitled(now) || now.Sub(s.heard) <= suspectAfter {
		return false
	}
	s.failed++
	p.peers[id] = s
	if s.failed < probesFailed {
		return false
	}
	delete(p.peers, id)
	return true
}

func (p *pulse) pardon(now time.Time) {
	for id := range p.peers {
		p.peers[id] = sign{heard: now}
	}
}
