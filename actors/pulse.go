package actors

import "time"

// Clocks of the beats.
const (
	beatEvery = 500 * time.Millisecond
	beatsLost = 3 * beatEvery // silence after which a peer counts as lost
	ownLate   = 2 * beatEvery // our own beat did not come back: we are the deaf one
	clockJump = time.Second   // between two ticks: we were paused
)

// pulse tells which peers have fallen silent. Only our own beats, heard back
// over the bus, entitle us to judge: who was paused, or lost the bus, declares
// nobody dead, and after a gap every peer gets its three beats afresh. Pure.
type pulse struct {
	ownHeard time.Time
	ticked   time.Time
	peers    map[string]time.Time
}

func newPulse(now time.Time) pulse {
	return pulse{ownHeard: now, ticked: now, peers: map[string]time.Time{}}
}

// own: our own beat came back.
func (p *pulse) own(now time.Time) {
	if now.Sub(p.ownHeard) > ownLate {
		p.pardon(now)
	}
	p.ownHeard = now
}

// heard: a peer lives.
func (p *pulse) heard(id string, now time.Time) { p.peers[id] = now }

// knows tells whether a peer was heard and is not lost.
func (p *pulse) knows(id string) bool {
	_, ok := p.peers[id]
	return ok
}

// forget: a peer said that it leaves.
func (p *pulse) forget(id string) { delete(p.peers, id) }

// tick tells who is lost, and forgets them.
func (p *pulse) tick(now time.Time) (lost []string) {
	jumped := now.Sub(p.ticked) > beatEvery+clockJump
	p.ticked = now
	if jumped {
		p.pardon(now)
		return nil
	}
	if now.Sub(p.ownHeard) > ownLate {
		return nil
	}
	for id, heard := range p.peers {
		if now.Sub(heard) > beatsLost {
			lost = append(lost, id)
			delete(p.peers, id)
		}
	}
	return lost
}

func (p *pulse) pardon(now time.Time) {
	for id := range p.peers {
		p.peers[id] = now
	}
}
