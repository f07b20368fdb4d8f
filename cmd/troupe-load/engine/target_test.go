package engine

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

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
