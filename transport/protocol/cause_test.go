package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCauseByServer(t *testing.T) {
	for cause, want := range map[Cause]bool{
		CauseClient: false, CauseGone: false, CauseServer: true, CausePongTimeout: false,
		CauseSlowConsumer: true, CauseProtocol: false, CauseTooBig: false, CauseAdmission: true,
	} {
		require.Equal(t, want, cause.ByServer(), cause.String())
	}
}

func TestCauseString(t *testing.T) {
	said := map[string]bool{"": true}
	for c := CauseClient; c <= CauseAdmission; c++ {
		require.False(t, said[c.String()], "%d has no word of its own", c)
		said[c.String()] = true
	}
	require.Empty(t, Cause(0).String())
	require.Equal(t, "admission_timeout", CauseAdmission.String())
}

func TestKindString(t *testing.T) {
	require.Equal(t, "websocket", WebSocket.String())
	require.Equal(t, "http", HTTP.String())
}
