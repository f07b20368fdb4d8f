package chaos

import "github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"

// judgeText: I2.
func (v *verdict) judgeText(w *view) {
	if len(w.Frames) == 0 {
		return
	}
	v.checked["I2"]++
	if i, err := w.Check(turnID, w.heard, w.Resumed()); err != nil {
		f := &w.Frames[i]
		v.add("I2", w.N, f.At, "frame %d (%s): %v", i, f.Type, err)
	}
}

// heard gives every frame with its socket.
func (t *turn) heard(yield func(int, *frames.Body) bool) {
	for i := range t.Frames {
		if !yield(t.Frames[i].Socket, &t.Frames[i].Body) {
			return
		}
	}
}
