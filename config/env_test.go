package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func load(t *testing.T, env ...string) (*Config, *Report) {
	t.Helper()
	c, r, err := Load(yamlOf("providers: {my-llm: {type: openai}}\nproducts: {Big.One: {}}", env...))
	require.NoError(t, err)
	return c, r
}

// A part of a key that looks like one of Kubernetes' variables is a key all the
// same.
func TestPortInAnEntrysName(t *testing.T) {
	c, r, err := Load(Sources{ReadFile: files(nil), Env: []string{
		"TROUPE_PROVIDERS_PORTKEY_TYPE=openai", "TROUPE_PROVIDERS_PORTKEY_BASE_URL=https://vendor.example/v1",
		"TROUPE_PORT=tcp://10.0.0.1:8000", "TROUPE_PORT_8000_TCP_ADDR=10.0.0.1",
	}})
	require.NoError(t, err)
	require.Equal(t, "https://vendor.example/v1", c.Providers["portkey"].BaseURL)
	require.Empty(t, r.Warnings)
}

func TestEnvNames(t *testing.T) {
	c, r := load(t,
		"TROUPE_POOL_MAX_PER_IP=7",
		"TROUPE_HTTP_LISTEN=:1, :2",
		"TROUPE_HTTP_ADMIN_FROM=",
		"TROUPE_CHAT_MEMORY_TURNS=3",
		"TROUPE_DEFAULT_PROVIDER=openai",
		"TROUPE_PROVIDERS_OPENAI_BASE_URL=http://localhost:11434/v1",
		"TROUPE_PROVIDERS_OPENAI_STALL_TIMEOUT=3s",
		"TROUPE_PROVIDERS_MY_LLM_TIMEOUT=4s",
		"TROUPE_PROVIDERS_NEW_ONE_TYPE=echo",
		"TROUPE_PRODUCTS_11_NAME=Lamp",
		"TROUPE_PRODUCTS_BIG_ONE_NAME=Big",
	)
	require.Empty(t, r.Warnings)
	require.Equal(t, 7, c.Pool.MaxPerIP)
	require.Equal(t, []string{":1", ":2"}, c.HTTP.Listen)
	require.Empty(t, c.HTTP.AdminFrom)
	require.Equal(t, 3, c.Chat.Memory.Turns)
	require.Equal(t, "openai", c.DefaultProvider)
	require.Equal(t, "http://localhost:11434/v1", c.Providers["openai"].BaseURL)
	require.Equal(t, 3*time.Second, c.Providers["openai"].StallTimeout)
	require.Equal(t, 4*time.Second, c.Providers["my-llm"].Timeout)
	require.Equal(t, "echo", c.Providers["new-one"].Type)
	require.Equal(t, "Lamp", c.Products["11"].Name)
	require.Equal(t, "Big", c.Products["Big.One"].Name, "an entry of the file is found under its folded name")
	require.Equal(t, "env TROUPE_PRODUCTS_11_NAME", r.Source("products.11.name"))
}

func TestUnknownEnvIsAWarning(t *testing.T) {
	_, r := load(t,
		"TROUPE_POOL_MAX_PERIP=secret-canary", "TROUPE_QQQQQQQQQQQQQ=1", "TROUPE_CONFIG=t.yaml",
		"TROUPE_PORT=tcp://10.0.0.1:8000", "TROUPE_PORT_8000_TCP=tcp://10.0.0.1:8000", "TROUPE_SERVICE_HOST=10.0.0.1",
		"TROUPE_GATEWAY_SERVICE_PORT_HTTP=80", "TROUPE_GATEWAY_PORT_80_TCP_ADDR=10.0.0.1", "PATH=/bin",
	)
	require.Equal(t, []string{
		"env TROUPE_POOL_MAX_PERIP: no such key, ignored; did you mean TROUPE_POOL_MAX_PER_IP?",
		"env TROUPE_QQQQQQQQQQQQQ: no such key, ignored",
	}, r.Warnings)
}

func TestEveryKeyHasItsOwnVariable(t *testing.T) {
	l := newLoader(Sources{})
	for _, key := range l.keys() {
		path, n := l.resolveEnv(strings.TrimPrefix(EnvName(key), envPrefix))
		require.NotNil(t, n, key)
		require.Equal(t, key, strings.Join(path, "."))

		path, n = l.root.resolve(key)
		require.NotNil(t, n, key)
		require.Equal(t, key, strings.Join(path, "."))
	}
}

func FuzzEnv(f *testing.F) {
	for _, seed := range []string{
		"TROUPE_POOL_MAX_PER_IP=1", "TROUPE_=", "TROUPE_PROVIDERS__TYPE=echo", "TROUPE_PRODUCTS_\x00_NAME=x",
		"TROUPE_PROVIDERS_A_B_C_BASE_URL=http://x", "TROUPE_HTTP_LISTEN=,,", "=", "TROUPE_PROVIDERS_TYPE=1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pair string) {
		if strings.HasPrefix(pair, envConfig+"=") {
			return
		}
		c, r, err := Load(Sources{Env: []string{pair}, ReadFile: files(nil)})
		require.NotNil(t, r)
		require.Equal(t, err == nil, c != nil)
		for _, w := range r.Warnings {
			require.NotContains(t, w, "\n")
		}
	})
}
