package main

import "github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"

// judgeText: I2.
func (v *verdict) judgeText(w *view) {
	if i, err := w.Ask.Check(w.ID, w.heard, w.Resumed()); err != nil {
		v.add(inv2, w.Ask.N, "frame %d (%s): %v", i, w.bodies[i].Type, err)
	}
}

// heard gives every frame with its socket.
func (w *view) heard(yield func(int, *frames.Body) bool) {
	for i := range w.bodies {
		if !yield(w.Frames[i].Socket, &w.bodies[i]) {
			return
		}
	}
}

// judgeOwner: I9.
func (v *verdict) judgeOwner(w *view) bool {
	for i, b := range w.bodies {
		if other, found := w.Ask.Foreign(b.Content + b.Text()); found {
			v.add(inv9, w.Ask.N, "frame %d (%s) holds text of %s", i, b.Type, other)
			return false
		}
	}
	return true
}
