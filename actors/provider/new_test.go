package provider

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestDefaults(t *testing.T) {
	d := Defaults()
	require.Len(t, d, 5)
	for name, c := range d {
		require.NoError(t, c.Validate(name))
		_, err := New(name, c, Deps{Log: zerolog.Nop()})
		require.Equal(t, c.Type == TypeFaulty, err != nil, "%s: %v", name, err)
		_, err = New(name, c, Deps{Log: zerolog.Nop(), FaultyURL: func(string) string { return "http://127.0.0.1:1" }})
		require.NoError(t, err)
	}
	require.Equal(t, "env:OPENAI_API_KEY", string(d["openai"].APIKeys[0].Reveal()))
}

func TestState(t *testing.T) {
	tests := map[string]struct {
		c    Config
		want string
	}{
		"echo":              {Config{Type: TypeEcho}, StateReady},
		"openai, key":       {Config{Type: TypeOpenAI, APIKeys: []protocol.Secret{{}, secret("k")}}, StateReady},
		"openai, unset key": {Config{Type: TypeOpenAI, APIKeys: []protocol.Secret{{}}}, StateNeedsKey},
		"openai, base_url":  {Config{Type: TypeOpenAI, BaseURL: "http://localhost:11434/v1"}, StateReady},
		"openai":            {Config{Type: TypeOpenAI}, StateNeedsKey},
		"unknown":           {Config{Type: "smoke"}, StateOff},
		"zero":              {Config{}, StateOff},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, State(tt.c)) })
	}
}

func TestNewUnknownType(t *testing.T) {
	_, err := New("x", Config{Type: "smoke"}, Deps{})
	require.ErrorContains(t, err, "providers.x.type")
}

func TestPlaintextKeyIsWarnedOf(t *testing.T) {
	for base, warned := range map[string]bool{
		"http://10.0.0.7/v1": true, "http://vendor.example/v1": true,
		"https://10.0.0.7/v1": false, "http://127.0.0.1:1/v1": false, "http://[::1]:1/v1": false, "http://localhost/v1": false, "": false,
	} {
		var log bytes.Buffer
		_, err := New("v", Config{Type: TypeOpenAI, BaseURL: base, APIKeys: []protocol.Secret{secret("sk-canary")}}, Deps{Log: zerolog.New(&log)})
		require.NoError(t, err)
		require.Equal(t, warned, strings.Contains(log.String(), "unencrypted"), base)
		require.NotContains(t, log.String(), "canary")
	}
}

func TestValidate(t *testing.T) {
	ok := Config{Type: TypeOpenAI, BaseURL: "https://vendor.example:8443/v1/", Models: []string{"a", "b"}, DefaultModel: "b", APIKeys: []protocol.Secret{{}, secret("sk-x")}, Timeout: time.Second}
	require.NoError(t, ok.Validate("a-1"))

	for _, name := range []string{"", "A", "a_b", "a.b", "a b", "ż", "*", strings.Repeat("a", 33)} {
		require.Error(t, ok.Validate(name), name)
	}
	tests := map[string]struct {
		change func(*Config)
		want   string
	}{
		"type":            {func(c *Config) { c.Type = "smoke" }, `providers.v.type: "smoke" is not known`},
		"scheme":          {func(c *Config) { c.BaseURL = "ftp://x" }, "providers.v.base_url: "},
		"no scheme":       {func(c *Config) { c.BaseURL = "localhost:11434" }, "providers.v.base_url: "},
		"no host":         {func(c *Config) { c.BaseURL = "http:///v1" }, "names no host"},
		"opaque":          {func(c *Config) { c.BaseURL = "http:x" }, "names no host"},
		"userinfo":        {func(c *Config) { c.BaseURL = "https://u:canary@x/v1" }, "providers.v.base_url: must not hold a user"},
		"query":           {func(c *Config) { c.BaseURL = "https://x/v1?key=canary" }, "must not hold a query"},
		"empty query":     {func(c *Config) { c.BaseURL = "https://x/v1?" }, "must not hold a query"},
		"fragment":        {func(c *Config) { c.BaseURL = "https://x/v1#canary" }, "must not hold a query or fragment"},
		"unparsable":      {func(c *Config) { c.BaseURL = "https://u:canary@x/%zz" }, "not a URL"},
		"key":             {func(c *Config) { c.APIKeys = []protocol.Secret{secret("ok"), secret("canary\n")} }, "providers.v.api_keys[1]"},
		"empty model":     {func(c *Config) { c.Models = []string{""}; c.DefaultModel = "" }, "providers.v.models"},
		"default model":   {func(c *Config) { c.DefaultModel = "c" }, `providers.v.default_model: "c" is not in providers.v.models`},
		"echo model":      {func(c *Config) { c.Type = TypeEcho; c.Models = nil; c.DefaultModel = "echo-fast" }, "providers.v.models"},
		"first token":     {func(c *Config) { c.FirstTokenTimeout = -1 }, "providers.v.first_token_timeout"},
		"stall":           {func(c *Config) { c.StallTimeout = -1 }, "providers.v.stall_timeout"},
		"timeout":         {func(c *Config) { c.Timeout = -1 }, "providers.v.timeout"},
		"several at once": {func(c *Config) { c.Timeout = -1; c.Type = "" }, "providers.v.type"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := ok
			tt.change(&c)
			err := c.Validate("v")
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, fmt.Sprintf("%v", err), "canary")
		})
	}
}
