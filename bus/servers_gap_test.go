package bus_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/bustest"
)

// bus.url may name several servers: one of them is enough to begin, and another
// one to go on.
func TestSeveralServers(t *testing.T) {
	one, two := bustest.Server(t), bustest.Server(t)
	one.Kill()
	ups := make(chan struct{}, 10)
	b := connect(t, to(one.URL()+","+two.URL(), "troupe"), bus.Options{OnUp: func() { ups <- struct{}{} }})
	receive(t, ups)
	ear := newEar()
	_, err := b.ListenGateway("g1", ear)
	require.NoError(t, err)
	flush(t, b)
	for id := range uint64(2) {
		require.NoError(t, b.Ask(job(id)))
		require.Equal(t, said{what: "none", to: id}, receive(t, ear.ch))
		if id == 0 {
			one.Start()
			two.Kill()
			at := time.Now()
			receive(t, ups)
			require.Less(t, time.Since(at), 2*time.Second)
		}
	}
}

// A question crosses a server with accounts, to which both ends show their
// credentials; another account hears nothing of it.
func TestCredentialsOfAnAccount(t *testing.T) {
	op, ours, theirs := newSigner(t, 'O'), newSigner(t, 'A'), newSigner(t, 'A')
	account := map[string]any{"type": "account", "version": 2, "limits": map[string]any{
		"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
	}}
	s := bustest.Server(t, bustest.Config(fmt.Sprintf("operator: %q\nresolver: MEMORY\nresolver_preload: {%s: %q, %s: %q}",
		op.sign(op, map[string]any{"type": "operator", "version": 2}),
		ours.public, op.sign(ours, account), theirs.public, op.sign(theirs, account))))
	join := func(a *signer) *bus.Bus {
		cfg := to(s.URL(), "troupe")
		cfg.Credentials = a.credentials(t)
		return connect(t, cfg, bus.Options{})
	}
	gateway, worker, stranger := join(ours), join(ours), join(theirs)
	ear := newEar()
	_, err := gateway.ListenGateway("g1", ear)
	require.NoError(t, err)
	jobs := make(chan string, 10)
	for name, b := range map[string]*bus.Bus{"worker": worker, "stranger": stranger} {
		_, err := b.Work("echo", func(_ *bus.Job, reply string) {
			jobs <- name
			_ = b.Reply(reply, &bus.Reply{Type: bus.ReplyBusy, Worker: "w1"})
		})
		require.NoError(t, err)
	}
	flush(t, gateway, worker, stranger)
	for id := range uint64(5) {
		require.NoError(t, gateway.Ask(job(id)))
		require.Equal(t, []any{"reply", id}, func(s said) []any { return []any{s.what, s.to} }(receive(t, ear.ch)))
		require.Equal(t, "worker", receive(t, jobs))
	}
}

// signer is an identity of NATS: an Ed25519 key and its names.
type signer struct {
	key    ed25519.PrivateKey
	kind   byte
	public string
}

// prefixes of the kinds: operator, account, user.
func prefixOf(kind byte) uint16 {
	return map[byte]uint16{'O': 14 << 3, 'A': 0, 'U': 20 << 3}[kind]
}

func newSigner(t *testing.T, kind byte) *signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	public := append([]byte{byte(prefixOf(kind))}, key.Public().(ed25519.PublicKey)...)
	return &signer{key: key, kind: kind, public: spelled(public)}
}

// spelled is base32 with the checksum that NATS puts behind its keys.
func spelled(raw []byte) string {
	var sum uint16
	for _, b := range raw {
		sum ^= uint16(b) << 8
		for range 8 {
			if carry := sum >> 15; carry == 1 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(binary.LittleEndian.AppendUint16(raw, sum))
}

// sign is what s says of another one, as a token.
func (s *signer) sign(subject *signer, claims map[string]any) string {
	part := func(v map[string]any) string {
		data, _ := json.Marshal(v) // of strings and numbers
		return base64.RawURLEncoding.EncodeToString(data)
	}
	token := part(map[string]any{"typ": "JWT", "alg": "ed25519-nkey"}) + "." + part(map[string]any{
		"jti": rand.Text(), "iat": time.Now().Unix(), "iss": s.public, "sub": subject.public, "name": "test", "nats": claims,
	})
	return token + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(s.key, []byte(token)))
}

// credentials is the file of a new user of this account.
func (s *signer) credentials(t *testing.T) string {
	t.Helper()
	user := newSigner(t, 'U')
	token := s.sign(user, map[string]any{"type": "user", "version": 2, "pub": map[string]any{}, "sub": map[string]any{}, "subs": -1, "data": -1, "payload": -1})
	const seed = 18 << 3 // the kind follows in the next five bits
	raw := []byte{seed | byte(prefixOf(user.kind)>>5), byte(prefixOf(user.kind) << 3)}
	file := filepath.Join(t.TempDir(), "user.creds")
	require.NoError(t, os.WriteFile(file, []byte("-----BEGIN NATS USER JWT-----\n"+token+"\n------END NATS USER JWT------\n\n"+
		"-----BEGIN USER NKEY SEED-----\n"+spelled(append(raw, user.key.Seed()...))+"\n------END USER NKEY SEED------\n"), 0o600))
	return file
}
