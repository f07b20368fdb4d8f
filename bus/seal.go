package bus

import (
	"crypto/hpke"
	"errors"
	"fmt"
	"strconv"
)

// ErrSeal says that a sealed key cannot be opened: it was sealed to another
// worker, for another job, or was changed on the way.
var ErrSeal = errors.New("bus: sealed key does not open")

// KeyPair opens what was sealed to one worker process. It is made at start,
// lives in memory alone and is safe for concurrent use.
type KeyPair struct {
	private hpke.PrivateKey
	public  []byte
}

// The suite is fixed, as both ends are ours: a hybrid key encapsulation, so that
// recorded traffic stays closed to a later quantum computer, once per run.
func sealKEM() hpke.KEM   { return hpke.MLKEM768X25519() }
func sealKDF() hpke.KDF   { return hpke.HKDFSHA256() }
func sealAEAD() hpke.AEAD { return hpke.ChaCha20Poly1305() }

// NewKeyPair makes the key pair of a worker.
func NewKeyPair() (*KeyPair, error) {
	private, err := sealKEM().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("bus: key pair: %w", err)
	}
	return &KeyPair{private: private, public: private.PublicKey().Bytes()}, nil
}

// PublicKey is what Seal needs, 1,216 bytes. It is read-only.
func (k *KeyPair) PublicKey() []byte { return k.public }

// Open returns the key that was sealed for info. The caller owns the bytes and
// zeroes them after their last use.
func (k *KeyPair) Open(sealed []byte, info string) ([]byte, error) {
	key, err := hpke.Open(k.private, sealKDF(), sealAEAD(), []byte(info), sealed)
	if err != nil {
		return nil, ErrSeal
	}
	return key, nil
}

// Seal closes a key to the worker with this public key. The result is 1,136
// bytes longer than the key. The key stays the caller's.
func Seal(public, key []byte, info string) ([]byte, error) {
	pk, err := sealKEM().NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("bus: public key of a worker: %w", ErrMalformed)
	}
	sealed, err := hpke.Seal(pk, sealKDF(), sealAEAD(), []byte(info), key)
	if err != nil {
		return nil, fmt.Errorf("bus: seal: %w", err)
	}
	return sealed, nil
}

// SealInfo binds a sealed key to one job and one provider: it opens for nothing
// else. Lengths keep two pairs of words from meaning the same.
func SealInfo(job, provider string) string {
	return "troupe/v1/key/" + strconv.Itoa(len(job)) + "/" + job + "/" + provider
}
