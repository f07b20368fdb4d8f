package bus

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefaultIsValid(t *testing.T) {
	require.NoError(t, Default().Validate())
	require.Equal(t, "troupe", Default().Prefix)
}

func TestValidateNamesTheKey(t *testing.T) {
	cases := []struct {
		name string
		set  func(*Config)
		want string // empty = valid
	}{
		{"one server", func(c *Config) { c.URL = "nats://a:4222" }, ""},
		{"two servers", func(c *Config) { c.URL = "nats://u:p@a:4222, tls://b" }, ""},
		{"websocket", func(c *Config) { c.URL = "wss://a:443" }, ""},
		{"no scheme", func(c *Config) { c.URL = "a:4222" }, "bus.url: server 1"},
		{"http", func(c *Config) { c.URL = "nats://a,http://b" }, "bus.url: server 2"},
		{"empty entry", func(c *Config) { c.URL = "nats://a," }, "bus.url: server 2"},
		{"not a URL", func(c *Config) { c.URL = "nats://u:hunter2@a:port" }, "bus.url: server 1"},
		{"empty prefix", func(c *Config) { c.Prefix = "" }, "bus.prefix"},
		{"prefix with a dot", func(c *Config) { c.Prefix = "a.b" }, "bus.prefix"},
		{"prefix with a line break", func(c *Config) { c.Prefix = "a\n" }, "bus.prefix"},
		{"inbox", func(c *Config) { c.InboxPrefix = "_INBOX.team" }, ""},
		{"inbox wildcard", func(c *Config) { c.InboxPrefix = "a.*" }, "bus.inbox_prefix"},
		{"inbox with a last dot", func(c *Config) { c.InboxPrefix = "a." }, "bus.inbox_prefix"},
		{"cert alone", func(c *Config) { c.URL, c.TLS.Cert = "tls://a", "x" }, "bus.tls"},
		{"embedded with credentials", func(c *Config) { c.Credentials = "x" }, "bus.url"},
		{"embedded with TLS", func(c *Config) { c.TLS.CA = "x" }, "bus.url"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := Default()
			c.set(&cfg)
			err := cfg.Validate()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	err := Config{URL: "x", InboxPrefix: ">"}.Validate()
	for _, key := range []string{"bus.url", "bus.prefix", "bus.inbox_prefix"} {
		require.ErrorContains(t, err, key)
	}
}

func TestRedactURL(t *testing.T) {
	for in, want := range map[string]string{
		"":                                   "",
		"nats://a:4222":                      "nats://a:4222",
		"nats://user:hunter2@a:4222,tls://b": "nats://[redacted]@a:4222,tls://b",
		"nats://hunter2@a:4222":              "nats://[redacted]@a:4222",
		"nats://user:hunter2,34@a:4222":      "[redacted]",
		"hunter2@a":                          "[redacted]",
		"nats://user:hun%zzter2@a":           "[redacted]",
	} {
		require.Equal(t, want, RedactURL(in))
	}
}

func FuzzRedactURL(f *testing.F) {
	f.Add("user", "hunter2", "a:4222")
	f.Add("", "x,y", "b")
	f.Fuzz(func(t *testing.T, user, password, host string) {
		secret := "canary" + password + "canary"
		require.NotContains(t, RedactURL("nats://"+user+":"+secret+"@"+host+",nats://b"), secret)
	})
}
