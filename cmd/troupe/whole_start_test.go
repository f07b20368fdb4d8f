package main

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What `make run` starts tells a person everything needed to go on: where it
// listens, what is widened, who answers, who may operate, and a line to try.
func TestStartSaysWhatRuns(t *testing.T) {
	r := runServe(t, "", "--dev")
	until(t, "the last line is out", func() bool { return strings.Contains(r.stdout.String(), "  try ") })
	said := r.stdout.String()
	for _, line := range []string{
		"listening   " + r.base + "\n",
		"operators   direct peers in 127.0.0.0/8",
		"bus         embedded NATS, no listener\n",
		"provider    echo: ready (default)\n",
		"provider    openai: needs the user's key",
		"OPENAI_API_KEY\n",
		"open " + r.base + " in a browser",
		"chat --url " + r.base + ` "Hello Troupe"`,
	} {
		require.Contains(t, said, line)
	}
	for _, widened := range []string{
		"1000 sessions an hour", "1000 connections per 5 minutes", "1000 messages a minute", "any port of this machine as origin",
	} {
		require.Contains(t, r.stderr.String(), "--dev: "+widened)
	}
	require.Zero(t, r.end())
}

func TestTakenPortNamesItselfAndTheRemedy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	code, stdout, stderr := started(t, []string{}, "", "serve", "--http.listen="+l.Addr().String(), "--log.format=json", "--log.level=error")
	require.Equal(t, 1, code)
	require.Empty(t, stdout, "nothing is announced that does not run")
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	require.Contains(t, stderr, l.Addr().String())
	require.Contains(t, stderr, "http.listen")
}
