package protocol

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

const canary = "sk-canary-7f3a9Q/+=="

func canarySecret() Secret { return NewSecret([]byte(canary)) }

// Exported and unexported ways to hold a secret. fmt calls no methods on the
// unexported ones.
type holder struct {
	Open    Secret
	closed  Secret
	Pointer *Secret
	hidden  *Secret
	Map     map[string]Secret
	inMap   map[string]Secret
	Slice   []Secret
	slice   []Secret
	Any     any
	any     any
	array   [1]Secret
	nested  struct{ deep struct{ s Secret } }
}

func newHolder() holder {
	s := canarySecret()
	h := holder{
		Open: s, closed: s, Pointer: &s, hidden: &s,
		Map: map[string]Secret{"k": s}, inMap: map[string]Secret{"k": s},
		Slice: []Secret{s}, slice: []Secret{s}, Any: s, any: s, array: [1]Secret{s},
	}
	h.nested.deep.s = s
	return h
}

// disguises are the ways in which a printer may show the canary.
func disguises() map[string]string {
	decimals := make([]string, 0, len(canary))
	goBytes := make([]string, 0, len(canary))
	octal := make([]string, 0, len(canary))
	for _, c := range []byte(canary) {
		decimals = append(decimals, strconv.Itoa(int(c)))
		goBytes = append(goBytes, fmt.Sprintf("%#x", c))
		octal = append(octal, strconv.FormatInt(int64(c), 8))
	}
	return map[string]string{
		"plain":         canary,
		"without tail":  canary[:10],
		"hex":           hex.EncodeToString([]byte(canary)),
		"HEX":           strings.ToUpper(hex.EncodeToString([]byte(canary))),
		"spaced hex":    fmt.Sprintf("% x", canary),
		"base64":        base64.StdEncoding.EncodeToString([]byte(canary)),
		"base64url":     base64.RawURLEncoding.EncodeToString([]byte(canary)),
		"URL":           url.QueryEscape(canary),
		"decimals":      strings.Join(decimals, " "),
		"JSON decimals": strings.Join(decimals, ","),
		"Go bytes":      strings.Join(goBytes, ", "),
		"octal":         strings.Join(octal, " "),
	}
}

// hides fails where out shows the canary in any disguise.
func hides(t *testing.T, how, out string) {
	t.Helper()
	for name, disguise := range disguises() {
		require.NotContains(t, out, disguise, "%s shows the secret as %s", how, name)
	}
}

func verbs() []string {
	return []string{
		"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%o", "%b", "%c", "%U", "%t", "%e", "%p", "%w", "%z", "%!", "%10.3s",
	}
}

func secretHolders() map[string]any {
	h, s := newHolder(), canarySecret()
	return map[string]any{
		"secret": s, "pointer": &s, "struct": h, "pointer to struct": &h,
		"map": map[string]Secret{"k": s}, "map of holders": map[string]holder{"k": h}, "slice": []Secret{s}, "any": []any{s, &s, h, &h},
		"chat": &Chat{Keys: map[string]Secret{"openai": s}}, "bad": struct{ q Request }{&Chat{Keys: map[string]Secret{"openai": s}}},
	}
}

func TestSecretHidesFromFmt(t *testing.T) {
	for name, value := range secretHolders() {
		for _, verb := range verbs() {
			hides(t, name+" "+verb, fmt.Sprintf(verb, value))
		}
		hides(t, name+" Sprint", fmt.Sprint(value))
		hides(t, name+" Sprintln", fmt.Sprintln(value))
		hides(t, name+" Errorf", fmt.Errorf("failed: %v", value).Error())
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.Equal(t, redacted, fmt.Sprintf(verb, canarySecret()), verb)
		require.Equal(t, redacted, fmt.Sprintf(verb, new(canarySecret())), verb)
		require.Contains(t, fmt.Sprintf(verb, map[string]Secret{"k": canarySecret()}), redacted, verb)
	}
	require.Equal(t, redacted, canarySecret().String())
	require.Equal(t, redacted, canarySecret().GoString())
}

// A search that cannot find anything proves nothing.
func TestSecretSearchIsNotBlind(t *testing.T) {
	naked := struct{ b []byte }{[]byte(canary)}
	found := map[string]bool{}
	for _, verb := range append(verbs(), "%v") {
		out := fmt.Sprintf(verb, naked) + fmt.Sprintf(verb, []byte(canary))
		for name, disguise := range disguises() {
			found[name] = found[name] || strings.Contains(out, disguise)
		}
	}
	for _, name := range []string{"plain", "hex", "HEX", "spaced hex", "decimals", "Go bytes", "octal"} {
		require.True(t, found[name], name)
	}
	encoded, err := json.Marshal([]byte(canary))
	require.NoError(t, err)
	require.Contains(t, string(encoded), disguises()["base64"])
}

func TestSecretHidesFromJSON(t *testing.T) {
	for name, value := range secretHolders() {
		out, err := json.Marshal(value)
		require.NoError(t, err, name)
		hides(t, "json of "+name, string(out))
	}
	out, err := json.Marshal(map[string]any{"a": canarySecret(), "b": []Secret{canarySecret()}})
	require.NoError(t, err)
	require.Equal(t, `{"a":"[redacted]","b":["[redacted]"]}`, string(out))

	text, err := canarySecret().MarshalText()
	require.NoError(t, err)
	require.Equal(t, redacted, string(text))
}

func TestSecretHidesFromLoggers(t *testing.T) {
	for name, value := range secretHolders() {
		var out bytes.Buffer
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", value)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", value)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", slog.Group("g", "v", value))
		slog.New(zerolog.NewSlogHandler(zerolog.New(&out))).Info("m", "v", value)

		log := zerolog.New(&out)
		log.Info().Interface("v", value).Msg("m")
		log.Info().Any("v", value).Fields(map[string]any{"w": value}).Msg("m")
		log.Info().Str("v", fmt.Sprint(value)).Msgf("%v", value)
		log.Info().Stringer("v", canarySecret()).Msg("m")
		log.Err(fmt.Errorf("with %+v", value)).Msg("m")
		console := zerolog.New(zerolog.ConsoleWriter{Out: &out, NoColor: true})
		console.Info().Interface("v", value).Msg("m")
		hides(t, "log of "+name, out.String())
	}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "key", canarySecret())
	require.Contains(t, out.String(), "key="+redacted)
	out.Reset()
	zl := zerolog.New(&out)
	zl.Info().Interface("key", canarySecret()).Send()
	require.JSONEq(t, `{"level":"info","key":"[redacted]"}`, out.String())
}

func TestSecretHidesInAPanic(t *testing.T) {
	for name, value := range secretHolders() {
		func() {
			defer func() {
				v := recover()
				hides(t, "panic of "+name, fmt.Sprint(v))
				err, ok := v.(error)
				require.True(t, ok)
				hides(t, "panic of "+name, err.Error())
			}()
			panic(errors.Join(fmt.Errorf("%v", value), fmt.Errorf("%#v", value)))
		}()
	}
}

func TestSecretOwnsItsBytes(t *testing.T) {
	raw := []byte(canary)
	s := NewSecret(raw)
	copied := s
	require.False(t, s.Empty())
	require.Equal(t, canary, string(s.Reveal()))
	require.Same(t, &raw[0], &s.Reveal()[0], "Reveal copies nothing")

	copied.Zero()
	require.Equal(t, make([]byte, len(canary)), raw)
	require.Equal(t, make([]byte, len(canary)), s.Reveal(), "copies share their bytes")
}

func TestSecretZeroValue(t *testing.T) {
	for _, s := range []Secret{{}, NewSecret(nil), NewSecret([]byte{})} {
		require.True(t, s.Empty())
		require.Empty(t, s.Reveal())
		require.Equal(t, redacted, fmt.Sprint(s))
		require.NotPanics(t, s.Zero)
	}
	var none *Secret
	require.NotPanics(t, func() { _ = fmt.Sprintf("%v %+v %#v %d", none, none, none, none) })
}

func TestSecretUnmarshalText(t *testing.T) {
	text := []byte(canary)
	var s Secret
	require.NoError(t, s.UnmarshalText(text))
	clear(text)
	require.Equal(t, canary, string(s.Reveal()))

	var in struct{ Key Secret }
	require.NoError(t, json.Unmarshal([]byte(`{"Key":"abc"}`), &in))
	require.Equal(t, "abc", string(in.Key.Reveal()))
	require.NoError(t, s.UnmarshalText(nil))
	require.True(t, s.Empty())
}

func TestTakeKeyDestroysTheOthers(t *testing.T) {
	wanted, other := []byte("wanted"), []byte("other")
	c := &Chat{Keys: map[string]Secret{"openai": NewSecret(wanted), "gemini": NewSecret(other)}}
	key := c.TakeKey("openai")
	require.Equal(t, "wanted", string(key.Reveal()))
	require.Equal(t, make([]byte, 5), other)
	require.Nil(t, c.Keys)
	none := c.TakeKey("openai")
	require.True(t, none.Empty())
}
