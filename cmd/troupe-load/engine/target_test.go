package engine

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

func TestTheAddressAndTheScenarioMakeTheRequest(t *testing.T) {
	for _, tt := range []struct{ name, address, path, want string }{
		{"a path", "ws://127.0.0.1:1/a/", "/b", "GET /a/b HTTP/1.1\r\n"},
		{"nothing", "ws://127.0.0.1:1", "", "GET / HTTP/1.1\r\n"},
		{"a query of the address", "ws://127.0.0.1:1?token=x", "/b", "GET /b?token=x HTTP/1.1\r\n"},
		{"a query of the scenario", "ws://127.0.0.1:1", "/b?user={{session}}", "GET /b?user=me HTTP/1.1\r\n"},
		{"a query of both", "ws://127.0.0.1:1?token=x", "/b?user={{session}}", "GET /b?user=me&token=x HTTP/1.1\r\n"},
		{"queries alone", "ws://127.0.0.1:1?token=x", "?user={{session}}", "GET /?user=me&token=x HTTP/1.1\r\n"},
		{"a user", "ws://me:secret@127.0.0.1:1", "/b", "\r\nAuthorization: Basic bWU6c2VjcmV0\r\n"},
	} {
		s := scenario.Default()
		s.Path = tt.path
		target, err := newTarget(t.Context(), tt.address, s)
		require.NoError(t, err, tt.name)
		require.Contains(t, target.request("me", "key"), tt.want, tt.name)
	}
	s := scenario.Default()
	s.Headers = map[string]string{"authorization": "Bearer mine"}
	target, err := newTarget(t.Context(), "ws://me:secret@127.0.0.1:1", s)
	require.NoError(t, err)
	require.NotContains(t, target.request("me", "key"), "Basic", "the scenario says who asks")
}

func TestAHostOfSeveralAddressesIsReachedWhereSomebodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	six, four, other := netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.9")
	for _, tt := range []struct {
		name    string
		ips     []netip.Addr
		sources []netip.Addr
		want    string
	}{
		{"the first", []netip.Addr{four, six}, nil, "127.0.0.1"},
		{"the second", []netip.Addr{six, four}, nil, "127.0.0.1"},
		{"one alone is not tried", []netip.Addr{six}, nil, "::1"},
		{"nobody listens", []netip.Addr{other, six}, nil, "127.0.0.9"},
		{"the sources' family", []netip.Addr{six, other}, []netip.Addr{four}, "127.0.0.9"},
		{"written the long way", []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}, []netip.Addr{four}, "127.0.0.1"},
	} {
		got, err := (&target{sources: tt.sources}).reachable(t.Context(), tt.ips, port)
		require.NoError(t, err, tt.name)
		require.Equal(t, net.JoinHostPort(tt.want, port), got, tt.name)
	}
	_, err = (&target{sources: []netip.Addr{four}}).reachable(t.Context(), []netip.Addr{six}, port)
	require.EqualError(t, err, "source_addresses are of another family than ::1, which it stands for")
}
