package natsd

import (
	"fmt"
	"strings"

	"github.com/rs/zerolog"
)

// maxLine bounds one line of the server's log.
const maxLine = 1024

// bridge is nats-server's logger over zerolog. The lines are the server's own
// words; its notices are the chatter of a server that nobody started by hand, so
// they are debug here. Nothing ends the process.
type bridge struct{ log zerolog.Logger }

func (b bridge) Noticef(format string, v ...any) { b.write(zerolog.DebugLevel, format, v) }
func (b bridge) Warnf(format string, v ...any)   { b.write(zerolog.WarnLevel, format, v) }
func (b bridge) Errorf(format string, v ...any)  { b.write(zerolog.ErrorLevel, format, v) }
func (b bridge) Fatalf(format string, v ...any)  { b.write(zerolog.ErrorLevel, format, v) }
func (b bridge) Debugf(format string, v ...any)  { b.write(zerolog.DebugLevel, format, v) }
func (b bridge) Tracef(format string, v ...any)  { b.write(zerolog.TraceLevel, format, v) }

func (b bridge) write(level zerolog.Level, format string, v []any) {
	event := b.log.WithLevel(level)
	if !event.Enabled() {
		return
	}
	line := fmt.Sprintf(format, v...)
	if len(line) > maxLine {
		line = strings.ToValidUTF8(line[:maxLine], "") + "…"
	}
	event.Str("line", line).Msg("Embedded NATS server")
}
