package chaos

import (
	"slices"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// book holds what clients have seen; anybody may read it meanwhile.
type book struct {
	mu       sync.Mutex
	turns    []*turn
	live     map[int]*follower
	seconds  map[int]*SecondResult
	began    time.Time
	lost     int           // sockets
	breaches int           // that can be seen at once: a key, a second end, text of somebody else
	bound    time.Duration // of a silence that nobody should notice
}

func newBook(bound time.Duration) *book {
	return &book{bound: bound, live: map[int]*follower{}, seconds: map[int]*SecondResult{}, began: time.Now()}
}

// change runs f while nobody else reads or writes turns.
func (b *book) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *book) second(at time.Time) *SecondResult {
	n := max(0, int(at.Sub(b.began)/time.Second))
	s := b.seconds[n]
	if s == nil {
		s = &SecondResult{At: float64(n) * 1000}
		b.seconds[n] = s
	}
	return s
}

func (b *book) begin(f *follower) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turns = append(b.turns, f.turn)
	b.live[f.turn.N] = f
	b.second(time.Now()).Asked++
}

func (b *book) end(f *follower) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.live, f.turn.N)
	f.turn.Done = true
	s := b.second(time.Now())
	switch {
	case slices.ContainsFunc(f.turn.Frames, func(fr frame) bool { return fr.Type == frames.Complete }):
		s.Completed++
	case slices.ContainsFunc(f.turn.Frames, func(fr frame) bool { return fr.Type == frames.Error && fr.Ends(turnID) }):
		s.Errors++
	}
	if len(b.turns) > mostWhole {
		f.turn.fold()
	}
}

// mostWhole is how many turns keep every frame; of later ones only as many as the
// oracle needs are kept, or a long run would fill the memory.
const mostWhole = 5000

// fold joins chunks that follow each other on one socket into one, as a server
// does for a slow reader: what is out of order stays as it is.
func (t *turn) fold() {
	var kept []frame
	for _, f := range t.Frames {
		if f.Type == frames.Status {
			continue
		}
		if last := len(kept) - 1; f.Type == frames.Chunk && f.From == 0 && !f.Key && last >= 0 && kept[last].Type == frames.Chunk &&
			kept[last].Socket == f.Socket && kept[last].Seq+1 == f.Seq {
			if kept[last].From == 0 {
				kept[last].From = kept[last].Seq
			}
			kept[last].Seq = f.Seq
			kept[last].Content += f.Content
			continue
		}
		kept = append(kept, f)
	}
	t.Frames = slices.Clip(kept)
}

func (b *book) frame(t *turn, fr frame) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, found := t.Foreign(fr.Content); found || fr.Key || fr.Ends(turnID) && slices.ContainsFunc(t.Frames, func(f frame) bool { return f.Ends(turnID) }) {
		b.breaches++
	}
	t.Frames = append(t.Frames, fr)
	switch {
	case fr.Type == frames.Accepted:
		t.lastHeard = time.Time{}
		return
	case fr.Type != frames.Chunk && fr.Type != frames.Snapshot && !fr.Ends(turnID):
		return
	}
	if last := t.lastHeard; !last.IsZero() {
		t.Gaps = append(t.Gaps, pulse{At: float32(fr.At.Sub(b.began).Seconds()), Gap: float32(fr.At.Sub(last).Microseconds()) / 1000})
		if fr.At.Sub(last) > b.bound+t.Model.Pace {
			t.Silences = append(t.Silences, gap{last, fr.At})
		}
	}
	t.lastHeard = fr.At
	if fr.Type == frames.Chunk {
		b.second(fr.At).Chunks++
		t.Chunks++
		t.Last = fr.At
		if t.First.IsZero() {
			t.First = fr.At
		}
	}
}

// following lists the clients that are at a turn now.
func (b *book) following() []*follower {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*follower, 0, len(b.live))
	for _, f := range b.live {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *follower) int { return a.turn.N - b.turn.N })
	return all
}
