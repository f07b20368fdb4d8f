package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// asked is one question: what the vendor is to answer, and how fast. It is the
// whole text of the question, so client and vendor need no other agreement.
type asked struct {
	N      int           // names the question, once in a run of the fleet test
	Chunks int           // of the answer
	Pace   time.Duration // before each chunk
	First  time.Duration // before the first one, besides its pace
}

// Bounds of a question; the vendor refuses what is beyond.
const (
	maxChunks = 100_000
	maxPace   = 10 * time.Minute
)

// String is the question as it is asked: "q-17 80 100ms 2s".
func (a asked) String() string {
	s := fmt.Sprintf("q-%d %d %s", a.N, a.Chunks, a.Pace)
	if a.First > 0 {
		s += " " + a.First.String()
	}
	return s
}

// parseAsked reads what String wrote.
func parseAsked(s string) (asked, error) {
	fields := strings.Fields(s)
	if len(fields) < 3 || len(fields) > 4 {
		return asked{}, fmt.Errorf("question %q: want `q-<n> <chunks> <pace> [<first>]`", s)
	}
	number, named := strings.CutPrefix(fields[0], "q-")
	var a asked
	var err error
	if a.N, err = strconv.Atoi(number); err != nil || !named || a.N < 0 {
		return asked{}, fmt.Errorf("question %q: %q is no name", s, fields[0])
	}
	if a.Chunks, err = strconv.Atoi(fields[1]); err != nil || a.Chunks < 1 || a.Chunks > maxChunks {
		return asked{}, fmt.Errorf("question %q: chunks %q", s, fields[1])
	}
	if a.Pace, err = time.ParseDuration(fields[2]); err != nil || a.Pace < 0 || a.Pace > maxPace {
		return asked{}, fmt.Errorf("question %q: pace %q", s, fields[2])
	}
	if len(fields) == 4 {
		if a.First, err = time.ParseDuration(fields[3]); err != nil || a.First < 0 || a.First > maxPace {
			return asked{}, fmt.Errorf("question %q: first %q", s, fields[3])
		}
	}
	return a, nil
}

// chunk is the i-th piece of the answer, from 1. It names its question, so text
// that reaches the wrong socket gives itself away, and holds whatever is awkward
// in JSON, UTF-8 and SSE.
func (a asked) chunk(i int) string {
	p := phrases()
	return fmt.Sprintf("[q-%d.%d] %s", a.N, i, p[(a.N+i)%len(p)])
}

// answer is the whole text.
func (a asked) answer() string {
	var b strings.Builder
	for i := range a.Chunks {
		b.WriteString(a.chunk(i + 1))
	}
	return b.String()
}

// lasts is how long the vendor needs for the answer, left alone.
func (a asked) lasts() time.Duration {
	return a.First + time.Duration(a.Chunks)*a.Pace
}

func phrases() []string {
	return []string{
		"the curtain rises, ",
		"Grüße aus Köln – schön, daß ihr da seid; ",
		`"quoted" and \ back\slashed, `,
		"two lines\nand a third\r\nwith a tab\t",
		"漢字かな交じり文、",
		"🎭 and a family 👩‍👩‍👧 ",
		"<b>&amp;</b> </script> ",
		"e\u0301 is two runes, \u2028 ends a line in some places, ",
	}
}

var tagPattern = regexp.MustCompile(`\[q-(\d+)\.\d+\]`)

// foreign returns the name of another question that text carries, if it does.
func (a asked) foreign(text string) (string, bool) {
	own := strconv.Itoa(a.N)
	for _, m := range tagPattern.FindAllStringSubmatch(text, -1) {
		if m[1] != own {
			return "q-" + m[1], true
		}
	}
	return "", false
}
