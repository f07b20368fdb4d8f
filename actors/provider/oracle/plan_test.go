package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf16"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
)

// plan is a random answer, before a wire spells it.
type plan struct {
	random *rand.Rand
	said   []utterance
	finish string // faulty.FinishStop and so on
	usage  bool
	in     int // what the wire counts as input
	beside int // what it counts beside that: cached input, or input of a tool
	out    int
	think  int // of or beside out, as the wire wants
	noise  bool
	end    string // of lines
	space  string // behind the colon of a field
}

// utterance is one piece of text as the inside of a JSON string.
type utterance struct {
	thought bool
	body    string
}

func newPlan(r *rand.Rand, wire faulty.Wire) *plan {
	p := &plan{
		random: r, finish: pick(r, faulty.FinishStop, faulty.FinishStop, faulty.FinishLength, faulty.FinishFilter),
		usage: r.IntN(4) > 0, in: r.IntN(5000), beside: r.IntN(3000), out: 1 + r.IntN(900), think: 1 + r.IntN(400),
		noise: wire != faulty.Gemini && r.IntN(2) == 0, end: pick(r, "\n", "\r\n"), space: pick(r, " ", " ", ""),
	}
	thought := r.IntN(2) == 0
	for range r.IntN(40) {
		if r.IntN(5) == 0 {
			thought = !thought
		}
		p.said = append(p.said, utterance{thought: thought, body: p.text()})
	}
	return p
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// text is the inside of a JSON string of up to a dozen characters, each spelled
// in one of the ways that JSON has for it.
func (p *plan) text() string {
	var b strings.Builder
	for range p.random.IntN(13) {
		p.spell(&b, p.character())
	}
	return b.String()
}

// lone stands for half of a surrogate pair.
const lone rune = -1

func (p *plan) character() rune {
	r := p.random
	switch r.IntN(9) {
	case 0:
		return rune(r.IntN(0x20)) // controls
	case 1:
		return pick(r, '"', '\\', '/', '<', '&', 0x7f)
	case 2:
		return 0x80 + rune(r.IntN(0xd800-0x80))
	case 3:
		return 0xe000 + rune(r.IntN(0x2000))
	case 4:
		return 0x10000 + rune(r.IntN(0x100000))
	case 5:
		return pick(r, '\u2028', '\u2029', '\ufeff', '\ufffd', '\uffff', '\u0301', '\u200d')
	case 6:
		return lone
	default:
		return ' ' + rune(r.IntN(0x7f-' '))
	}
}

// spell writes c. Half a pair has a letter behind it, since how it meets another
// escape is one of the known differences.
func (p *plan) spell(b *strings.Builder, c rune) {
	short := map[rune]string{'"': `\"`, '\\': `\\`, '/': `\/`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	way := p.random.IntN(3)
	switch s, ok := short[c]; {
	case c == lone:
		fmt.Fprintf(b, `\u%04xx`, 0xd800+p.random.IntN(0x800))
	case ok && way > 0:
		b.WriteString(s)
	case way == 0 || c < ' ' || c == '"' || c == '\\':
		form := pick(p.random, `\u%04x`, `\u%04X`)
		for _, unit := range utf16.Encode([]rune{c}) {
			fmt.Fprintf(b, form, unit)
		}
	default:
		b.WriteRune(c)
	}
}

// events spells the plan on a wire, the last event being the one that ends it.
func (p *plan) events(wire faulty.Wire) []string {
	switch wire {
	case faulty.OpenAI:
		return p.openAI()
	case faulty.Anthropic:
		return p.anthropic()
	default:
		return p.gemini()
	}
}

// event is one event of the stream, with noise before it where the plan has any.
func (p *plan) event(name, data string) string {
	var b strings.Builder
	line := func(field, value string) { b.WriteString(field + ":" + p.space + value + p.end) }
	for p.noise && p.random.IntN(3) == 0 {
		switch p.random.IntN(5) {
		case 0:
			line("", "still here")
		case 1:
			b.WriteString(p.end)
		case 2:
			line("id", fmt.Sprint(p.random.IntN(100)))
		case 3:
			line("retry", "3000")
		case 4:
			line("mood", "good")
		}
	}
	if name != "" {
		line("event", name)
	}
	if head, rest, ok := strings.Cut(data, ","); ok && p.noise && p.random.IntN(4) == 0 {
		line("data", head+",")
		data = rest
	}
	line("data", data)
	b.WriteString(p.end)
	return b.String()
}

// script serves the events in pieces of a random size.
func (p *plan) script(events []string) faulty.Script {
	piece := 0
	switch p.random.IntN(10) {
	case 0:
		piece = 1
	case 1, 2, 3:
		piece = 2 + p.random.IntN(30)
	case 4, 5, 6:
		piece = 32 + p.random.IntN(400)
	}
	return faulty.Script{Raw: []byte(strings.Join(events, "")), Piece: piece}
}
