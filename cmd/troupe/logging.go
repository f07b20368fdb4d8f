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
// the configuration says which. setLevel changes the level of this logger and
// everything derived from it, at any time and from any goroutine.
//
// zerolog's own level is fixed in every derived logger and its global level is
// shared by the process, so the level lives in the writer.
func newLogger(w io.Writer, c config.LogConfig) (log zerolog.Logger, setLevel func(zerolog.Level)) {
	tty := isTerminal(w)
	if c.Format == "console" || (c.Format == "auto" && tty) {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !tty, TimeFormat: "15:04:05.000"}
	}
	leveled := &leveledWriter{w: zerolog.SyncWriter(w)}
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil { // validated before; a silent log would be worse than a loud one
		level = zerolog.InfoLevel
	}
	leveled.set(level)
	return zerolog.New(leveled).Hook(stamp{}), leveled.set
}

// leveledWriter drops what is below its level.
type leveledWriter struct {
	w     io.Writer
	level atomic.Int32
}

func (l *leveledWriter) set(level zerolog.Level) { l.level.Store(int32(level)) }

// Write implements io.Writer for lines without a level.
func (l *leveledWriter) Write(line []byte) (int, error) { return l.w.Write(line) }

// WriteLevel implements zerolog.LevelWriter.
func (l *leveledWriter) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if int32(level) < l.level.Load() {
		return len(line), nil
	}
	return l.w.Write(line)
}

// stamp adds the time in milliseconds; zerolog's own precision is a global.
type stamp struct{}

// Run implements zerolog.Hook.
func (stamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format("2006-01-02T15:04:05.000Z07:00"))
}

// isTerminal tells whether a person reads, or types, at the other end.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
