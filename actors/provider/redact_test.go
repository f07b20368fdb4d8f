package provider

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestRedact(t *testing.T) {
	const key = "k+e/y=canary%42"
	tests := map[string]struct{ in, want string }{
		"plain":             {"bad key " + key + "!", "bad key [redacted]!"},
		"twice":             {key + " " + key, "[redacted] [redacted]"},
		"base64":            {"x " + base64.StdEncoding.EncodeToString([]byte(key)), "x [redacted]"},
		"base64 URL":        {"x " + base64.RawURLEncoding.EncodeToString([]byte(key)), "x [redacted]"},
		"hex":               {"x " + hex.EncodeToString([]byte(key)), "x [redacted]"},
		"HEX":               {"x " + strings.ToUpper(hex.EncodeToString([]byte(key))), "x [redacted]"},
		"query":             {"?k=" + url.QueryEscape(key) + "&a", "?k=[redacted]&a"},
		"path":              {"/" + url.PathEscape(key), "/[redacted]"},
		"half shown":        {"Incorrect API key: sk-ab12***********wxyz. See", "Incorrect API key: [redacted] See"},
		"in a path":         {"https://x/sk-abc/y", "https://x/[redacted]"},
		"a word with sk-":   {"risk-free task-based", "risk-free task-based"},
		"somebody's header": {"Authorization: Bearer abc.def here", "Authorization: [redacted] here"},
		"lines":             {"a\r\nb\x00\x1b[31mc\u2028d", "a  b  [31mc d"},
		"bad UTF-8":         {"a\xff\xfeb", "a\uFFFDb"},
		"empty":             {"", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, redact(tt.in, secret(key))) })
	}
	t.Run("short", func(t *testing.T) {
		got := redact(strings.Repeat("ż", 500), protocol.Secret{})
		require.Equal(t, strings.Repeat("ż", maxExtract/2), got)
	})
	t.Run("cut behind the key's removal", func(t *testing.T) {
		require.NotContains(t, redact(strings.Repeat("a", maxExtract-4)+" "+key, secret(key)), key[:3])
	})
}

func TestValidKey(t *testing.T) {
	for _, good := range []string{"sk-abc", "!", "~"} {
		require.True(t, validKey(secret(good)), good)
	}
	for _, bad := range []string{"", "a b", "a\n", "a\r\nX: y", "ż", "\x7f", "\x00\x00"} {
		require.False(t, validKey(secret(bad)), "%q", bad)
	}
}
