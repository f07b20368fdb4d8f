package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// strangerAddress is a client's that no configuration trusts.
const strangerAddress = "127.0.0.2"

// stranger asks from strangerAddress.
func stranger() *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(strangerAddress)}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
}

// trusts lists the networks whose word a deployed process believes.
func (d deployed) trusts(t *testing.T) (list []netip.Prefix) {
	t.Helper()
	for _, s := range d.load(t).HTTP.TrustedProxies {
		if a, err := netip.ParseAddr(s); err == nil {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		require.NoError(t, err, d.name)
		list = append(list, p)
	}
	return list
}

// Whoever is trusted can claim any address: no file of deploy/ trusts more than a
// handful of machines.
func TestDeployedTrustFew(t *testing.T) {
	image, trusting := dockerImage(t), 0
	for _, d := range slices.Concat(composed(t, image), units(t), supervised(t), pods(t, image)) {
		for _, p := range d.trusts(t) {
			trusting++
			require.LessOrEqual(t, p.Addr().BitLen()-p.Bits(), 4, "%s trusts all of %s", d.name, p)
		}
	}
	require.GreaterOrEqual(t, trusting, 4)
}

// The gateways of the compose file trust nginx at an address that nobody else can
// be given, and that is not the bridge's.
func TestComposedGatewaysTrustTheEdgeAlone(t *testing.T) {
	var file struct {
		Services struct {
			Nginx struct {
				Networks map[string]struct {
					Address netip.Addr `yaml:"ipv4_address"`
				} `yaml:"networks"`
			} `yaml:"nginx"`
		} `yaml:"services"`
		Networks struct {
			Front struct {
				IPAM struct {
					Config []struct {
						Subnet netip.Prefix `yaml:"subnet"`
						Range  netip.Prefix `yaml:"ip_range"`
					} `yaml:"config"`
				} `yaml:"ipam"`
			} `yaml:"front"`
		} `yaml:"networks"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(readDoc(t, "deploy/compose.yaml")), &file))
	edge := file.Services.Nginx.Networks["front"].Address
	require.Len(t, file.Networks.Front.IPAM.Config, 1)
	front := file.Networks.Front.IPAM.Config[0]
	require.True(t, front.Subnet.Contains(edge))
	require.NotEqual(t, front.Subnet.Addr().Next(), edge, "the bridge's own")
	require.True(t, front.Subnet.Contains(front.Range.Addr()))
	require.False(t, front.Range.Contains(edge), "%s may be given to any container", edge)
	for _, d := range composed(t, dockerImage(t)) {
		if d.args[0] == roleGateway {
			require.Equal(t, []netip.Prefix{netip.PrefixFrom(edge, 32)}, d.trusts(t), d.name)
		}
	}
}

// What clients claim to be is dropped at the edge by every balancer of deploy/,
// where it is installed: a gateway reads the address that they really came from,
// and nothing else.
func TestEdgesDropWhatClientsClaim(t *testing.T) {
	heard := make(chan http.Header, 1)
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" { // a balancer's own question
			heard <- r.Header
		}
	}))
	defer gateway.Close()
	for name, run := range map[string]func(t *testing.T, binary, text, address string){
		"deploy/nginx/fleet.conf": runNginx,
		"deploy/haproxy/fleet.cfg": func(t *testing.T, binary, text, address string) {
			file := filepath.Join(t.TempDir(), "conf")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			runEdge(t, address, binary, "-db", "-f", file)
		},
	} {
		program := filepath.Base(filepath.Dir(name))
		require.NotRegexp(t, `proxy_add_x_forwarded_for;|option forwardfor`, readDoc(t, name), "that would add to what a client says")
		binary, err := exec.LookPath(program)
		if err != nil {
			require.False(t, program == "nginx" && os.Getenv("CI") == "true", "nginx is not installed: %s must be run here", name)
			continue
		}
		t.Run(program, func(t *testing.T) {
			address := freeAddress(t)
			text := regexp.MustCompile(`gateway-\d+:8000`).ReplaceAllString(readDoc(t, name), strings.TrimPrefix(gateway.URL, "http://"))
			port := regexp.MustCompile(`(listen |bind :)80\b`)
			require.Len(t, port.FindAllString(text, -1), 1)
			text = port.ReplaceAllStringFunc(text, func(s string) string { return strings.Fields(strings.ReplaceAll(s, ":", " "))[0] + " " + address })
			run(t, binary, text, address)

			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/providers", nil)
			require.NoError(t, err)
			req.Header = http.Header{
				"X-Forwarded-For": {"203.0.113.9", "127.0.0.1"}, "Forwarded": {"for=203.0.113.9;host=evil.example"},
				"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"https"},
			}
			resp, err := stranger().Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusOK, resp.StatusCode)
			h := <-heard
			require.Equal(t, []string{strangerAddress}, h["X-Forwarded-For"])
			require.Equal(t, []string{"http"}, h["X-Forwarded-Proto"])
			require.NotContains(t, h, "Forwarded")
			require.NotContains(t, strings.Join(h["X-Forwarded-Host"], " "), "evil.example")
		})
	}
}
