package config

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// files is a ReadFile over a map. A file whose text is "!" is not readable.
func files(all map[string]string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		text, ok := all[path]
		switch {
		case !ok:
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		case text == "!":
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
		}
		return []byte(text), nil
	}
}

// yamlOf loads one file named t.yaml.
func yamlOf(text string, env ...string) Sources {
	return Sources{ConfigFile: "t.yaml", Env: env, ReadFile: files(map[string]string{"t.yaml": text})}
}

func TestLayersWinInOrder(t *testing.T) {
	all := files(map[string]string{
		"a.yaml":        "pool: {max_per_ip: 1}",
		"b.yaml":        "pool: {max_per_ip: 2}",
		"./troupe.yaml": "pool: {max_per_ip: 3}",
	})
	none := files(nil)
	tests := []struct {
		name   string
		in     Sources
		want   int
		source string
	}{
		{"default", Sources{ReadFile: none}, 25, "default"},
		{"file of the working directory", Sources{ReadFile: all}, 3, "file troupe.yaml:1"},
		{"file of TROUPE_CONFIG", Sources{ReadFile: all, Env: []string{"TROUPE_CONFIG=b.yaml"}}, 2, "file b.yaml:1"},
		{"file of --config", Sources{ReadFile: all, ConfigFile: "a.yaml", Env: []string{"TROUPE_CONFIG=b.yaml"}}, 1, "file a.yaml:1"},
		{"env over file", Sources{ReadFile: all, Env: []string{"TROUPE_POOL_MAX_PER_IP=4"}}, 4, "env TROUPE_POOL_MAX_PER_IP"},
		{"flag over env", Sources{ReadFile: all, Env: []string{"TROUPE_POOL_MAX_PER_IP=4"}, Args: []string{"--pool.max_per_ip=5"}}, 5, "flag --pool.max_per_ip"},
		{"the last flag wins", Sources{ReadFile: none, Args: []string{"--pool.max_per_ip=5", "--pool.max_per_ip=6"}}, 6, "flag --pool.max_per_ip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, r, err := Load(tt.in)
			require.NoError(t, err)
			require.Equal(t, tt.want, c.Pool.MaxPerIP)
			require.Equal(t, tt.source, r.Source("pool.max_per_ip"))
			require.Empty(t, r.Warnings)
		})
	}
}

func TestNothingIsTheDefault(t *testing.T) {
	c, r, err := Load(Sources{ReadFile: files(nil)})
	require.NoError(t, err)
	require.Empty(t, r.File)
	live, restart := Diff(Default(), c)
	require.Equal(t, []string{"providers.anthropic.api_keys", "providers.gemini.api_keys", "providers.openai.api_keys"}, live, "the reference to an unset variable is dropped, nothing else")
	require.Empty(t, restart)
}

func TestValues(t *testing.T) {
	c, _, err := Load(yamlOf(`
http:
  listen: ":9000"
  admin_from: []
  extra_origins: ["https://a.example", https://b.example]
limits: {messages: {max: 3, window: 90s}}
pool: {idle_timeout: 0}
chat: {max_temperature: 1, client_system: false}
providers:
  groq: &groq {type: openai, base_url: "https://api.groq.com/openai/v1"}
  other: *groq
  openai: {models: [gpt-4.1]}
products:
  "11": {name: Lamp, provider: groq}
  a.b: {}
`))
	require.NoError(t, err)
	require.Equal(t, []string{":9000"}, c.HTTP.Listen)
	require.Empty(t, c.HTTP.AdminFrom, "an empty list is a value, not an absence")
	require.Equal(t, []string{"https://a.example", "https://b.example"}, c.HTTP.ExtraOrigins)
	require.Equal(t, 90*time.Second, c.Limits.Messages.Window)
	require.Equal(t, 50, c.Limits.Connections.Max, "what the file leaves out keeps its default")
	require.Zero(t, c.Pool.IdleTimeout)
	require.InDelta(t, 1, c.Chat.MaxTemperature, 0)
	require.False(t, c.Chat.ClientSystem)
	require.Len(t, c.Providers, 7, "what nobody named stays")
	require.Equal(t, "openai", c.Providers["openai"].Type)
	require.Equal(t, c.Providers["groq"], c.Providers["other"])
	require.Equal(t, []string{"gpt-4.1"}, c.Providers["openai"].Models)
	require.Equal(t, "Lamp", c.Products["11"].Name)
	require.Contains(t, c.Products, "a.b", "an empty product exists")
}

func TestAbsentListKeepsItsDefault(t *testing.T) {
	c, _, err := Load(yamlOf("http: {listen: [':1', ':2']}"))
	require.NoError(t, err)
	require.Equal(t, []string{":1", ":2"}, c.HTTP.Listen)
	require.Equal(t, []string{"127.0.0.0/8", "::1"}, c.HTTP.AdminFrom)
}

// An empty list is spelled alike everywhere, and is not the default.
func TestEmptyList(t *testing.T) {
	for name, in := range map[string]Sources{
		"file":         yamlOf("limits: {offenders: {allow: []}}"),
		"text of file": yamlOf("limits: {offenders: {allow: '[]'}}"),
		"variable":     {ReadFile: files(nil), Env: []string{"TROUPE_LIMITS_OFFENDERS_ALLOW=[]"}},
		"flag":         {ReadFile: files(nil), Args: []string{"--limits.offenders.allow=[]"}},
		"nothing":      {ReadFile: files(nil), Args: []string{"--limits.offenders.allow="}},
	} {
		c, r, err := Load(in)
		require.NoError(t, err, name)
		require.Empty(t, c.Limits.Offenders.Allow, name)
		require.NotEqual(t, "default", r.Source("limits.offenders.allow"), name)
	}
	c, _, err := Load(Sources{ReadFile: files(nil), Args: []string{"--overload.memory=[]"}}) // of numbers, too
	require.NoError(t, err)
	require.Empty(t, c.Overload.Memory)
}

func TestProblems(t *testing.T) {
	tests := []struct {
		name string
		in   Sources
		want string
	}{
		{"number", yamlOf("\npool:\n  max_per_ip: many"), `pool.max_per_ip: "many" is not allowed: must be a whole number (from file t.yaml:3)`},
		{"duration", yamlOf("pool: {idle_timeout: 30}"), `pool.idle_timeout: "30" is not allowed: must be a duration with its unit, as in 500ms, 30s or 5m (from file t.yaml:1)`},
		{"bool", yamlOf("", "TROUPE_CHAT_CLIENT_SYSTEM=yep"), `chat.client_system: "yep" is not allowed: must be true or false (from env TROUPE_CHAT_CLIENT_SYSTEM)`},
		{"float", Sources{Args: []string{"--chat.max_temperature=hot"}, ReadFile: files(nil)}, `chat.max_temperature: "hot" is not allowed: must be a number (from flag --chat.max_temperature)`},
		{"list for a number", yamlOf("pool: {max_per_ip: [1]}"), `pool.max_per_ip: must be a whole number (from file t.yaml:1)`},
		{"mapping in a list", yamlOf("http: {listen: [{a: b}]}"), `http.listen: must be a list of texts, as in [a, b] (from file t.yaml:1)`},
		{"nothing", yamlOf("pool:\n  max_per_ip:\n"), `pool.max_per_ip: has no value; leave the line out for the default; must be a whole number (from file t.yaml:2)`},
		{"scalar section", yamlOf("providers: {openai: sk-canary}"), `providers.openai: must hold keys of its own, as in {key: value} (from file t.yaml:1)`},
		{"scalar table", yamlOf("providers: sk-canary"), `providers: must hold keys of its own, as in {key: value} (from file t.yaml:1)`},
		{"not a mapping", yamlOf("- a"), `the file: must hold keys of its own, as in {key: value} (from file t.yaml:1)`},
		{"entry twice", yamlOf("providers:\n  a: {type: echo}\n  a: {type: openai}"), `providers.a: is given twice; first in line 2 (from file t.yaml:3)`},
		{"overload", Sources{Args: []string{"--overload.lag=1ms"}, ReadFile: files(nil)}, `overload.lag: 1ms is not allowed: give 5ms to 5s, or 0 to leave it aside (from flag --overload.lag)`},
		{"twice", yamlOf("pool: {max_per_ip: 1}\npool: {max_per_ip: 2}"), `pool: is given twice; first in line 1 (from file t.yaml:2)`},
		{"unknown", yamlOf("pool: {max_perip: 1}"), `pool.max_perip: unknown key; did you mean pool.max_per_ip? (from file t.yaml:1)`},
		{"unknown section", yamlOf("limit: {}"), `limit: unknown key; did you mean limits? (from file t.yaml:1)`},
		{"misplaced", yamlOf("max_per_ip: 1"), `max_per_ip: unknown key; did you mean pool.max_per_ip? (from file t.yaml:1)`},
		{"unknown in an entry", yamlOf("providers: {openai: {api_key: sk-canary}}"), `providers.openai.api_key: unknown key; did you mean providers.openai.api_keys? (from file t.yaml:1)`},
		{"nothing like it", yamlOf("xyzzyxyzzyxyzzy: 1"), "xyzzyxyzzyxyzzy: unknown key; `troupe config docs` lists every key (from file t.yaml:1)"},
		{"hostile key", yamlOf(`"a\nb": 1`), "\"a\\nb\": unknown key; `troupe config docs` lists every key (from file t.yaml:1)"},
		{"unknown flag", Sources{Args: []string{"--pool.max_per_op=1"}, ReadFile: files(nil)}, `pool.max_per_op: unknown key; did you mean pool.max_per_ip? (from flag --pool.max_per_op)`},
		{"flag without value", Sources{Args: []string{"--pool.max_per_ip"}, ReadFile: files(nil)}, `pool.max_per_ip: needs a value, as in --pool.max_per_ip=… (from flag --pool.max_per_ip)`},
		{"provider name", yamlOf("providers: {Open_AI: {type: openai}}"), `providers.Open_AI: a provider's name must be 1 to 32 of a-z, 0-9 and - (from file t.yaml:1)`},
		{"product id", yamlOf("products: {'-': {}}"), `products.-: a product id must match [A-Za-z0-9][A-Za-z0-9_.:-]{0,127} (from file t.yaml:1)`},
		{"validated", yamlOf("", "TROUPE_RUNS_ATTEMPTS=3"), `runs.attempts: 3 is not allowed: give 1 or 2 (from env TROUPE_RUNS_ATTEMPTS)`},
		{"on_disconnect", yamlOf("runs: {on_disconnect: never}"), `runs.on_disconnect: "never" is not allowed: give cancel, grace or continue (from file t.yaml:1)`},
		{"default provider", yamlOf("default_provider: mine"), `default_provider: "mine" is not allowed: give one of the configured providers: anthropic, echo, faulty, gemini, openai (from file t.yaml:1)`},
		{"provider of a product", yamlOf("products: {'11': {provider: mine}}"), `products.11.provider: "mine" is not allowed: give one of the configured providers: anthropic, echo, faulty, gemini, openai (from file t.yaml:1)`},
		{"log level", Sources{Args: []string{"--log.level=loud"}, ReadFile: files(nil)}, `log.level: "loud" is not allowed: give trace, debug, info, warn or error (from flag --log.level)`},
		{"certificate without key", yamlOf("\nhttp: {tls: {cert: c.pem}}"), `http.tls: cert and key go together; one of them is empty (from file t.yaml:2)`},
		{"missing file", Sources{ConfigFile: "no.yaml", ReadFile: files(nil)}, `config file "no.yaml": cannot be read: file does not exist (from --config)`},
		{"missing file of the environment", Sources{Env: []string{"TROUPE_CONFIG=no.yaml"}, ReadFile: files(nil)}, `config file "no.yaml": cannot be read: file does not exist (from env TROUPE_CONFIG)`},
		{"unreadable file", Sources{ReadFile: files(map[string]string{"./troupe.yaml": "!"})}, `config file "./troupe.yaml": cannot be read: permission denied (from the working directory)`},
		{"broken YAML", yamlOf("a: b: c"), `config file "t.yaml": is not valid YAML: mapping values are not allowed in this context (from file)`},
		{"an open list", yamlOf("\npool: [1,2"), `config file "t.yaml": is not valid YAML: did not find expected ',' or ']' (from file)`},
		{"YAML that the parser would quote", yamlOf("a: *sk-canary"), `config file "t.yaml": is not valid YAML: an anchor, tag or key is wrong (from file)`},
		{"secret from a missing file", yamlOf("http: {admin_token: 'file:no'}"), `http.admin_token: file "no" cannot be read: file does not exist (from file t.yaml:1)`},
		{"secret of a wrong shape", yamlOf("http: {admin_token: [sk-canary]}"), `http.admin_token: must be a text, env:NAME or file:PATH (from file t.yaml:1)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, r, err := Load(tt.in)
			require.EqualError(t, err, tt.want)
			require.NotContains(t, err.Error(), "sk-canary")
			require.Nil(t, c)
			require.NotNil(t, r)
		})
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	in := yamlOf("pool: {max_per_ip: a, max_connections: b}", "TROUPE_LOG_LEVEL=x", "TROUPE_RUNS_GRACE=y")
	in.Args = []string{"--no.such=1"}
	_, _, err := Load(in)
	require.Len(t, strings.Split(err.Error(), "\n"), 4)

	_, _, err = Load(yamlOf("runs: {attempts: 9, on_disconnect: x}"))
	require.Len(t, strings.Split(err.Error(), "\n"), 2)
}

func TestSecrets(t *testing.T) {
	in := yamlOf(`
http: {admin_token: "file:token"}
providers:
  openai: {api_keys: ["env:ONE", "env:UNSET", "literal", "file:token"]}
`, "ONE= 1 ", "OPENAI_API_KEY=unused")
	in.ReadFile = files(map[string]string{"t.yaml": string(must(in.ReadFile("t.yaml"))), "token": " from-a-file\n"})
	c, _, err := Load(in)
	require.NoError(t, err)
	require.Equal(t, "from-a-file", string(c.HTTP.AdminToken.Reveal()))
	require.Equal(t, []string{"1", "", "literal", "from-a-file"}, revealed(c.Providers["openai"].APIKeys))

	c, _, err = Load(Sources{Env: []string{"OPENAI_API_KEY=k", "TROUPE_PROVIDERS_ECHO_API_KEYS=a,b"}, ReadFile: files(nil)})
	require.NoError(t, err)
	require.Equal(t, []string{"k"}, revealed(c.Providers["openai"].APIKeys), "the default reference")
	require.Equal(t, []string{"a", "b"}, revealed(c.Providers["echo"].APIKeys))
}

func TestUnsetTokenIsAWarning(t *testing.T) {
	c, r, err := Load(yamlOf("http: {admin_token: 'env:NOPE'}"))
	require.NoError(t, err)
	require.True(t, c.HTTP.AdminToken.Empty())
	require.Equal(t, []string{"http.admin_token: the variable it names is not set, so there is none (from file t.yaml:1)"}, r.Warnings)
}

// A secret's variable may have a name like ours: it is no key that was misspelt.
func TestReferredVariablesAreKnown(t *testing.T) {
	c, r, err := Load(yamlOf("http: {admin_token: 'env:TROUPE_TOKEN'}", "TROUPE_TOKEN=a-good-long-token", "TROUPE_TOKENS=x"))
	require.NoError(t, err)
	require.Equal(t, "a-good-long-token", string(c.HTTP.AdminToken.Reveal()))
	require.Equal(t, []string{"env TROUPE_TOKENS: no such key, ignored"}, r.Warnings)

	_, r, err = Load(yamlOf("http: {admin_token: 'env:TROUPE_TOKEN'}", "TROUPE_TOKEN=x", "TROUPE_HTTP_ADMIN_TOKEN=a-good-long-token"))
	require.NoError(t, err)
	require.Equal(t, []string{"env TROUPE_TOKEN: no such key, ignored"}, r.Warnings, "nothing refers to it any more")

	_, r, err = Load(yamlOf("nonsense: 1", "TROUPE_TOKEN=x"))
	require.Error(t, err)
	require.Equal(t, []string{"env TROUPE_TOKEN: no such key, ignored"}, r.Warnings, "beside an error too")
}

func TestReplacedReferencesAreNotFollowed(t *testing.T) {
	_, _, err := Load(yamlOf("http: {admin_token: 'file:no'}", "TROUPE_HTTP_ADMIN_TOKEN=a-good-long-token"))
	require.NoError(t, err)
}

func revealed(secrets []protocol.Secret) []string {
	list := make([]string, len(secrets))
	for i, s := range secrets {
		list[i] = string(s.Reveal())
	}
	return list
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func FuzzLoadYAML(f *testing.F) {
	for _, seed := range []string{
		"", "a", "- a", "pool: {max_per_ip: 1}", "a: &a [*a]", "providers: {x: &x {type: echo}, y: *x}",
		"products: {'11': {name: \"\\0\"}}", "? [a, b]\n: c", "http: {listen: !!binary aGk=}", "pool: *p", "<<: {a: b}",
		"http: &h {tls: *h}", "pool: 1\n---\npool: 2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, r, err := Load(yamlOf(text))
		require.NotNil(t, r)
		require.Equal(t, err == nil, c != nil)
		if err != nil {
			require.NotEmpty(t, err.Error())
		}
	})
}
