package main

import (
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/config"
)

// newLogger writes to w: lines for people on a terminal, JSON elsewhere, unless
// the configuration says which. The output changes the level of this logger and
// everything derived from it, at any time and from any goroutine, and is to be
// flushed at the end.
//
// zerolog's own level is fixed in every derived logger and its global level is
// shared by the process, so the level lives in the writer.
func newLogger(w io.Writer, c config.LogConfig) (zerolog.Logger, *logOutput) {
	tty := isTerminal(w)
	paced := newPacedWriter(w)
	w = paced
	if c.Format == "console" || (c.Format == "auto" && tty) {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !tty, TimeFormat: "15:04:05.000"}
	}
	output := &logOutput{w: w, paced: paced}
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil { // validated before; a silent log would be worse than a loud one
		level = zerolog.InfoLevel
	}
	output.setLevel(level)
	return zerolog.New(output).Hook(stamp{}), output
}

// logOutput drops what is below its level.
type logOutput struct {
	w     io.Writer
	paced *pacedWriter // below w
	level atomic.Int32
}

func (l *logOutput) setLevel(level zerolog.Level) { l.level.Store(int32(level)) }

// flush writes what waits for the next write.
func (l *logOutput) flush() { l.paced.flush() }

// Write implements io.Writer for lines without a level.
func (l *logOutput) Write(line []byte) (int, error) { return l.w.Write(line) }

// WriteLevel implements zerolog.LevelWriter. What is worth a warning is written
// at once, and what came before it too.
func (l *logOutput) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if int32(level) < l.level.Load() {
		return len(line), nil
	}
	n, err := l.w.Write(line)
	if level >= zerolog.WarnLevel {
		l.flush()
	}
	return n, err
}

const stampLayout = "2006-01-02T15:04:05.000Z07:00"

// stamp adds the time in milliseconds; zerolog's own precision is a global.
type stamp struct{}

// Run implements zerolog.Hook.
func (stamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	var b [len(stampLayout)]byte
	e.Bytes(zerolog.TimestampFieldName, time.Now().AppendFormat(b[:0], stampLayout))
}

// isTerminal tells whether a person reads, or types, at the other end.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
