// Package canary has keys that are like no other text, so one of them anywhere is a
// leak, and finds them in every spelling in which they may leave.
package canary

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
)

// Keys are a deployment's and a user's own.
func Keys() []string {
	return []string{"sk-canary-deployment-6f1d2c9b7e", "sk-canary-user-0a8e4d51c3"}
}

// Spelled is one way in which a key may leave.
type Spelled struct{ How, Text string }

// Spellings are those of some keys.
type Spellings []Spelled

// Spell returns every spelling of the keys: plain, hex, URL-encoded, and base64 at
// every offset of three bytes, of which the middle is the same each time.
func Spell(keys []string) (all Spellings) {
	for _, key := range keys {
		all = append(all, Spelled{"plain", key}, Spelled{"hex", hex.EncodeToString([]byte(key))}, Spelled{"URL-encoded", url.QueryEscape(key)})
		for offset := range 3 {
			whole := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", offset) + key))
			all = append(all, Spelled{fmt.Sprintf("base64 at %d", offset), whole[4 : len(whole)-4]})
		}
	}
	return all
}

// In tells whether a key is in text, and how it is spelled there.
func (s Spellings) In(text string) (how string, found bool) {
	for _, k := range s {
		if strings.Contains(text, k.Text) {
			return k.How, true
		}
	}
	return "", false
}
