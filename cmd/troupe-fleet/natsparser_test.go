package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// cutInto feeds stream to a new parser in pieces of the given size and returns
// the operations and what was left.
func cutInto(stream string, size int) (ops []operation, rest string, p *natsParser) {
	p = &natsParser{}
	for len(stream) > 0 {
		n := min(size, len(stream))
		p.feed([]byte(stream[:n]), func(op operation) {
			ops = append(ops, operation{raw: []byte(string(op.raw)), subject: op.subject})
		})
		stream = stream[n:]
	}
	return ops, string(p.rest()), p
}

func joined(ops []operation) string {
	var b strings.Builder
	for _, op := range ops {
		b.Write(op.raw)
	}
	return b.String()
}

func TestParserCutsOperations(t *testing.T) {
	tests := []struct {
		name     string
		stream   string
		want     []string // raw operations
		subjects []string
		rest     string
	}{
		{"single lines", "INFO {\"a\":1}\r\nPING\r\n+OK\r\n-ERR 'x'\r\nPONG\r\n", []string{"INFO {\"a\":1}\r\n", "PING\r\n", "+OK\r\n", "-ERR 'x'\r\n", "PONG\r\n"}, []string{"", "", "", "", ""}, ""},
		{"message", "MSG a.b 1 5\r\nhello\r\n", []string{"MSG a.b 1 5\r\nhello\r\n"}, []string{"a.b"}, ""},
		{"message with a reply", "MSG a.b 1 r.1 5\r\nhello\r\nPING\r\n", []string{"MSG a.b 1 r.1 5\r\nhello\r\n", "PING\r\n"}, []string{"a.b", ""}, ""},
		{"empty message", "MSG a 1 0\r\n\r\n", []string{"MSG a 1 0\r\n\r\n"}, []string{"a"}, ""},
		{"line ends and operations in a body", "MSG a 1 12\r\n\r\nMSG b 1 0\r\r\nPING\r\n", []string{"MSG a 1 12\r\n\r\nMSG b 1 0\r\r\n", "PING\r\n"}, []string{"a", ""}, ""},
		{"headers", "HMSG a 1 12 17\r\nNATS/1.0\r\n\r\nhello\r\n", []string{"HMSG a 1 12 17\r\nNATS/1.0\r\n\r\nhello\r\n"}, []string{"a"}, ""},
		{"headers and a reply", "HMSG a 1 r 12 12\r\nNATS/1.0\r\n\r\n\r\n", []string{"HMSG a 1 r 12 12\r\nNATS/1.0\r\n\r\n\r\n"}, []string{"a"}, ""},
		{"tabs and lower case", "msg\ta\t1\t1\r\nx\r\n", []string{"msg\ta\t1\t1\r\nx\r\n"}, []string{"a"}, ""},
		{"empty line", "\r\nPING\r\n", []string{"\r\n", "PING\r\n"}, []string{"", ""}, ""},
		{"unfinished line", "PING\r\nPO", []string{"PING\r\n"}, []string{""}, "PO"},
		{"unfinished body", "MSG a 1 5\r\nhel", nil, nil, "MSG a 1 5\r\nhel"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size <= len(tt.stream); size++ {
				ops, rest, _ := cutInto(tt.stream, size)
				var raw, subjects []string
				for _, op := range ops {
					raw, subjects = append(raw, string(op.raw)), append(subjects, op.subject)
				}
				require.Equal(t, tt.want, raw, "in pieces of %d", size)
				require.Equal(t, tt.subjects, subjects, "in pieces of %d", size)
				require.Equal(t, tt.rest, rest, "in pieces of %d", size)
			}
		})
	}
}

// TestParserGivesUpInOnePiece: from what it does not understand on, everything
// passes as it is, and nothing of it counts as a message.
func TestParserGivesUpInOnePiece(t *testing.T) {
	for name, bad := range map[string]string{
		"no size":                   "MSG a 1\r\nhello\r\n",
		"a size that is none":       "MSG a 1 five\r\nhello\r\n",
		"a size above all":          "MSG a 1 99999999999\r\nhello\r\n",
		"a size above the bound":    "MSG a 1 80000000\r\nhello\r\n",
		"negative":                  "MSG a 1 -1\r\nhello\r\n",
		"too many fields":           "MSG a 1 r x 5\r\nhello\r\n",
		"headers without two sizes": "HMSG a 1 5\r\nhello\r\n",
		"a body of another length":  "MSG a 1 3\r\nhello\r\n",
		"a line without an end":     strings.Repeat("x", maxControlLine+1),
	} {
		t.Run(name, func(t *testing.T) {
			stream := "MSG fine 1 1\r\nx\r\n" + bad + "MSG late 1 1\r\nx\r\n"
			for _, size := range []int{1, 7, len(stream)} {
				if len(stream) > 1<<10 && size < len(stream) {
					size *= 4 << 10
				}
				ops, rest, p := cutInto(stream, size)
				require.True(t, p.lost)
				require.Equal(t, stream, joined(ops)+rest)
				require.Equal(t, "fine", ops[0].subject)
				for _, op := range ops[1:] {
					require.Empty(t, op.subject)
				}
			}
		})
	}
}

func TestParserLetsGoOfALargeMessage(t *testing.T) {
	const size = 4 << 20
	var p natsParser
	body := strings.Repeat("x", size)
	whole := 0
	for _, piece := range []string{"MSG a 1 4194304\r\n", body[:size/2], body[size/2:], "\r\n"} {
		p.feed([]byte(piece), func(op operation) { whole = len(op.raw) })
	}
	require.Equal(t, len("MSG a 1 4194304\r\n")+size+2, whole)
	require.Less(t, cap(p.held), maxControlLine)
}

// FuzzParser: whatever the stream and however it is cut, what comes out is what
// went in, and the cuts do not move the operations.
func FuzzParser(f *testing.F) {
	for _, seed := range []string{
		"INFO {}\r\nMSG a.b 1 5\r\nhello\r\nPING\r\n",
		"HMSG a 1 r 12 17\r\nNATS/1.0\r\n\r\nhello\r\n+OK\r\n",
		"MSG a 1 0\r\n\r\nMSG a 1 1\r\n", "MSG a 1\r\n", "HMSG a 1 9 3\r\nabc\r\n", "\n\n\r\n", "MSG a 1 3\r\nhello\r\n",
	} {
		f.Add(seed, 1, 3)
		f.Add(seed, 5, 64)
	}
	f.Fuzz(func(t *testing.T, stream string, a, b int) {
		a, b = max(1, a), max(1, b)
		one, oneRest, _ := cutInto(stream, a)
		other, otherRest, _ := cutInto(stream, b)
		require.Equal(t, stream, joined(one)+oneRest)
		require.Equal(t, stream, joined(other)+otherRest)
		require.Equal(t, messagesOf(one), messagesOf(other))
	})
}

// messagesOf leaves out what is not a message: a stream that is not understood
// passes in the pieces it came in.
func messagesOf(ops []operation) (out []operation) {
	for _, op := range ops {
		if op.subject != "" {
			out = append(out, op)
		}
	}
	return out
}
