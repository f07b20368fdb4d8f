package main

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
)

// pieces is a writer that remembers each write.
type pieces struct {
	mu  sync.Mutex
	all []string
}

func (p *pieces) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, string(b))
	return len(b), nil
}

func (p *pieces) written() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// TestLogPace: a line after a silence is written at once, those behind it
// together, after logPace at the latest and before they are too many.
func TestLogPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out pieces
		p := newPacedWriter(&out)
		say := func(line string) {
			n, err := p.Write([]byte(line))
			require.NoError(t, err)
			require.Equal(t, len(line), n)
		}
		time.Sleep(logPace)
		say("1\n")
		require.Equal(t, []string{"1\n"}, out.written())
		say("2\n")
		time.Sleep(logPace / 2)
		say("3\n")
		require.Len(t, out.written(), 1)
		time.Sleep(logPace / 2)
		synctest.Wait()
		require.Equal(t, []string{"1\n", "2\n3\n"}, out.written())

		time.Sleep(logPace)
		say("4\n")
		require.Len(t, out.written(), 3, "quiet again: at once")
		long := strings.Repeat("x", logPiece-3) + "\n"
		say(long)
		say("5\n")
		require.Equal(t, long+"5\n", out.written()[3], "enough for a piece")
		say("6\n")
		p.flush()
		require.Equal(t, "6\n", out.written()[4])
		p.flush()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, out.written(), 5, "nothing twice, and nothing empty")
	})
}

// A warning takes what waits in front of it along, at once.
func TestWarningsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out pieces
		log, _ := newLogger(&out, config.LogConfig{Level: zerolog.LevelInfoValue, Format: "json"})
		time.Sleep(logPace)
		log.Info().Msg("one")
		log.Info().Msg("two")
		require.Len(t, out.written(), 1)
		log.Warn().Msg("three")
		require.Len(t, out.written(), 2)
		require.Contains(t, out.written()[1], `"two"`)
		require.Contains(t, out.written()[1], `"three"`)
	})
}
