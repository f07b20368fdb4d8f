package faulty

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"unicode"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// CallHeader carries which run a request belongs to and its number in it:
// <run>.<n>.
const CallHeader = "X-Client-Request-Id"

// maxPieces bounds into how many chunks a long question is said back.
const maxPieces = 4096

// vendor answers by the model's name.
type vendor struct {
	once onceTable

	mu    sync.Mutex
	flaps int // questions to flap so far
}

// script is the answer to one question.
func (v *vendor) script(r *Request) Script {
	m, err := ParseModel(r.Model)
	if err != nil {
		return Script{Why: ModelUnknown}
	}
	if refusal, ok := v.refusal(m, r); ok {
		return refusal
	}
	return m.script(r.Text)
}

// refusal is what depends on the questions before.
func (v *vendor) refusal(m Model, r *Request) (Script, bool) {
	switch m.Kind {
	case KindLimitedOnce:
		return Script{Status: http.StatusTooManyRequests, RetryAfter: 1}, v.first(r)
	case KindBrokenOnce:
		return Script{Status: http.StatusInternalServerError}, v.first(r)
	case KindFlap:
		v.mu.Lock()
		defer v.mu.Unlock()
		v.flaps++
		return Script{Status: http.StatusServiceUnavailable}, v.flaps%2 == 0
	}
	return Script{}, false
}

// first tells whether a question comes for the first time. One without the
// header is known by its body, and forgotten when it came again: the same
// words may be asked anew.
func (v *vendor) first(r *Request) bool {
	call := r.Header.Get(CallHeader)
	if i := strings.LastIndexByte(call, '.'); i > 0 {
		return v.once.add(sha256.Sum256([]byte(r.Model + "\x00run\x00" + call[:i])))
	}
	id := sha256.Sum256([]byte(r.Model + "\x00body\x00" + string(r.Body)))
	if v.once.add(id) {
		return true
	}
	v.once.forget(id)
	return false
}

// script is what a model says to a text, as far as that follows from its name.
func (m Model) script(text string) Script {
	words := pieces(text)
	s := Script{Deltas: words, Pace: m.Pace, Usage: &protocol.Usage{InputTokens: len(words), OutputTokens: len(words)}}
	half := (len(words) + 1) / 2
	switch m.Kind {
	case KindLimited:
		return Script{Status: http.StatusTooManyRequests, RetryAfter: 1}
	case KindUnavailable:
		return Script{Status: http.StatusServiceUnavailable}
	case KindTooLong:
		return Script{Why: ContextTooLong}
	case KindReset:
		return Script{Reset: true}
	case KindSilent:
		return Script{Stall: -1}
	case KindSlowFirst:
		s.Before, s.Pace = m.Pace, 0
	case KindCut:
		s.CutPercent = m.Percent
	case KindStall:
		s.StallPercent = 50
	case KindMalformed:
		s.Malformed = true
	case KindNoDone:
		s.NoDone = true
	case KindFiltered:
		s.Deltas, s.Finish, s.Usage.OutputTokens = words[:half], FinishFilter, half
	case KindErrorInStream:
		s.Deltas, s.Fault = words[:half], &Fault{Why: Overloaded}
	}
	return s
}

// pieces cuts a text into its words, each with the white space behind it, and
// puts neighbours together where there are more than maxPieces.
func pieces(text string) []string {
	var words []string
	start, blank := 0, false
	for i, c := range text {
		switch {
		case unicode.IsSpace(c):
			blank = true
		case blank:
			words, start, blank = append(words, text[start:i]), i, false
		}
	}
	if start < len(text) {
		words = append(words, text[start:])
	}
	if len(words) <= maxPieces {
		return words
	}
	each := (len(words) + maxPieces - 1) / maxPieces
	out := make([]string, 0, maxPieces)
	for len(words) > 0 {
		n := min(each, len(words))
		out = append(out, strings.Join(words[:n], ""))
		words = words[n:]
	}
	return out
}
