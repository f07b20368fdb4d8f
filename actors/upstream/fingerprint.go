package upstream

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// fingerprintDomain keeps our fingerprints apart from any other hash of a key,
// so that a fingerprint cannot be looked up elsewhere. Changing it makes workers
// of two versions deaf to each other's rests.
const fingerprintDomain = "troupe deployment key 1\x00"

// fingerprint names a deployment key between processes without telling it. It is
// one-way because vendors' keys are long and random.
func fingerprint(secret protocol.Secret) string {
	h := sha256.New()
	h.Write([]byte(fingerprintDomain))
	h.Write(secret.Reveal())
	return hex.EncodeToString(h.Sum(nil)[:8])
}
