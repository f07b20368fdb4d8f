// Package fault decides where a process that is tested fails on purpose: what
// may be struck by which fault (Catalogue), what was asked for (Spec), and
// whether this very message is struck (Set). It carries nothing out: whoever
// asks does what the Verdict says.
//
// # One line
//
// A fault is one line, in configuration, in scenarios and in the log:
//
//	line    = actor fault *( key "=" value )      parted by white space
//	actor   = a key of the Catalogue: connection, run, bus, …
//	fault   = panic / hang / delay / error / drop / repeat / reorder
//	message = a message's name; "in.event" also means "in.event.chunk"
//	for     = a duration up to 1h; default 10s
//	probability = above 0, up to 1; default 1
//	after   = matching messages that pass first; default 0
//	every   = then each nth; default 1
//	times   = at most so many; default 0 = no bound
//	delay   = a duration up to 1m, of delay (default 100ms) and reorder (50ms)
//	seed    = fixes the draws; default one that is drawn, and shown
//
// as in "connection panic message=chunksArrived probability=0.01 for=1m seed=7".
// The same fields as a JSON object say the same.
//
// # Cost
//
// Decide without an active fault is one atomic load. With one, every message of
// the process passes one mutex: it is for tests.
package fault
