package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// terminal is as much of a terminal as a picture needs: it wraps, scrolls,
// moves and clears, and fails the test at anything else.
type terminal struct {
	t          *testing.T
	cols, rows int
	screen     [][]rune
	x, y       int
	hidden     bool // the cursor
	coloured   bool // anything so far
	writes     int
}

func newTerminal(t *testing.T, cols, rows int) *terminal {
	return &terminal{t: t, cols: cols, rows: rows, screen: [][]rune{nil}}
}

func (m *terminal) size() (cols, rows int) { return m.cols, m.rows }

func (m *terminal) Write(p []byte) (int, error) {
	m.writes++
	text := []rune(string(p))
	for i := 0; i < len(text); i++ {
		switch r := text[i]; {
		case r == '\r':
			m.x = 0
		case r == '\n':
			m.down()
		case r == '\x1b':
			end := i + 2
			for !strings.ContainsRune("ABCDEFGHJKSTfhlmnsu", text[end]) {
				end++
			}
			m.obey(string(text[i+1 : end+1]))
			i = end
		case r < ' ':
			require.Failf(m.t, "a control character reached the terminal", "%q", r)
		default:
			m.put(r)
		}
	}
	return len(p), nil
}

func (m *terminal) down() {
	if m.y++; m.y == len(m.screen) {
		m.screen = append(m.screen, nil)
	}
}

func (m *terminal) put(r rune) {
	if m.x+across(r) > m.cols {
		m.x = 0
		m.down()
	}
	row := m.screen[m.y]
	for len(row) < m.x+across(r) {
		row = append(row, ' ')
	}
	row[m.x] = r
	m.screen[m.y] = row
	m.x += across(r)
}

func (m *terminal) obey(sequence string) {
	var up int
	switch {
	case sequence == "[?25l":
		m.hidden = true
	case sequence == "[?25h":
		m.hidden = false
	case sequence == "[K":
		m.screen[m.y] = m.screen[m.y][:min(m.x, len(m.screen[m.y]))]
	case sequence == "[J":
		m.screen[m.y] = m.screen[m.y][:min(m.x, len(m.screen[m.y]))]
		m.screen = m.screen[:m.y+1]
	case strings.HasSuffix(sequence, "m"):
		m.coloured = true
	default:
		_, err := fmt.Sscanf(sequence, "[%dA", &up)
		require.NoError(m.t, err, "an unknown sequence reached the terminal: %q", sequence)
		require.Less(m.t, up, m.rows, "the cursor cannot go above the screen")
		m.y = max(m.y-up, 0)
	}
}

// resize wraps long rows anew, as terminals do.
func (m *terminal) resize(cols int) {
	old := m.screen
	m.screen, m.cols = nil, cols
	for _, row := range old {
		for len(row) > cols {
			m.screen = append(m.screen, row[:cols:cols])
			row = row[cols:]
		}
		m.screen = append(m.screen, row)
	}
	m.y = len(m.screen) - 1
}

// String is what stands on the screen.
func (m *terminal) String() string {
	var b strings.Builder
	for _, row := range m.screen {
		b.WriteString(strings.TrimRight(string(row), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
