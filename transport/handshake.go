package transport

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it; nothing is protected by it
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	keySize   = 16                                     // bytes of a Sec-WebSocket-Key, decoded
	keyMagic  = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, 1.3
	wsVersion = "13"

	headerKey     = "Sec-Websocket-Key" // as net/http spells them
	headerVersion = "Sec-Websocket-Version"
)

// isUpgrade tells whether a request wants to become a WebSocket, also where it
// does not say so completely: serve then names what is missing.
func isUpgrade(r *http.Request) bool {
	return hasToken(r.Header, "Upgrade", "websocket") ||
		r.Header.Get(headerKey) != "" || r.Header.Get(headerVersion) != ""
}

// spoken tells whether whoever sent a handshake that is wrong speaks the
// protocol well enough to know better. One without its hop-by-hop headers came
// through a proxy that is not set up for it, and is nobody's offence.
func spoken(r *http.Request) bool {
	return hasToken(r.Header, "Upgrade", "websocket") && hasToken(r.Header, "Connection", "upgrade")
}

// refusal is an answer to a request that is no handshake.
type refusal struct {
	status  int
	message string
}

// checkHandshake judges a request by RFC 6455, 4.2.1. Offered subprotocols and
// extensions are left aside, which a server may do: none is chosen.
func checkHandshake(r *http.Request) *refusal {
	bad := func(message string) *refusal { return &refusal{http.StatusBadRequest, message} }
	key := r.Header.Values(headerKey)
	version := r.Header.Get(headerVersion)
	switch {
	case r.Method != http.MethodGet:
		return &refusal{http.StatusMethodNotAllowed, "This address takes GET with a WebSocket handshake, not " + methodName(r) + "."}
	case !isUpgrade(r):
		return &refusal{http.StatusUpgradeRequired, "This address speaks WebSocket: connect with ws:// or wss://. Missing header Upgrade: websocket."}
	case !r.ProtoAtLeast(1, 1):
		return bad("A WebSocket handshake needs HTTP/1.1.")
	case !hasToken(r.Header, "Upgrade", "websocket"):
		return bad("Missing header Upgrade: websocket. A proxy in front has to pass Upgrade and Connection on.")
	case !hasToken(r.Header, "Connection", "upgrade"):
		return bad("Missing header Connection: Upgrade. A proxy in front has to pass Upgrade and Connection on.")
	case version == "":
		return bad("Missing header Sec-WebSocket-Version: " + wsVersion + ".")
	case version != wsVersion:
		return &refusal{http.StatusUpgradeRequired, "Header Sec-WebSocket-Version must be " + wsVersion + "."}
	case len(key) == 0 || key[0] == "":
		return bad("Missing header Sec-WebSocket-Key.")
	case len(key) > 1 || !validKey(key[0]):
		return bad("Header Sec-WebSocket-Key must be one value: " + strconv.Itoa(keySize) + " bytes in base64.")
	case r.ContentLength != 0:
		return bad("A WebSocket handshake has no body.")
	}
	return nil
}

// methodName repeats a method only where it is a known one: a refusal quotes
// nothing that a client made up.
func methodName(r *http.Request) string {
	switch r.Method {
	case http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	default:
		return "another method"
	}
}

// answer writes the JSON of an HTTP error.
func (f *refusal) answer(w http.ResponseWriter) {
	h := w.Header()
	switch f.status {
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
	case http.StatusUpgradeRequired:
		h.Set("Upgrade", "websocket")
		h.Set("Connection", "Upgrade")
		h.Set("Sec-WebSocket-Version", wsVersion)
	}
	answerErrorStatus(w, f.status, protocol.NewError(protocol.InvalidMessage, f.message, 0))
}

// validKey tells whether key is 16 bytes in base64.
func validKey(key string) bool {
	var raw [keySize + 2]byte // what 24 characters may decode to
	if len(key) != base64.StdEncoding.EncodedLen(keySize) {
		return false
	}
	n, err := base64.StdEncoding.Decode(raw[:], []byte(key))
	return err == nil && n == keySize
}

// appendAcceptKey writes the proof that a server understood the handshake.
func appendAcceptKey(dst []byte, key string) []byte {
	var room [64]byte                                              // a valid key and the magic take 60
	sum := sha1.Sum(append(append(room[:0], key...), keyMagic...)) //nolint:gosec // as above
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// answerRoom holds the whole answer to a handshake.
const answerRoom = 160

// appendAnswer writes the 101 that ends the handshake.
func appendAnswer(dst []byte, key string) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = appendAcceptKey(dst, key)
	return append(dst, "\r\n\r\n"...)
}

// hasToken tells whether a comma-separated header, which may come in several
// lines, holds token, whatever its case.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}
