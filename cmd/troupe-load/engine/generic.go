package engine

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// generic speaks to a foreign server as the scenario describes it.
type generic struct {
	send            string
	chunk, end, bad matcher
	text, full      []string
	sequence, id    []string
}

func newGeneric(g *scenario.Generic) (*generic, error) {
	if g == nil {
		g = &scenario.Generic{}
	}
	d := &generic{send: g.Send, text: fieldPath(g.Text), full: fieldPath(g.Full), sequence: fieldPath(g.Sequence), id: fieldPath(g.ID)}
	for _, part := range []struct {
		into *matcher
		from scenario.Match
	}{{&d.chunk, g.Chunk}, {&d.end, g.End}, {&d.bad, g.Error}} {
		var err error
		if *part.into, err = newMatcher(part.from); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func fieldPath(dotted string) []string {
	if dotted == "" {
		return nil
	}
	return strings.Split(dotted, ".")
}

// matcher recognises a message. What it asks for must all be there.
type matcher struct {
	field    []string
	equals   string
	contains []byte
	pattern  *regexp.Regexp
}

func newMatcher(m scenario.Match) (out matcher, err error) {
	out = matcher{field: fieldPath(m.Field), equals: m.Equals, contains: []byte(m.Contains)}
	if m.Matches != "" {
		out.pattern, err = regexp.Compile(m.Matches)
	}
	return out, err
}

func (m *matcher) match(b []byte) bool {
	if m.field == nil && len(m.contains) == 0 && m.pattern == nil {
		return false
	}
	if m.field != nil {
		raw, isString, ok := fieldValue(b, m.field)
		if !ok || m.equals != "" && string(raw) != m.equals || m.equals == "" && !isString && string(raw) == "null" {
			return false
		}
	}
	return (len(m.contains) == 0 || bytes.Contains(b, m.contains)) && (m.pattern == nil || m.pattern.Match(b))
}

// parse implements dialect. A message that is nothing of the described is of no
// interest: a foreign server may say what it likes beside its answers.
func (d *generic) parse(b []byte, e *event) {
	if d.id != nil {
		e.id, _, _ = fieldValue(b, d.id)
	}
	switch {
	case d.bad.match(b):
		e.kind, e.code, e.detail = evError, "error", string(b[:min(len(b), 200)])
	case d.end.match(b):
		e.kind = evComplete
		if d.full != nil && d.text != nil { // of what? without its parts there is nothing to compare
			e.full, e.hasFull = textValue(b, d.full)
		}
	case d.chunk.match(b):
		e.kind = evChunk
		if d.text != nil {
			e.text, e.hasText = textValue(b, d.text)
		}
		d.sequenceOf(b, e)
	}
}

// textValue is a field that is a text. The null of a chunk that has no text, only a
// role perhaps, is none.
func textValue(b []byte, path []string) (text []byte, ok bool) {
	raw, isString, ok := fieldValue(b, path)
	if !ok || !isString && string(raw) == "null" {
		return nil, false
	}
	return raw, true
}

// sequenceOf counts from one what a server may count from zero.
func (d *generic) sequenceOf(b []byte, e *event) {
	if d.sequence == nil {
		return
	}
	if raw, _, ok := fieldValue(b, d.sequence); ok {
		if n, size := digits(raw); size > 0 {
			e.seq = n + 1
		}
	}
}

// question implements dialect.
func (d *generic) question(dst []byte, c *client, t *turn) []byte {
	id := strconv.Itoa(t.id)
	r := strings.NewReplacer("{{id}}", id, "{{n}}", id, "{{session}}", c.session, "{{content}}", t.content)
	return append(dst, r.Replace(d.send)...)
}

// cancel implements dialect: nobody knows how.
func (d *generic) cancel(dst []byte, _ *turn) ([]byte, bool) { return dst, false }

// resume implements dialect: nobody knows how.
func (d *generic) resume(dst []byte, _ *client, _ *turn) ([]byte, bool) { return dst, false }
