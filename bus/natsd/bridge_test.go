package natsd

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

func TestBridgeLevelsAndBound(t *testing.T) {
	var out bytes.Buffer
	b := bridge{log: zerolog.New(&out).Level(zerolog.TraceLevel)}
	cases := []struct {
		level string
		log   func(string, ...any)
	}{
		{"debug", b.Noticef},
		{"warn", b.Warnf},
		{"error", b.Errorf},
		{"error", b.Fatalf},
		{"debug", b.Debugf},
		{"trace", b.Tracef},
	}
	for _, c := range cases {
		out.Reset()
		c.log("n=%d %s", 7, strings.Repeat("é", maxLine))
		var got struct{ Level, Line, Message string }
		require.NoError(t, json.Unmarshal(out.Bytes(), &got))
		require.Equal(t, c.level, got.Level)
		require.True(t, strings.HasPrefix(got.Line, "n=7 é"))
		require.LessOrEqual(t, len(got.Line), maxLine+len("…"))
		require.NotContains(t, got.Line, "\uFFFD")
		require.Equal(t, "Embedded NATS server", got.Message)
	}
}
