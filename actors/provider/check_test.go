package provider

import (
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// What Check refuses Stream refuses in the same words, and what it lets pass
// Stream does not refuse before it asks.
func TestCheckSaysWhatStreamSays(t *testing.T) {
	srv := providertest.New(t, providertest.Say("a"))
	list := []string{"m-1", "m-2"}
	tests := map[string]struct {
		config Config
		model  string
		keyed  bool
		fault  Fault
		code   protocol.Code // "" = it passes
	}{
		"no key, no base_url":         {Config{Type: TypeOpenAI}, "m-1", false, FaultKeyDenied, protocol.ProviderUnauthorized},
		"no key, nor a model":         {Config{Type: TypeGemini}, "", false, FaultKeyDenied, protocol.ProviderUnauthorized},
		"no key, Anthropic":           {Config{Type: TypeAnthropic}, "m-1", false, FaultKeyDenied, protocol.ProviderUnauthorized},
		"no key, base_url":            {Config{Type: TypeOpenAI, BaseURL: srv.URL()}, "m-1", false, FaultNone, ""},
		"a key":                       {Config{Type: TypeOpenAI, BaseURL: srv.URL()}, "m-1", true, FaultNone, ""},
		"no model":                    {Config{Type: TypeOpenAI}, "", true, FaultNone, protocol.UnknownModel},
		"no model, base_url":          {Config{Type: TypeOpenAI, BaseURL: srv.URL()}, "", false, FaultNone, protocol.UnknownModel},
		"a default":                   {Config{Type: TypeOpenAI, BaseURL: srv.URL(), DefaultModel: "m-1"}, "", true, FaultNone, ""},
		"not offered":                 {Config{Type: TypeOpenAI, Models: list}, "m-3", true, FaultNone, protocol.UnknownModel},
		"offered":                     {Config{Type: TypeOpenAI, BaseURL: srv.URL(), Models: list}, "m-2", true, FaultNone, ""},
		"echo":                        {Config{Type: TypeEcho}, "", false, FaultNone, ""},
		"echo, its grammar":           {Config{Type: TypeEcho}, "echo-0s-3w", false, FaultNone, ""},
		"echo, not its grammar":       {Config{Type: TypeEcho}, "gpt", false, FaultNone, protocol.UnknownModel},
		"echo, a list":                {Config{Type: TypeEcho, Models: []string{"echo-0s"}}, "", true, FaultNone, ""},
		"echo, not on its list":       {Config{Type: TypeEcho, Models: []string{"echo-0s"}}, "echo", true, FaultNone, protocol.UnknownModel},
		"faulty":                      {Config{Type: TypeFaulty}, "anything", false, FaultNone, ""},
		"faulty, its own default":     {Config{Type: TypeFaulty}, "", false, FaultNone, ""},
		"faulty, a list":              {Config{Type: TypeFaulty, Models: []string{"503"}}, "503", false, FaultNone, ""},
		"faulty, not on its list":     {Config{Type: TypeFaulty, Models: []string{"503"}}, "429", false, FaultNone, protocol.UnknownModel},
		"faulty, a default":           {Config{Type: TypeFaulty, Models: []string{"m-1"}, DefaultModel: "m-1"}, "", false, FaultNone, ""},
		"faulty, default not on list": {Config{Type: TypeFaulty, Models: []string{"503"}}, "", false, FaultNone, protocol.UnknownModel},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := tt.config
			fault, err := Check("vendor", &tt.config, tt.model, tt.keyed)
			require.Equal(t, before, tt.config, "it is only read")
			require.Equal(t, tt.fault, fault)

			p, newErr := New("vendor", tt.config, Deps{Log: zerolog.Nop(), FaultyURL: func(string) string { return srv.URL() }})
			require.NoError(t, newErr)
			if c, ok := p.(interface{ Close() error }); ok {
				t.Cleanup(func() { require.NoError(t, c.Close()) })
			}
			own, told := p.(Checker).Check(tt.model, tt.keyed)
			require.Equal(t, fault, own)
			require.Equal(t, err, told)
			q := ask("a")
			q.Model = tt.model
			if tt.keyed {
				q.Key = secret("sk-test")
			}
			_, res, streamed := stream(t, p, q)
			if tt.code == "" {
				require.NoError(t, err)
				require.NoError(t, streamed)
				return
			}
			require.Equal(t, requireCode(t, streamed, tt.code), requireCode(t, err, tt.code))
			require.Equal(t, fault, res.Fault)
			require.True(t, res.Unsent)
		})
	}
}
