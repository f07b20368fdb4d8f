package protocol

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const someTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestParseTraceParent(t *testing.T) {
	p := ParseTraceParent(someTrace)
	require.NotNil(t, p)
	require.True(t, p.Sampled)
	require.Equal(t, someTrace, p.String())

	p = ParseTraceParent(strings.TrimSuffix(someTrace, "01") + "fe")
	require.NotNil(t, p, "flags that nobody knows yet")
	require.False(t, p.Sampled)
	require.Equal(t, strings.TrimSuffix(someTrace, "01")+"00", p.String(), "are not passed on")
}

func hostileTraces() []string {
	return []string{
		"", "00", someTrace + "-more", someTrace + " ", " " + someTrace[:54], strings.ToUpper(someTrace),
		"01" + someTrace[2:], "ff" + someTrace[2:],
		"00-" + strings.Repeat("0", 32) + someTrace[35:],
		someTrace[:36] + strings.Repeat("0", 16) + "-01",
		strings.ReplaceAll(someTrace, "-", "_"), strings.Replace(someTrace, "4bf9", "4bg9", 1), someTrace[:53] + "0x", someTrace[:54] + "\n",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é", strings.Repeat("a", 1<<16),
	}
}

func TestParseTraceParentHostile(t *testing.T) {
	for _, s := range hostileTraces() {
		require.Nil(t, ParseTraceParent(s), "%.80q", s)
	}
}

// TestChatTraceParent: whatever stands in the field, the question is taken.
func TestChatTraceParent(t *testing.T) {
	decode := func(value string) *Chat {
		c, ok := Decode(fmt.Appendf(nil, `{"type":"chat","id":"1","content":"hi","traceparent":%s}`, value), Bounds{}).(*Chat)
		require.True(t, ok, value)
		return c
	}
	require.Equal(t, someTrace, decode(`"`+someTrace+`"`).Trace.String())
	for _, s := range hostileTraces() {
		if !strings.Contains(s, "\n") {
			require.Nil(t, decode(`"`+s+`"`).Trace)
		}
	}
	for _, v := range []string{`null`, `"` + strings.Repeat(`\u0030`, 9) + `0"`} {
		require.Nil(t, decode(v).Trace, v)
	}
	bad, ok := Decode([]byte(`{"type":"chat","id":"1","content":"hi","traceparent":["`+someTrace+`"]}`), Bounds{}).(*Bad)
	require.True(t, ok, "of another type it is refused as any field is")
	require.Contains(t, bad.Err.Message, "traceparent")
}

func TestParseTraceParentAllocates(t *testing.T) {
	require.Zero(t, testing.AllocsPerRun(100, func() { ParseTraceParent("00-nothing") }))
}
