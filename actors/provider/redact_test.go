package provider

import (
	"encoding/base64"
	"encoding/hex"
	"html"
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
		"query, small":      {"?k=k%2be%2fy%3dcanary%2542&a", "?k=[redacted]&a"},
		"a page":            {"<b>k&#43;e/y=canary%42</b>", "<b>[redacted]</b>"},
		"JSON, escaped":     {`"k+e\/y=canary%42"`, `"[redacted]"`},
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

// A key's characters that HTML and JSON escape, and the key inside of what was
// encoded as a whole: no piece of it that could be recognised is left.
func TestRedactWhatIsEscaped(t *testing.T) {
	const key = `kanarie<7>&"Qz9'+x/Zk4f2c8d1e6b`
	for name, text := range map[string]string{
		"a page":            html.EscapeString(key),
		"JSON":              inJSON(key),
		"JSON with slashes": strings.ReplaceAll(inJSON(key), "/", `\/`),
	} {
		require.Equal(t, "x [redacted] y", redact("x "+text+" y", secret(key)), name)
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for _, before := range []string{"", "u:", "Bearer ", "a longer one: "} {
			for _, behind := range []string{"", "\n", "\r\n", "; and more"} {
				got := redact(enc.EncodeToString([]byte(before+key+behind)), secret(key))
				require.Contains(t, got, "[redacted]", "%q %q", before, behind)
				plain, rest, _ := strings.Cut(got, "[redacted]")
				require.Less(t, len(plain), 4*(len(before)+3)/3+1, got)
				require.Less(t, len(rest), 4*(len(behind)+5)/3+1, got)
			}
		}
	}
}

func TestFinder(t *testing.T) {
	const key = "kanarie/7+Qz9=Xw-4f2c8d1e6b"
	found := finder(secret(key))
	require.True(t, found("models/"+key))
	require.True(t, found(hex.EncodeToString([]byte(key))))
	require.False(t, found("a-model"))
	require.False(t, finder(secret("ollama"))("ollama/llama"), "a word for servers that need no key")
	require.False(t, finder(protocol.Secret{})("a-model"))
}
