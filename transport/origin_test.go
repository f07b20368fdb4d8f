package transport

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOriginJudgement(t *testing.T) {
	public := site{scheme: "http", host: "chat.example.org:8000"}
	local := site{scheme: "http", host: "127.0.0.1:8000", loopback: true}
	rebound := site{scheme: "http", host: "evil.example:8000", loopback: true}
	extra := HTTPConfig{ExtraOrigins: []string{
		"https://app.example.com", "http://localhost:*", "http://[::1]:*", "https://*.wild.example",
		"http://plain.example:80", "app://desk",
	}}
	for _, c := range []struct {
		name   string
		config HTTPConfig
		at     site
		origin []string
		want   bool
	}{
		{"missing", HTTPConfig{}, public, nil, true},
		{"empty", HTTPConfig{}, public, []string{""}, true},
		{"default port of development", HTTPConfig{}, public, []string{"http://localhost:3000"}, true},
		{"default without port", HTTPConfig{}, public, []string{"http://127.0.0.1"}, true},
		{"default port spelled out", HTTPConfig{}, public, []string{"http://localhost:80"}, true},
		{"not a default port", HTTPConfig{}, public, []string{"http://localhost:3003"}, false},
		{"other scheme of a default", HTTPConfig{}, public, []string{"https://localhost:3000"}, false},
		{"own", HTTPConfig{}, public, []string{"http://chat.example.org:8000"}, true},
		{"own in capitals", HTTPConfig{}, public, []string{"HTTP://Chat.Example.ORG:8000"}, true},
		{"own, other scheme", HTTPConfig{}, public, []string{"https://chat.example.org:8000"}, false},
		{"own, other port", HTTPConfig{}, public, []string{"http://chat.example.org:8001"}, false},
		{"own on loopback", HTTPConfig{}, local, []string{"http://127.0.0.1:8000"}, true},
		{"rebound name on loopback", HTTPConfig{}, rebound, []string{"http://evil.example:8000"}, false},
		{"public_url", HTTPConfig{PublicURL: "https://chat.example.com/"}, public, []string{"https://chat.example.com"}, true},
		{"public_url replaces the host's", HTTPConfig{PublicURL: "https://chat.example.com"}, public, []string{"http://chat.example.org:8000"}, false},
		{"allowed replaces defaults", HTTPConfig{AllowedOrigins: []string{"https://a.example"}}, public, []string{"http://localhost:3000"}, false},
		{"allowed replaces own", HTTPConfig{AllowedOrigins: []string{"https://a.example"}}, public, []string{"http://chat.example.org:8000"}, false},
		{"allowed", HTTPConfig{AllowedOrigins: []string{"https://a.example"}}, public, []string{"https://a.example"}, true},
		{"extra", extra, public, []string{"https://app.example.com"}, true},
		{"extra, explicit 443", extra, public, []string{"https://app.example.com:443"}, true},
		{"extra 80, implicit", extra, public, []string{"http://plain.example"}, true},
		{"other scheme exactly", extra, public, []string{"app://desk"}, true},
		{"any port", extra, public, []string{"http://localhost:49152"}, true},
		{"any port, IPv6", extra, public, []string{"http://[::1]:49152"}, true},
		{"any port, long IPv6", extra, public, []string{"http://[0:0:0:0:0:0:0:1]:9"}, true},
		{"any port, https", extra, public, []string{"https://localhost:49152"}, false},
		{"wildcard", extra, public, []string{"https://a.b.wild.example"}, true},
		{"wildcard, bare", extra, public, []string{"https://wild.example"}, false},
		{"wildcard, part of a label", extra, public, []string{"https://notwild.example"}, false},
		{"wildcard, other port", extra, public, []string{"https://a.wild.example:8443"}, false},
		{"suffix look-alike", extra, public, []string{"https://evilapp.example.com"}, false},
		{"prefix look-alike", extra, public, []string{"https://app.example.com.evil.org"}, false},
		{"trailing dot", extra, public, []string{"https://app.example.com."}, false},
		{"null", extra, public, []string{"null"}, false},
		{"two that differ", extra, public, []string{"https://app.example.com", "https://evil.org"}, false},
		{"empty and one", extra, public, []string{"", "https://app.example.com"}, false},
		{"two that agree", extra, public, []string{"https://app.example.com", "https://app.example.com"}, true},
		{"list in one", extra, public, []string{"https://app.example.com, https://evil.org"}, false},
		{"userinfo", extra, public, []string{"https://app.example.com@evil.org"}, false},
		{"userinfo, other way", extra, public, []string{"https://evil.org:80@app.example.com"}, false},
		{"path", extra, public, []string{"https://app.example.com/"}, false},
		{"backslash", extra, public, []string{`https://evil.org\.app.example.com`}, false},
		{"escape", extra, public, []string{"https://app%2eexample.com"}, false},
		{"line break", extra, public, []string{"https://app.example.com\r\nX: y"}, false},
		{"blank", extra, public, []string{" https://app.example.com"}, false},
		{"empty port", extra, public, []string{"https://app.example.com:"}, false},
		{"port with a zero", extra, public, []string{"https://app.example.com:0443"}, false},
		{"port too large", extra, public, []string{"https://app.example.com:65979"}, false},
		{"8 KiB", extra, public, []string{"https://" + strings.Repeat("a", 8<<10) + ".wild.example"}, false},
		{"name not in ASCII", extra, public, []string{"https://äpp.example.com"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := newOrigins(c.config)
			require.NoError(t, err)
			require.Equal(t, c.want, o.judge(c.origin, c.at).allowed)
		})
	}
}

func TestOriginRulesThatAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "*", "null", "example.com", "https://", "https://*", "https://*.com", "https://*example.com",
		"https://a.*.example.com", "http://*.example.com", "https://example.com:*", "https://localhost:*",
		"https://example.com/path", "https://user@example.com", ".example.com", `https://.*\.example\.com`,
		"https://*.[::1]",
	} {
		_, err := parseRule(s)
		require.Error(t, err, "%q", s)
	}
}

func TestOriginRemedyKeepsWhatIsConfigured(t *testing.T) {
	o, err := newOrigins(HTTPConfig{ExtraOrigins: []string{"https://a.example"}})
	require.NoError(t, err)
	file, env := o.remedy(o.judge([]string{"https://B.example"}, site{}))
	require.Equal(t, `http: {extra_origins: ["https://a.example", "https://b.example"]}`, file)
	require.Equal(t, "TROUPE_HTTP_EXTRA_ORIGINS=https://a.example,https://b.example", env)

	file, env = o.remedy(o.judge([]string{"null"}, site{}))
	require.Empty(t, file+env, "nothing can allow null")
}

func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"", "null", "http://localhost", "https://a.b:1", "http://[::1]:*", "https://*.a.b", "x://y", "http://a@b", "http://[::ffff:1.2.3.4]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := parseOrigin(s)
		if err != nil {
			return
		}
		again, err := parseOrigin(o.String())
		require.NoError(t, err, "%q", o)
		require.Equal(t, o, again, "an origin is spelled in one way")
		require.NotContains(t, o.String(), "@")
		r, err := parseRule(o.String())
		require.NoError(t, err)
		require.True(t, r.allows(o), "a rule allows itself")
	})
}
