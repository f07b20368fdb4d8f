// Package answer tells beforehand what the answer to a question will be, and
// holds what a client heard against it.
//
// Client and vendor need no other agreement: the question names itself, the
// model says how long and how fast, and both derive the text. Nothing is shared
// with the server.
package answer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Bounds of a model.
const (
	mostWords = 100_000
	mostPace  = 10 * time.Second
)

// Model is how an answer comes: echo-50ms-40w, and before that how it fails, or
// late-2s for one that begins late.
type Model struct {
	Fails string        `json:"fails,omitempty"` // silent, stall, status-429 …; empty = it does not
	First time.Duration `json:"first,omitempty"` // before the first piece, besides its pace; whole milliseconds
	Pace  time.Duration `json:"pace"`            // before each piece
	Words int           `json:"words"`           // pieces in all
}

var modelPattern = regexp.MustCompile(`^(?:([a-z0-9]+(?:-[a-z0-9]+)*?)-)??echo-([0-9a-zµ.]+)-([0-9]+)w$`)

// ParseModel reads the name of a model whose answers can be told beforehand.
func ParseModel(name string) (Model, error) {
	m := modelPattern.FindStringSubmatch(name)
	if m == nil {
		return Model{}, fmt.Errorf("%q is no model whose answer can be told; write echo-<pace>-<words>w, like echo-50ms-40w", name)
	}
	pace, err := time.ParseDuration(m[2])
	words, err2 := strconv.Atoi(m[3])
	if err != nil || err2 != nil || pace < 0 || pace > mostPace || words < 1 || words > mostWords {
		return Model{}, fmt.Errorf("%q: the pace is 0s to 10s, the words are 1 to %d", name, mostWords)
	}
	late, ok := strings.CutPrefix(m[1], "late-")
	if !ok {
		return Model{Fails: m[1], Pace: pace, Words: words}, nil
	}
	first, err := time.ParseDuration(late)
	if err != nil || first < 0 || first > mostPace || first%time.Millisecond != 0 {
		return Model{}, fmt.Errorf("%q: late is 0s to 10s, in whole milliseconds, like late-2s-echo-50ms-40w", name)
	}
	return Model{First: first, Pace: pace, Words: words}, nil
}

// String is the name that ParseModel reads.
func (m Model) String() string {
	how := ""
	switch {
	case m.Fails != "":
		how = m.Fails + "-"
	case m.First > 0:
		how = fmt.Sprintf("late-%dms-", m.First.Milliseconds())
	}
	return fmt.Sprintf("%secho-%s-%dw", how, m.Pace, m.Words)
}

// Lasts is how long the answer takes, left alone.
func (m Model) Lasts() time.Duration { return m.First + time.Duration(m.Words)*m.Pace }
