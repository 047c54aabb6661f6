package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// ErrKey: a key's text cannot be read. Its message never has the text.
var ErrKey = errors.New("this is not a key")

// KeyName is what the key of a store is called in its signatures: as its log, which is what C2SP's tlog-checkpoint recommends. A name
// has neither a plus sign nor blanks.
func KeyName(store string) string { return Origin(store, 1) }

// NewKey makes an Ed25519 key. private is the secret text that ParseKey reads, public what verifiers are given.
func NewKey(name string) (private, public string, err error) {
	if !validName(name) {
		return "", "", fmt.Errorf("make a key: %q cannot be its name", name)
	}
	private, public, err = note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	return private, public, nil
}

// ParseKey reads a private key; blanks around it, as files have, are passed over. The error is ErrKey.
func ParseKey(private string) (s note.Signer, public string, err error) {
	private = strings.TrimSpace(private)
	s, err = note.NewSigner(private)
	if err != nil {
		return nil, "", fmt.Errorf("%w: a private key begins with PRIVATE+KEY+ and has five parts", ErrKey)
	}
	parts := strings.SplitN(private, "+", 5) // base64 has plus signs of its own
	b, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(b) != 1+ed25519.SeedSize {
		return nil, "", ErrKey
	}
	public, err = note.NewEd25519VerifierKey(s.Name(), ed25519.NewKeyFromSeed(b[1:]).Public().(ed25519.PublicKey))
	if err != nil {
		return nil, "", ErrKey
	}
	return s, public, nil
}

// ParsePublic reads what verifiers are given: name+hash+key. The error is ErrKey.
func ParsePublic(public string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(public))
	if err != nil {
		return nil, fmt.Errorf("%w: a public key is name+hash+key", ErrKey)
	}
	return v, nil
}

// NewSigner is a signer whose private key is elsewhere, as in KMS: sign gives the 64 bytes of the Ed25519 signature (of the message itself, not
// of its hash). Each signature is checked before it is used, since one by another key would only be noticed by an auditor. public is the key as
// verifiers are given it.
func NewSigner(name string, key ed25519.PublicKey, sign func(msg []byte) ([]byte, error)) (s note.Signer, public string, err error) {
	if len(key) != ed25519.PublicKeySize || !validName(name) {
		return nil, "", fmt.Errorf("%w: %d bytes, called %q", ErrKey, len(key), name)
	}
	public, err = note.NewEd25519VerifierKey(name, key)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	hash, err := strconv.ParseUint(strings.Split(public, "+")[1], 16, 32)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	return &elsewhere{name: name, hash: uint32(hash), key: key, sign: sign}, public, nil
}

type elsewhere struct {
	name string
	hash uint32
	key  ed25519.PublicKey
	sign func([]byte) ([]byte, error)
}

func (e *elsewhere) Name() string    { return e.name }
func (e *elsewhere) KeyHash() uint32 { return e.hash }

func (e *elsewhere) Sign(msg []byte) ([]byte, error) {
	sig, err := e.sign(msg)
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(e.key, msg, sig) {
		return nil, fmt.Errorf("%w: another key than %s", ErrSignature, e.name)
	}
	return sig, nil
}

// validName is what the note package takes for the name of a key.
func validName(name string) bool {
	return name != "" && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsSpace) < 0 && !strings.Contains(name, "+")
}
