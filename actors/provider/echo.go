package provider

import (
	"bytes"
	"context"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// echo streams the question back. It is deterministic: the same question and
// model give the same pieces. Pieces fall due at fixed moments counted from the
// first one, so a late one does not delay those after it.
type echo struct {
	name string
	cfg  Config
}

func newEcho(name string, c Config) *echo {
	if c.DefaultModel == "" {
		c.DefaultModel = "echo"
		if len(c.Models) > 0 {
			c.DefaultModel = c.Models[0]
		}
	}
	return &echo{name: name, cfg: c}
}

// Stream implements Provider. Usage counts words, white space apart, of all
// that was sent and all that was said; it is marked as an estimate because
// words are not tokens. MaxTokens is counted in words too.
func (e *echo) Stream(ctx context.Context, q *Question, sink Sink) (Result, error) {
	name, model, err := e.pick(q.Model)
	if err != nil {
		return unsent(name), err
	}
	res := Result{Finish: protocol.FinishStop, Model: name, Usage: &protocol.Usage{InputTokens: questionWords(q), Estimated: true}}
	s := newSpeech(model, lastQuestion(q), q.MaxTokens)
	beat := newMetronome(model.pace)
	defer beat.stop()
	var at []byte
	for {
		piece, words := s.next()
		if len(piece) == 0 {
			break
		}
		if !beat.wait(ctx) {
			return res, stopped(ctx)
		}
		res.Usage.OutputTokens += words
		if model.clock && words > 0 {
			at = stamped(at[:0], piece, time.Now())
			piece = at
		}
		sink.Text(piece)
	}
	if s.limited() {
		res.Finish = protocol.FinishLength
	}
	return res, nil
}

// pick decides which model answers: its name, and what that means. With an error
// the name is the one that was asked for.
func (e *echo) pick(asked string) (string, echoModel, error) {
	name, err := pickModel(e.name, &e.cfg, asked)
	if err != nil {
		return asked, echoModel{}, err
	}
	model, err := parseEchoModel(name)
	if err != nil {
		err = &protocol.Error{Code: protocol.UnknownModel, Message: "Provider " + e.name + " does not know the model " + quote(name) + ". Its models are " + echoGrammar + "."}
	}
	return name, model, err
}

func lastQuestion(q *Question) string {
	for i := len(q.Messages) - 1; i >= 0; i-- {
		if q.Messages[i].Role == protocol.RoleUser {
			return q.Messages[i].Content
		}
	}
	return ""
}

func questionWords(q *Question) int {
	n := countWords([]byte(q.System))
	for i := range q.Messages {
		n += countWords([]byte(q.Messages[i].Content))
	}
	return n
}

func countWords(text []byte) int {
	n := 0
	for len(text) > 0 {
		size, word := wordLen(text)
		text = text[size:]
		if word {
			n++
		}
	}
	return n
}

// wordLen measures the first piece of text: white space before a word, the
// word, and the white space after it. word is false where text is all blank.
func wordLen(text []byte) (size int, word bool) {
	after := false
	for size < len(text) {
		r, n := utf8.DecodeRune(text[size:])
		switch {
		case unicode.IsSpace(r):
			after = word
		case after:
			return size, true
		default:
			word = true
		}
		size += n
	}
	return size, word
}

// trimmed cuts the white space behind the last word of a shortened answer.
func trimmed(piece []byte) []byte { return bytes.TrimRightFunc(piece, unicode.IsSpace) }

// metronome waits for the moments at which pieces are due: the first at once,
// then one per pace. It has one timer for the whole answer.
type metronome struct {
	pace  time.Duration
	next  time.Time
	timer *time.Timer
}

func newMetronome(pace time.Duration) *metronome {
	m := &metronome{pace: pace}
	if pace > 0 {
		m.next = time.Now()
		m.timer = time.NewTimer(pace)
	}
	return m
}

// wait returns false as soon as ctx ends.
func (m *metronome) wait(ctx context.Context) bool {
	if m.timer == nil {
		return ctx.Err() == nil
	}
	due := time.Until(m.next)
	m.next = m.next.Add(m.pace)
	if due <= 0 {
		return ctx.Err() == nil
	}
	m.timer.Reset(due)
	select {
	case <-m.timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (m *metronome) stop() {
	if m.timer != nil {
		m.timer.Stop()
	}
}
