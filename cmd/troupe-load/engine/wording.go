package engine

import (
	"math/rand/v2"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// wording makes questions, and knows what echoes must answer.
type wording struct {
	models []*model
	text   string // as the body of a JSON string; "" = made up
	plain  int    // words of text, where it is plain
	words  []string
	length scenario.Counts
}

func newWording(q *scenario.Questions) *wording {
	w := &wording{text: quotedBody(q.Text), words: vocabulary(), length: q.Words}
	if q.Text != "" {
		w.plain = plainWords(q.Text)
	}
	for _, name := range q.Models {
		w.models = append(w.models, newModel(q.Provider, name, q.MaxTokens > 0))
	}
	return w
}

// question draws one.
func (w *wording) question(r *rand.Rand) (content string, m *model, want expectation) {
	words := w.plain
	if content = w.text; content == "" {
		words = max(1, w.length.Draw(r))
		content = string(makeUp(nil, w.words, words, r))
	}
	if len(w.models) == 0 {
		return content, nil, expectation{}
	}
	m = w.models[0]
	if len(w.models) > 1 {
		m = w.models[r.IntN(len(w.models))]
	}
	if words > 0 {
		want = m.expect(content, words)
	}
	return content, m, want
}
