package answer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Question is one question and how it is answered.
type Question struct {
	N     int   `json:"n"` // names it, once in a run of the tool
	Model Model `json:"model"`
	Echo  bool  `json:"echo,omitempty"` // the server's own echo answers: the question's words over and over
}

// spices are what is awkward in JSON, UTF-8 and SSE.
func spices() []string {
	return []string{"", "é–ß", `"quoted"`, "漢字", `\back\`, "🎭👩‍👩‍👧", "<b>&amp;</b></script>", "e\u0301"}
}

// breaks end the pieces of a vendor's answer; the echo knows only spaces.
func breaks() []string {
	return []string{" ", "\n", "\r\n", "\t", "、", " \u2028", ";\\ "}
}

// String is the question as it is asked.
func (q Question) String() string {
	var b strings.Builder
	for i := range spices() {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(q.word(i))
	}
	return b.String()
}

// word names the question, so that text which reaches somebody else gives itself
// away.
func (q Question) word(i int) string {
	s := spices()
	return fmt.Sprintf("q%d.%d%s", q.N, i, s[i%len(s)])
}

// Piece is the i-th piece of the answer, from 1 as chunks are counted. A vendor
// numbers its pieces, so that none can stand for another; the echo has only the
// words of the question.
func (q Question) Piece(i int) string {
	if !q.Echo {
		b := breaks()
		return q.word(i) + b[i%len(b)]
	}
	word := q.word((i - 1) % len(spices()))
	if i == q.Model.Words {
		return word
	}
	return word + " "
}

// Whole is the whole text.
func (q Question) Whole() string { return q.Head(q.Model.Words) }

// Head is the text of the first n pieces.
func (q Question) Head(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(q.Piece(i + 1))
	}
	return b.String()
}

var tagPattern = regexp.MustCompile(`\bq([0-9]+)\.[0-9]`)

// Asker reads the number of the question from its text; false where it names
// none.
func Asker(content string) (int, bool) {
	m := tagPattern.FindStringSubmatch(content)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}

// Foreign returns the name of another question that text carries, if it does.
func (q Question) Foreign(text string) (string, bool) {
	own := strconv.Itoa(q.N)
	for _, m := range tagPattern.FindAllStringSubmatch(text, -1) {
		if m[1] != own {
			return "q" + m[1], true
		}
	}
	return "", false
}
