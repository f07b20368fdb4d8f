package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Keys that are planted, of characters that every encoding writes differently.
// They begin like no vendor's, so that nothing hides them for their first
// letters alone.
const (
	canary = "cnry/7+Qz9=Xw-4f2c8d1e6b?Zk&vV0" // a user's
	finch  = "fnch/3+Vb8=Mn-9a7e5c2d4f?Pj&wW1" // the deployment's
)

// spellings are a key as sinks may write it. Base64 is sought at each of the
// three places where it can begin inside a longer text, without the characters
// that its neighbours change; lists of bytes by their first eight.
func spellings(key string) map[string]string {
	quoted, err := json.Marshal(key)
	if err != nil {
		panic(err) // a string
	}
	inJSON := string(quoted[1 : len(quoted)-1])
	query, path, small := url.QueryEscape(key), url.PathEscape(key), hex.EncodeToString([]byte(key))
	listed := func(verb, between string) string {
		var b []string
		for _, c := range []byte(key[:8]) {
			b = append(b, fmt.Sprintf(verb, c))
		}
		return strings.Join(b, between)
	}
	all := map[string]string{
		"plain": key, "reversed": reversed(key), "token": labelled(key), "small": strings.ToLower(key), "large": strings.ToUpper(key),
		"head": key[:14], "tail": key[len(key)-14:], // half a key is a leak too
		"hex": small, "HEX": strings.ToUpper(small), "half hex": small[:28],
		"query": query, "path": path, "query, small": strings.ToLower(query), "path, small": strings.ToLower(path),
		"percent": listed("%%%02x", ""), "PERCENT": listed("%%%02X", ""),
		"JSON": inJSON, "JSON with slashes": strings.ReplaceAll(inJSON, "/", `\/`), "slashes": strings.ReplaceAll(key, "/", `\/`),
		"Go": strings.Trim(strconv.Quote(key), `"`), "page": html.EscapeString(key), "template": strings.ReplaceAll(html.EscapeString(key), "+", "&#43;"),
		"decimals": listed("%d", " "), "list": listed("%d", ","), "spaced": listed("%02x", " "), "stack": listed("0x%x", ", "),
	}
	for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
		for shift := range 3 {
			coded := enc.EncodeToString(append(make([]byte, shift), key...))
			from := []int{0, 2, 3}[shift] // characters that hold bits of the padding
			all[fmt.Sprint(name, shift)] = coded[from : len(coded)-2]
		}
	}
	return all
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// labelled is a key without what a token of a header, or a label, cannot hold.
func labelled(key string) string {
	return strings.NewReplacer("/", "", "+", "", "=", "", "?", "", "&", "").Replace(key)
}

// leak is one place of a text that holds a key.
type leak struct{ key, how, around string }

// leaks tells how a text holds the keys.
func leaks(text string) (found []leak) {
	for _, key := range []string{canary, finch} {
		for how, spelling := range spellings(key) {
			if at := strings.Index(text, spelling); at >= 0 {
				found = append(found, leak{key, how, text[max(0, at-300):min(len(text), at+120)]})
			}
		}
	}
	return found
}

// What the canary tests look for is found, in each encoding, also inside of what
// was encoded as a whole; and what is no key is not.
func TestLeaksAreFound(t *testing.T) {
	b64, raw := base64.StdEncoding, base64.RawURLEncoding
	for _, key := range []string{canary, finch} {
		texts := map[string]string{
			"plain": key, "as a label": labelled(key), "half": key[:16], "other half": key[15:],
			"base64": b64.EncodeToString([]byte(key)), "base64 URL": raw.EncodeToString([]byte(key)),
			"base64 of a header": b64.EncodeToString([]byte("Bearer " + key)), "base64 of a user": b64.EncodeToString([]byte("u:" + key)),
			"base64 of a line": raw.EncodeToString([]byte("key: " + key + "\n")),
			"hex":              hex.EncodeToString([]byte(key)), "HEX": fmt.Sprintf("%X", key), "hex of a header": hex.EncodeToString([]byte("Bearer " + key)), "half in hex": hex.EncodeToString([]byte(key[:14])),
			"query": url.QueryEscape(key), "path": url.PathEscape(key), "query, small": strings.ToLower(url.QueryEscape(key)),
			"every byte": "%" + fmt.Sprintf("% x", key)[:2] + "%" + strings.ReplaceAll(fmt.Sprintf("% x", key[1:]), " ", "%"),
			"JSON":       inJSON(t, key), "slashes": strings.ReplaceAll(key, "/", `\/`), "a page": html.EscapeString(key),
			"%v of bytes": fmt.Sprint([]byte(key)), "%#v of bytes": fmt.Sprintf("%#v", []byte(key)), "% x": fmt.Sprintf("% x", key),
			"%q": strconv.Quote(key), "%+v": fmt.Sprintf("%+v", struct{ K *string }{&key}.K) + key, "capitals": strings.ToUpper(key),
		}
		for name, text := range texts {
			found := leaks("before " + text + " behind")
			require.NotEmpty(t, found, name)
			for _, l := range found {
				require.Equal(t, key, l.key, name)
				require.Contains(t, l.around, spellings(key)[l.how], name)
			}
		}
	}
	pair, err := bus.NewKeyPair()
	require.NoError(t, err)
	sealed, err := bus.Seal(pair.PublicKey(), []byte(canary), "info")
	require.NoError(t, err)
	secret := protocol.NewSecret([]byte(canary))
	for name, text := range map[string]string{
		"another key": "sk-another-key that is no canary", "its beginning": canary[:8], "nothing": "",
		"sealed": b64.EncodeToString(sealed), "sealed bytes": string(sealed), "fingerprint": printOf(canary),
		"a secret": fmt.Sprintf("%v %+v %#v %s %q %x %d %p", secret, secret, secret, secret, secret, secret, secret, &secret),
	} {
		require.Empty(t, leaks(text), name)
	}
}

func inJSON(t *testing.T, s string) string {
	t.Helper()
	data, err := json.Marshal(map[string]string{"k": s})
	require.NoError(t, err)
	return string(data)
}
