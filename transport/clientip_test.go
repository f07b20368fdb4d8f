package transport

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClientAddress(t *testing.T) {
	trusted, errs := parsePrefixes("", []string{"10.0.0.0/8", "192.0.2.1", "fd00::/8", "::ffff:172.16.0.0/108"})
	require.Empty(t, errs)
	for _, c := range []struct {
		name, peer, xff, fwd, want string
	}{
		{"direct", "203.0.113.7", "", "", "203.0.113.7"},
		{"untrusted peer with a header", "203.0.113.7", "198.51.100.1", "", "203.0.113.7"},
		{"one proxy", "10.0.0.1", "198.51.100.1", "", "198.51.100.1"},
		{"never the leftmost", "10.0.0.1", "1.1.1.1, 198.51.100.1", "", "198.51.100.1"},
		{"two proxies", "10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "", "198.51.100.1"},
		{"all trusted", "10.0.0.1", "10.0.0.3, 10.0.0.2", "", "10.0.0.3"},
		{"silent proxy", "10.0.0.1", "", "", "10.0.0.1"},
		{"single address trusted", "192.0.2.1", "198.51.100.1", "", "198.51.100.1"},
		{"mapped prefix trusted", "172.16.0.9", "198.51.100.1", "", "198.51.100.1"},
		{"garbage", "10.0.0.1", "198.51.100.1, junk", "", "10.0.0.1"},
		{"garbage left of the client does not matter", "10.0.0.1", "junk, 198.51.100.1", "", "198.51.100.1"},
		{"with a port", "10.0.0.1", "198.51.100.1:4711", "", "198.51.100.1"},
		{"mapped", "10.0.0.1", "::ffff:198.51.100.1", "", "198.51.100.1"},
		{"IPv6 counts by /64", "10.0.0.1", "2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"},
		{"IPv6 with port", "10.0.0.1", "[2001:db8::1]:443", "", "2001:db8::/64"},
		{"zone", "10.0.0.1", "fe80::1%eth0", "", "fe80::/64"},
		{"Forwarded", "10.0.0.1", "", `for=198.51.100.1;proto=https`, "198.51.100.1"},
		{"Forwarded, several", "10.0.0.1", "", `for=1.1.1.1, for="198.51.100.1:80", For="[fd00::2]"`, "198.51.100.1"},
		{"Forwarded, IPv6", "10.0.0.1", "", `for="[2001:db8::1]"`, "2001:db8::/64"},
		{"Forwarded, unknown", "10.0.0.1", "", `for=unknown`, "10.0.0.1"},
		{"Forwarded, hidden", "10.0.0.1", "", `for=_secret`, "10.0.0.1"},
		{"Forwarded, comma in quotes", "10.0.0.1", "", `for=198.51.100.1;host="a,for=1.1.1.1"`, "198.51.100.1"},
		{"Forwarded, open quote", "10.0.0.1", "", `for="198.51.100.1`, "10.0.0.1"},
		{"both agree", "10.0.0.1", "198.51.100.1", "for=198.51.100.1", "198.51.100.1"},
		{"both differ", "10.0.0.1", "198.51.100.1", "for=1.1.1.1", "10.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			if c.xff != "" {
				h.Set("X-Forwarded-For", c.xff)
			}
			if c.fwd != "" {
				h.Set("Forwarded", c.fwd)
			}
			require.Equal(t, c.want, addressKey(trusted.client(netip.MustParseAddr(c.peer), h)))
		})
	}
	require.Equal(t, "unknown", addressKey(netip.Addr{}))
}

func TestReachedSite(t *testing.T) {
	trusted, _ := parsePrefixes("", []string{"10.0.0.1"})
	for _, c := range []struct {
		name, peer           string
		header               http.Header
		wantScheme, wantHost string
	}{
		{"direct", "203.0.113.7", http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil"}}, "http", "inner"},
		{"proxy ends TLS", "10.0.0.1", http.Header{"X-Forwarded-Proto": {"https"}}, "https", "inner"},
		{"proxy names the host", "10.0.0.1", http.Header{"X-Forwarded-Proto": {"HTTPS"}, "X-Forwarded-Host": {"a, chat.example"}}, "https", "chat.example"},
		{"Forwarded", "10.0.0.1", http.Header{"Forwarded": {`for=198.51.100.1;proto=https;host="chat.example:8443"`}}, "https", "chat.example:8443"},
		{"nonsense scheme", "10.0.0.1", http.Header{"X-Forwarded-Proto": {"javascript"}}, "http", "inner"},
	} {
		t.Run(c.name, func(t *testing.T) {
			scheme, host := trusted.reached(netip.MustParseAddr(c.peer), &http.Request{Host: "inner", Header: c.header})
			require.Equal(t, c.wantScheme, scheme)
			require.Equal(t, c.wantHost, host)
		})
	}
}

func TestUntrustedForwardingIsSaidOnce(t *testing.T) {
	s := start(t, newScripted())
	for range 3 {
		s.request("POST", "/api/chat", `{"content":"x"}`, "Content-Type", "application/json", "X-Forwarded-For", "1.2.3.4")
	}
	require.Equal(t, "127.0.0.1", s.gw.lastClient(t).Address)
	require.Len(t, s.log.with("forwarding header of an untrusted peer ignored"), 1)
	require.Contains(t, s.Warnings()[0], "127.0.0.1")
	require.Contains(t, s.Warnings()[0], "http.trusted_proxies")
}

func FuzzForwarded(f *testing.F) {
	f.Add("for=1.2.3.4", "1.2.3.4, 10.0.0.2")
	f.Add(`for="[::1]:80";proto=https;host="a\"b"`, "::ffff:1.2.3.4%x")
	f.Add(`for=unknown,,;=`, ",,")
	trusted := proxies{netip.MustParsePrefix("10.0.0.0/8")}
	peer := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, fwd, xff string) {
		h := http.Header{"Forwarded": {fwd}, "X-Forwarded-For": {xff}}
		a := trusted.client(peer, h)
		require.True(t, a.IsValid())
		require.Empty(t, a.Zone())
		require.Equal(t, peer, proxies(nil).client(peer, h), "nobody is trusted")
	})
}
