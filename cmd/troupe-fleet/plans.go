package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
)

// pace is the vendor's, of every stream.
const pace = 100 * time.Millisecond

// stream draws what most clients do: ask at some moment of the ramp, follow a
// named turn to its end, and after a lost socket go to the other gateway first.
// A tenth of the answers begin late, so that every fault also meets questions
// that were accepted and not begun.
func stream(r *round, rng *dice, ramp time.Duration, chunks [2]int) plan {
	list := r.of(roleGateway)
	home := rng.IntN(len(list))
	p := plan{
		Visitor: stranger(rng), Home: list[home].Name, Start: between(rng.Rand, 0, ramp), Seed: rng.Uint64(),
		Ask:    answer.Question{Model: answer.Model{Words: chunks[0] + rng.IntN(chunks[1]-chunks[0]+1), Pace: pace}},
		Policy: []string{"grace", "continue"}[rng.IntN(2)],
		OwnKey: rng.IntN(4) == 0,
	}
	for i := range list {
		if i != home {
			p.Others = append(p.Others, list[i].Name)
		}
	}
	if rng.IntN(10) == 0 {
		p.Ask.Model.First = 2 * time.Second
	}
	return p
}

// stranger is a visitor of its own for every client: it must not meet a limit
// that another one used up.
func stranger(rng *dice) visitor {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	name := []byte("fleet-................")
	for i := len("fleet-"); i < len(name); i++ {
		name[i] = letters[rng.IntN(len(letters))]
	}
	return visitor{
		Session: string(name),
		Address: fmt.Sprintf("10.%d.%d.%d", rng.IntN(255), rng.IntN(256), 1+rng.IntN(254)),
	}
}

// between draws a duration.
func between(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)+1))
}

// short is a stream of about five seconds, asked within two.
func short(r *round, rng *dice) plan {
	return stream(r, rng, 2*time.Second, [2]int{40, 60})
}

// long is one of up to eight seconds.
func long(r *round, rng *dice) plan {
	return stream(r, rng, 2*time.Second, [2]int{50, 80})
}

// spread asks over ten seconds, so that every part of a rolling restart meets
// beginnings, middles and ends.
func spread(r *round, rng *dice) plan {
	return stream(r, rng, 10*time.Second, [2]int{30, 60})
}

// fickle is a stream of which a tenth are cancelled: before the first chunk,
// after some, and from a second socket at the other gateway.
func fickle(r *round, rng *dice) plan {
	p := short(r, rng)
	if rng.IntN(10) > 0 {
		return p
	}
	p.Cancel = []cancelWhen{cancelEarly, cancelMid, cancelElsewhere}[rng.IntN(3)]
	p.After = 1 + rng.IntN(p.Ask.Model.Words/2)
	return p
}

// leaver is a stream whose client, one in twenty, wants its answer to end with
// its socket and does not come back.
func leaver(r *round, rng *dice) plan {
	p := short(r, rng)
	if rng.IntN(20) == 0 {
		p.Policy, p.Leaves = policyCancel, true
	}
	return p
}

const policyCancel = "cancel"
