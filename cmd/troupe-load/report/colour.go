package report

import "os"

// colour is how a word stands out.
type colour string

const (
	bold   colour = "1"
	dim    colour = "2"
	red    colour = "31"
	yellow colour = "33"
	cyan   colour = "36"
)

// plainAgain ends every colour.
const plainAgain = "\x1b[0m"

// palette colours words, or leaves them as they are.
type palette bool

// wanted tells whether the environment wants colours (no-color.org).
func wanted() palette { return os.Getenv("NO_COLOR") == "" }

func (p palette) paint(c colour, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + plainAgain
}
