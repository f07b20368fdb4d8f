package main

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCommands: every small program starts, says where it listens, answers
// lines, and ends with its standard input.
func TestCommands(t *testing.T) {
	nats, err := natsMain(t.Context(), nil)
	require.NoError(t, err)
	for name, args := range map[string][]string{
		commandWrites:      {"-words", "3"},
		commandReader:      nil,
		commandVendor:      nil,
		commandNATS:        nil,
		commandRelay:       {nats},
		commandRelayWorker: {nats},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			require.NoError(t, commandMain(t.Context(), name, args, strings.NewReader("memory\nnonsense\n"), &out))
			lines := strings.Split(out.String(), "\n")
			require.Len(t, lines, 4)
			require.Regexp(t, `^listening \S+$`, lines[0])
			live, err := strconv.Atoi(lines[1])
			require.NoError(t, err)
			require.Greater(t, live, 1<<18)
			require.Equal(t, "error unknown line", lines[2])
		})
	}
	require.ErrorContains(t, commandMain(t.Context(), commandWrites, []string{"-none"}, strings.NewReader(""), nil), commandWrites)
	require.ErrorContains(t, commandMain(t.Context(), "run-nothing", nil, strings.NewReader(""), nil), "run-nothing")
}
