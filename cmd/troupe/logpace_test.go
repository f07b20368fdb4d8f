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

// TestLogPace: lines are written together, after logPace at the latest and before
// they are too many, and never on the goroutine of whoever says them.
func TestLogPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out pieces
		p := newPacedWriter(&out)
		say := func(line string) {
			n, err := p.Write([]byte(line))
			require.NoError(t, err)
			require.Equal(t, len(line), n)
		}
		say("1\n")
		require.Empty(t, out.written(), "whoever says it does not write")
		time.Sleep(logPace / 2)
		say("2\n")
		time.Sleep(logPace / 2)
		synctest.Wait()
		require.Equal(t, []string{"1\n2\n"}, out.written())

		time.Sleep(logPace)
		long := strings.Repeat("x", logPiece-3) + "\n"
		say(long)
		say("3\n")
		require.Equal(t, long+"3\n", out.written()[1], "enough for a piece")
		say("4\n")
		p.flush()
		require.Equal(t, "4\n", out.written()[2])
		p.flush()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, out.written(), 3, "nothing twice, and nothing empty")
	})
}

// stopped is a writer whose reader has stopped until it is let go on.
type stopped struct {
	pieces
	once  sync.Once
	begun chan struct{} // closed at the first write
	gate  chan struct{} // closed to let go on
}

func (g *stopped) Write(b []byte) (int, error) {
	g.once.Do(func() { close(g.begun) })
	<-g.gate
	return g.pieces.Write(b)
}

// TestAStuckLogHoldsUpOnlyWhoSaysTooMuch: a line costs nobody the time of a write,
// and the memory of what waits is bounded.
func TestAStuckLogHoldsUpOnlyWhoSaysTooMuch(t *testing.T) {
	out := &stopped{gate: make(chan struct{}), begun: make(chan struct{})}
	p := newPacedWriter(out)
	say := func(text string) { _, _ = p.Write([]byte(text)) }
	say("1\n")
	<-out.begun // it is being written
	say("2\n")
	long, said := strings.Repeat("x", logPiece)+"\n", make(chan struct{})
	go func() {
		defer close(said)
		say(long)
	}()
	select {
	case <-said:
		require.Fail(t, "whoever says too much waits for the reader")
	case <-time.After(10 * logPace):
	}
	close(out.gate)
	<-said
	require.Equal(t, []string{"1\n", "2\n" + long}, out.written())
}

// A warning takes what waits in front of it along, at once.
func TestWarningsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out pieces
		log, _ := newLogger(&out, config.LogConfig{Level: zerolog.LevelInfoValue, Format: "json"})
		log.Info().Msg("one")
		log.Info().Msg("two")
		require.Empty(t, out.written())
		log.Warn().Msg("three")
		require.Len(t, out.written(), 1)
		for _, line := range []string{`"one"`, `"two"`, `"three"`} {
			require.Contains(t, out.written()[0], line)
		}
	})
}
