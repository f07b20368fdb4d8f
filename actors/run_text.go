package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// onPiece numbers a piece of text and tells it to everyone. This is the hot
// path: the text is escaped here, once.
func (r *run) onPiece(ctx actor.Context, text []byte) {
	if r.state != runStreaming {
		return
	}
	if bound := r.worker.cfg.Runs.MaxOutputBytes; r.raw+len(text) > bound {
		text = wholeCharacters(text, bound-r.raw)
		defer r.stopCall(ctx, errTooLong)
	}
	if r.raw == 0 {
		r.sayName()
		defer r.arm(ctx, time.Now()) // from here on the shorter silence counts
	}
	r.raw += len(text)
	r.record.raw = r.raw
	r.scratch = protocol.AppendEscaped(r.scratch[:0], text)
	for rest := r.scratch; len(rest) > 0; {
		n := len(rest)
		if n > r.piece {
			n = protocol.SplitEscaped(rest, r.piece)
		}
		r.say(rest[:n])
		rest = rest[n:]
	}
}

// onReasoned passes on what the model thinks aloud. It is no part of the answer:
// it has no seq, and who misses a piece does not get it again.
func (r *run) onReasoned(text []byte) {
	if r.state != runStreaming {
		return
	}
	r.sayName()
	r.said = time.Now()
	r.scratch = protocol.AppendEscaped(r.scratch[:0], text)
	for rest := r.scratch; len(rest) > 0; {
		n := len(rest)
		if n > r.piece {
			n = protocol.SplitEscaped(rest, r.piece)
		}
		for _, f := range r.record.followers {
			r.worker.speaker.Publish(f.gateway, &bus.Event{Type: bus.EventReasoning, To: f.to, Text: rest[:n]}, false)
		}
		rest = rest[n:]
	}
}

func (r *run) say(escaped []byte) {
	now := time.Now()
	seq := r.script.add(escaped)
	r.record.seq = seq
	if seq == 1 {
		r.worker.metrics.firstToken.Observe(now.Sub(r.called).Seconds())
	} else if gap := now.Sub(r.said); gap > r.gap {
		r.gap = gap
	}
	r.said = now
	r.worker.metrics.chunks.Inc()
	for _, f := range r.record.followers {
		e := bus.Event{Type: bus.EventChunk, To: f.to, Seq: seq, Text: escaped}
		r.worker.speaker.Publish(f.gateway, &e, seq == 1)
	}
}

// wholeCharacters cuts text to at most max bytes without splitting a character.
func wholeCharacters(text []byte, max int) []byte {
	if max <= 0 {
		return nil
	}
	for max > 0 && max < len(text) && text[max]&0xC0 == 0x80 {
		max--
	}
	return text[:min(max, len(text))]
}
