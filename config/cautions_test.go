package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const idle = "a worker ignores this; it takes no clients and listens on http.admin_listen alone"

func TestWorkerCautions(t *testing.T) {
	tests := []struct {
		name string
		yaml string
		env  []string
		args []string
		want []string
	}{
		{
			"a file that gateways share", "http: {listen: ':80', trusted_proxies: [10.0.0.1]}\nproviders: {openai: {api_keys: ['env:OPENAI_API_KEY']}}",
			[]string{"OPENAI_API_KEY=k"},
			nil, nil,
		},
		{"a port", "", nil, []string{"--http.admin_listen=127.0.0.1:9000", "--http.tls.cert=c", "--http.tls.key=k"}, nil},
		{"an open port", "http: {admin_listen: ':9000'}", nil, nil, []string{
			"http.admin_listen: :9000 is open to whoever reaches it; set http.admin_token or listen on 127.0.0.1",
		}},
		{"meant for a gateway", "http: {admin_listen: '127.0.0.1:9000'}", []string{"TROUPE_HTTP_EXTRA_ORIGINS=https://a.example"}, []string{"--http.listen=:80"}, []string{
			"http.extra_origins, http.listen: " + idle,
		}},
		{"a token without a port", "", []string{"TROUPE_HTTP_ADMIN_TOKEN=0123456789abcdef"}, nil, []string{"http.admin_token: " + idle}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := yamlOf(tt.yaml, tt.env...)
			s.Args = tt.args
			c, r, err := Load(s)
			require.NoError(t, err)
			require.Equal(t, tt.want, c.WorkerCautions(r))
		})
	}
}
