package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/limit"
)

func TestDevWidens(t *testing.T) {
	c, r, err := Load(Sources{ReadFile: files(nil)})
	require.NoError(t, err)
	lines, err := Dev(c, r)
	require.NoError(t, err)
	require.Equal(t, []string{
		"listens on 127.0.0.1:8000 alone",
		"1000 sessions an hour",
		"1000 connections per 5 minutes",
		"1000 messages a minute",
		"any port of this machine as origin",
	}, lines)
	require.Equal(t, limit.Config{
		Connections: limit.Rule{Max: 1000, Window: 5 * time.Minute},
		Messages:    limit.Rule{Max: 1000, Window: time.Minute},
		Sessions:    limit.Rule{Max: 1000, Window: time.Hour},
		Adapt:       true,
		Offenders:   limit.Default().Offenders,
	}, c.Limits)
	require.Equal(t, []string{"http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"}, c.HTTP.ExtraOrigins)
	require.Equal(t, "--dev", r.Source("limits.sessions.max"))
	require.NoError(t, c.Validate())
}

func TestDevKeepsWhatWasSet(t *testing.T) {
	c, r, err := Load(Sources{ReadFile: files(nil), Args: []string{"--limits.messages.max=2"}})
	require.NoError(t, err)
	_, err = Dev(c, r)
	require.NoError(t, err)
	require.Equal(t, limit.Rule{Max: 2, Window: time.Minute}, c.Limits.Messages)
	require.Equal(t, 1000, c.Limits.Sessions.Max)
}

func TestDevListens(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		want   []string
		refuse string
	}{
		{"a port", []string{"--http.listen=:8001"}, []string{"127.0.0.1:8001"}, ""},
		{"loopback", []string{"--http.listen=localhost:1,[::1]:2,127.0.0.9:3"}, []string{"localhost:1", "[::1]:2", "127.0.0.9:3"}, ""},
		{"any address", []string{"--http.listen=0.0.0.0:8000"}, nil, `http.listen: "0.0.0.0:8000" is not allowed: --dev widens the limits and so listens on this machine alone; use 127.0.0.1, or leave --dev off (from flag --http.listen)`},
		{"one of two", []string{"--http.listen=:8000,192.0.2.1:8000"}, nil, `http.listen: "192.0.2.1:8000" is not allowed: --dev widens the limits and so listens on this machine alone; use 127.0.0.1, or leave --dev off (from flag --http.listen)`},
		{"admin", []string{"--http.admin_listen=[::]:9000"}, nil, `http.admin_listen: "[::]:9000" is not allowed: --dev widens the limits and so listens on this machine alone; use 127.0.0.1, or leave --dev off (from flag --http.admin_listen)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, r, err := Load(Sources{ReadFile: files(nil), Args: tt.args})
			require.NoError(t, err)
			_, err = Dev(c, r)
			if tt.refuse != "" {
				require.EqualError(t, err, tt.refuse)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, c.HTTP.Listen)
		})
	}
}

func TestDiff(t *testing.T) {
	tests := []struct {
		name, before, after string
		live, restart       []string
	}{
		{"nothing", "", "pool: {max_per_ip: 25}", nil, nil},
		{
			"live", "", "http: {extra_origins: ['https://a.example'], admin_token: a-token-that-is-long}\nlog: {level: debug}\nlimits: {messages: {max: 1}}",
			[]string{"http.admin_token", "http.extra_origins", "limits.messages.max", "log.level"},
			nil,
		},
		{"restart", "", "http: {listen: ':1'}\nlog: {format: json}\npool: {max_per_ip: 1}", nil, []string{"http.listen", "log.format", "pool.max_per_ip"}},
		{"key", "providers: {openai: {api_keys: [a]}}", "providers: {openai: {api_keys: [b], base_url: 'http://x'}}", []string{"providers.openai.api_keys", "providers.openai.base_url"}, nil},
		{"entries", "products: {a: {}, b: {name: x}}", "products: {b: {name: y}, c: {}}\nproviders: {new: {type: echo}}", []string{"products.a", "products.b.name", "products.c"}, []string{"providers.new"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, _, err := Load(yamlOf(tt.before))
			require.NoError(t, err)
			after, _, err := Load(yamlOf(tt.after))
			require.NoError(t, err)
			live, restart := Diff(before, after)
			require.Equal(t, tt.live, live)
			require.Equal(t, tt.restart, restart)
		})
	}
}

func TestCautions(t *testing.T) {
	c, _, err := Load(yamlOf("limits: {messages: {max: 0}}\nwebsocket: {max_message_bytes: 900000}", "OPENAI_API_KEY=k"))
	require.NoError(t, err)
	require.Equal(t, []string{
		"limits.messages.max = 0: this limit is off",
		"websocket.max_message_bytes and chat.memory.bytes are 932768 together: a NATS server with the usual max_payload of 1048576 cannot carry such a question",
		"anyone who reaches :8000 can spend the deployment's keys of openai: there is no sign-in; listen on 127.0.0.1 or put a proxy with one in front",
	}, c.Cautions())

	c, _, err = Load(yamlOf("http: {listen: 'localhost:8000'}", "OPENAI_API_KEY=k"))
	require.NoError(t, err)
	require.Empty(t, c.Cautions())
}

func TestSplitFlags(t *testing.T) {
	tests := []struct {
		name              string
		args, flags, rest []string
	}{
		{"none", []string{"serve", "--dev"}, nil, []string{"serve", "--dev"}},
		{"assigned", []string{"serve", "--pool.max_per_ip=5"}, []string{"--pool.max_per_ip=5"}, []string{"serve"}},
		{"next", []string{"--pool.max_per_ip", "5", "serve"}, []string{"--pool.max_per_ip=5"}, []string{"serve"}},
		{"bool alone", []string{"--chat.client_system", "serve"}, []string{"--chat.client_system=true"}, []string{"serve"}},
		{"without a dot", []string{"--default_provider", "echo"}, []string{"--default_provider=echo"}, nil},
		{"no value", []string{"--log.level", "--dev"}, []string{"--log.level"}, []string{"--dev"}},
		{"other flags", []string{"--config", "a.yaml", "--config=b.c.yaml"}, nil, []string{"--config", "a.yaml", "--config=b.c.yaml"}},
		{"product", []string{"--products.a.b.name=x"}, []string{"--products.a.b.name=x"}, nil},
		{"after --", []string{"--", "--pool.max_per_ip=5"}, nil, []string{"--", "--pool.max_per_ip=5"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			flags, rest := SplitFlags(tt.args)
			require.Equal(t, tt.flags, flags)
			require.Equal(t, tt.rest, rest)
		})
	}
}
