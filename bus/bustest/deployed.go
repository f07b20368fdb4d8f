package bustest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Passwords of the users of Deployed. The server gets the worker's as a bcrypt
// hash, the others as they are.
const (
	GatewayPassword  = "gateway-password"
	WorkerPassword   = "worker-password"
	OperatorPassword = "operator-password"

	workerHash = "$2a$04$fCW9hRBjiI3S4FUEogwh/OU7VKEbGB0k/kEl9Ll7gQNG65bW6qL7."
)

// Comments of the shipped file that are switches, for Deployed.
const (
	WithOperator      = "    # { user: operator"
	WithOperatorTail  = "    #   publish:"
	WithClientCertify = "  # verify: true"
)

// Deployed is the server configuration that the project ships, a file of
// deploy/nats, with the certificates server.pem and ca.pem of a test's authority.
// What is commented out behind one of the given prefixes of lines is switched
// on. Nothing else of the file is changed but its ports.
func Deployed(t testing.TB, ca *CA, switches ...string) Option {
	t.Helper()
	t.Setenv("TROUPE_NATS_GATEWAY_PASSWORD", GatewayPassword)
	t.Setenv("TROUPE_NATS_WORKER_PASSWORD", workerHash)
	t.Setenv("TROUPE_NATS_OPERATOR_PASSWORD", OperatorPassword)
	text := Shipped(t, "nats-server.conf")
	replace := func(old, with string) {
		t.Helper()
		require.Contains(t, text, old, "deploy/nats/nats-server.conf")
		text = strings.ReplaceAll(text, old, with)
	}
	replace("/etc/nats/tls/", filepath.ToSlash(ca.Dir)+"/")
	replace("http: 127.0.0.1:8222", "http: 127.0.0.1:-1")
	for _, s := range switches {
		replace(s, strings.Replace(s, "# ", "", 1))
	}
	return func(string) string { return text }
}

// Shipped reads a file of deploy/nats.
func Shipped(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		up := filepath.Dir(dir)
		require.NotEqual(t, up, dir, "this test is not run inside of the source tree")
		dir = up
	}
	data, err := os.ReadFile(filepath.Join(dir, "deploy", "nats", name))
	require.NoError(t, err)
	return string(data)
}

// TLS is where clients of a Deployed server connect as a user.
func (s *NATS) TLS(user, password string) string {
	host := strings.TrimPrefix(s.URL(), "nats://")
	return fmt.Sprintf("tls://%s:%s@%s", user, password, host)
}
