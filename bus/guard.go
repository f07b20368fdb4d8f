package bus

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// maxPanicText bounds what is logged of a panic's value.
const maxPanicText = 256

// logPanic writes down what recover returned. Only errors and strings are
// spelled out; any other value is named by its type, as it may hold anything.
func logPanic(log zerolog.Logger, where string, value any) {
	text := fmt.Sprintf("%T", value)
	switch v := value.(type) {
	case error:
		text = v.Error()
	case string:
		text = v
	}
	if len(text) > maxPanicText {
		text = text[:maxPanicText]
	}
	log.Error().Str("where", where).Str("panic", text).Bytes("stack", debug.Stack()).Msg("Bus handler panicked")
}

// seldom lets one in `every` through, for log lines that would repeat.
type seldom struct {
	every time.Duration

	mu     sync.Mutex
	next   time.Time
	folded int
}

// allow tells whether to log now and how many were folded since the last time.
func (s *seldom) allow(now time.Time) (folded int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.next) {
		s.folded++
		return 0, false
	}
	folded, s.folded = s.folded, 0
	s.next = now.Add(s.every)
	return folded, true
}
