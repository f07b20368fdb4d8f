package transport

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPageIsSelfContainedAndStrict(t *testing.T) {
	gw := newScripted()
	gw.products = map[string]string{"11": `<img src=x onerror=alert(1)>"'`, "12": ""}
	s := start(t, gw)
	index := s.request("GET", "/", "")
	require.Equal(t, 200, index.status)
	policy := index.header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.NotContains(t, policy, "unsafe")
	require.Empty(t, regexp.MustCompile(`(?i)(src|href)="(https?:)?//`).FindString(index.body), "no external asset")
	require.NotContains(t, index.body, "innerHTML")
	require.Empty(t, regexp.MustCompile(`(?i)\son[a-z]+=|\sstyle=`).FindString(regexp.MustCompile(`(?s)<(script|style)>.*?</(script|style)>`).ReplaceAllString(index.body, "")))

	for _, path := range []string{"/", "/products/11"} {
		got := s.request("GET", path, "")
		require.Equal(t, policy, got.header.Get("Content-Security-Policy"))
		for _, name := range []string{"script", "style"} {
			content := regexp.MustCompile(`(?s)<` + name + `>(.*)</` + name + `>`).FindStringSubmatch(got.body)
			require.Len(t, content, 2)
			sum := sha256.Sum256([]byte(content[1]))
			require.Contains(t, policy, name+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'", path)
		}
	}

	product := s.request("GET", "/products/11", "").body
	require.Contains(t, product, `data-product-id="11" data-product-name="&lt;img src=x onerror=alert(1)&gt;&#34;&#39;"`)
	require.Contains(t, s.request("GET", "/products/12", "").body, `data-product-name="Product 12"`)
	require.Equal(t, 404, s.request("GET", "/products/13", "").status)
	require.Equal(t, "PRODUCT_NOT_FOUND", s.request("GET", "/products/13", "").object(t)["code"])
	require.Equal(t, 400, s.request("GET", "/products/a%22b", "").status)
	require.Equal(t, 200, s.request("HEAD", "/", "").status)
}
