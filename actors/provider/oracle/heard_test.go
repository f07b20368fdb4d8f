package oracle

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// kind is what went wrong, in words that the codes of ours and the errors of
// three libraries can all be put into.
type kind string

const (
	whole       kind = "whole" // nothing went wrong
	badKey      kind = "key"
	limited     kind = "limited"
	notFound    kind = "not found"
	rejected    kind = "rejected"
	unavailable kind = "unavailable"
	broken      kind = "broken" // the answer began and did not end as it should
)

// heard is what one reader made of one answer.
type heard struct {
	text, reasoning string
	model           string
	finish          string // protocol.FinishStop, protocol.FinishLength; "" = the reader was told nothing
	kind            kind
	tokens          tokens
	events          int   // that the library passed on; ours does not count
	err             error // as it came
}

// tokens are counted the way the reader shows them. What a vendor counts beside
// its totals, such as cached input, stands apart here: ours adds it up.
type tokens struct {
	counted             bool
	in, out             int
	besideIn, besideOut int
	estimated           bool
}

func (t tokens) String() string {
	if !t.counted {
		return "nothing"
	}
	about := ""
	if t.estimated {
		about = "about "
	}
	return fmt.Sprintf("%s%d/%d", about, t.in+t.besideIn, t.out+t.besideOut)
}

// fields are what is compared. How an answer ended and who gave it mean nothing
// where there was none, and its tokens only where it is whole.
func (h heard) fields(other heard) map[string]string {
	f := map[string]string{"text": h.text, "kind": string(h.kind), "reasoning": h.reasoning}
	if h.kind == whole && other.kind == whole {
		f["finish"] = h.finish
		f["tokens"] = h.tokens.String()
	}
	if max(h.events, other.events) > 0 {
		f["model"] = h.model
	}
	return f
}

// difference is one thing that ours and the library heard differently.
type difference struct{ field, ours, theirs string }

func (d difference) String() string {
	return fmt.Sprintf("{%q, %q, %q}", d.field, d.ours, d.theirs)
}

// between lists what two readers do not agree on, in the order of the fields.
func between(ours, theirs heard) (all []difference) {
	a, b := ours.fields(theirs), theirs.fields(ours)
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if a[name] != b[name] {
			all = append(all, difference{name, a[name], b[name]})
		}
	}
	return all
}

// kindOfCode puts our codes into the words of both.
func kindOfCode(code protocol.Code) kind {
	switch code {
	case protocol.ProviderUnauthorized:
		return badKey
	case protocol.ProviderRateLimited:
		return limited
	case protocol.UnknownModel:
		return notFound
	case protocol.ProviderRejected:
		return rejected
	case protocol.ProviderUnavailable:
		return unavailable
	case protocol.ProviderInterrupted:
		return broken
	}
	return kind("code " + code)
}

// kindOfStatus is what a status means where a library says no more than that.
func kindOfStatus(status int) kind {
	switch {
	case status == 401, status == 402, status == 403:
		return badKey
	case status == 404:
		return notFound
	case status == 429:
		return limited
	case status >= 500:
		return unavailable
	}
	return rejected
}

// ear is a provider.Sink that remembers.
type ear struct{ text, reasoning strings.Builder }

func (e *ear) Text(piece []byte)      { e.text.Write(piece) }
func (e *ear) Reasoning(piece []byte) { e.reasoning.Write(piece) }
func (e *ear) Progress()              {}

var _ provider.Sink = (*ear)(nil)

// orElse is the first name that was said.
func orElse(known, said string) string { return cmp.Or(known, said) }
