package config

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryKeyIsDocumented(t *testing.T) {
	var check func(n *node)
	check = func(n *node) {
		for _, c := range n.children {
			if c.kind != section {
				require.NotEmpty(t, c.doc, "%s has no doc tag", c.key)
			}
			check(c)
		}
	}
	check(schema())
}

func TestEveryKeyHasAKnownType(t *testing.T) {
	for _, n := range schema().leaves() {
		samples := map[reflect.Kind]string{reflect.Int: "1", reflect.Float64: "1", reflect.Bool: "true", reflect.Int64: "1s"}
		_, ok := parse(n.typ, samples[n.typ.Kind()])
		require.True(t, ok, "%s has a type that no layer can spell", n.key)
	}
}

func TestEveryFieldHasAKey(t *testing.T) {
	var check func(typ reflect.Type)
	check = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			require.NotEmpty(t, f.Tag.Get("koanf"), "%s.%s", typ, f.Name)
			switch {
			case f.Type.Kind() == reflect.Map:
				check(f.Type.Elem())
			case f.Type.Kind() == reflect.Struct && f.Type != secretType:
				check(f.Type)
			}
		}
	}
	check(reflect.TypeFor[Config]())
}

func TestDocsPageIsCurrent(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, Docs(&b))
	require.Equal(t, b.String(), string(page), "run: troupe config docs > docs/configuration.md")
}

func TestPrintLoadsAgain(t *testing.T) {
	in := yamlOf("pool: {max_per_ip: 3, idle_timeout: 90m}\nhttp: {admin_from: []}\nproducts: {'11': {system: \"a: b\\n#c\"}}", "TROUPE_LOG_LEVEL=debug")
	c, r, err := Load(in)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, c.Print(&b, r))
	require.Contains(t, b.String(), "max_per_ip: 3 # file t.yaml:1\n")
	require.Contains(t, b.String(), "idle_timeout: 1h30m # file t.yaml:1\n")
	require.Contains(t, b.String(), "level: debug # env TROUPE_LOG_LEVEL\n")
	require.Contains(t, b.String(), "max_connections: 1000\n")

	again, _, err := Load(yamlOf(b.String()))
	require.NoError(t, err)
	live, restart := Diff(c, again)
	require.Empty(t, live)
	require.Empty(t, restart)
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	const canary = "sk-canary-0123456789"
	c, r, err := Load(yamlOf(
		"http: {admin_token: '"+canary+"'}\nbus: {url: 'nats://user:"+canary+"@nats:4222'}\nproviders: {openai: {api_keys: ['"+canary+"']}}",
		"TROUPE_PROVIDERS_ECHO_API_KEYS="+canary))
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, c.Print(&b, r))
	require.Contains(t, b.String(), "[redacted]")
	c.Bus.URL = "" // a text: its printers are Print, above, and the bus's own
	for _, out := range []string{b.String(), fmt.Sprintf("%v %+v %#v", c, c.HTTP, c.Providers), strings.Join(r.Warnings, ""), strings.Join(c.Cautions(), "")} {
		require.NotContains(t, out, canary)
	}

	var blind bytes.Buffer
	blind.Write(c.HTTP.AdminToken.Reveal())
	require.Contains(t, blind.String(), canary, "or the test is blind")
}

func TestFormatDuration(t *testing.T) {
	c := Default()
	for want, d := range map[string]any{"5m": c.Limits.Connections.Window, "1h": c.Limits.Sessions.Window, "3m": c.Runs.FirstTokenTimeout, "25s": c.WebSocket.PingInterval} {
		require.Equal(t, want, formatScalar(reflect.ValueOf(d)))
	}
}
