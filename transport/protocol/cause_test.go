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
		require.Equal(t, want, cause.ByServer(), string(cause))
	}
}

func TestKindString(t *testing.T) {
	require.Equal(t, "websocket", WebSocket.String())
	require.Equal(t, "http", HTTP.String())
}
