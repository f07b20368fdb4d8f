package frames

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	b := Parse([]byte(`{"type":"chunk","id":"1","seq":7,"from":5,"content":"x","new":[]}`))
	require.Equal(t, Body{Type: Chunk, ID: "1", Seq: 7, From: 5, Content: "x"}, b)
	for _, raw := range []string{"", "{", "[]", `"x"`, `{"type":7}`, `{"type":"chunk","seq":-1}`} {
		b = Parse([]byte(raw))
		require.Equal(t, NoJSON, b.Type, raw)
	}
}

func TestEndsAndText(t *testing.T) {
	for raw, want := range map[string]struct {
		ends bool
		text string
	}{
		`{"type":"complete","id":"1","full_response":"abc"}`:                 {true, "abc"},
		`{"type":"cancelled","id":"1","full_response":""}`:                   {true, ""},
		`{"type":"error","id":"1","code":"WORKER_LOST","partial":"ab"}`:      {true, "ab"},
		`{"type":"complete","id":"2","full_response":"abc"}`:                 {false, "abc"},
		`{"type":"error","id":"1","for":"cancel","code":"RUN_NOT_FOUND"}`:    {false, ""},
		`{"type":"error","code":"SHUTTING_DOWN"}`:                            {false, ""},
		`{"type":"chunk","id":"1","seq":1,"content":"what comes is no end"}`: {false, ""},
	} {
		b := Parse([]byte(raw))
		require.Equal(t, want.ends, b.Ends("1"), raw)
		require.Equal(t, want.text, b.Text(), raw)
	}
}
