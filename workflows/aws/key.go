package aws

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"breakglass/store"
)

// inKMS is where a key is that nobody can read, its owner included: it only signs.
const inKMS = "kms:"

// maxKey is more than a key in the note format; a file that holds more is not one.
const maxKey = 1 << 10

// KeyNeedsAWS says whether a signing key is kept in AWS, so that a Connection is needed to use it.
func KeyNeedsAWS(ref string) bool {
	return strings.HasPrefix(ref, inKMS) || strings.HasPrefix(ref, inManager)
}

// Signer resolves BREAKGLASS_KEY to what signs checkpoints, and to the verifier key (in the note format) that anybody may have. ref is
//
//	file:PATH             a private key in the note format; made there, with mode 0600, where there is no such file
//	secretsmanager:NAME   the same, as the current string of a secret in the bot's own Region
//	kms:ID, kms:ARN, kms:alias/NAME   a key of spec ECC_NIST_EDWARDS25519 that may sign
//
// A private key brings its own name along, name is for the key that is made, and for KMS, whose keys have none. Neither error nor log has any
// part of a private key. c may be nil where KeyNeedsAWS says no.
//
// The signer of a KMS key calls AWS with each signature, which may take 20 s: sign outside of transactions. Its errors are to be tried again, but
// for a *store.Refusal.
func (c *Connection) Signer(ctx context.Context, ref, name string) (note.Signer, string, error) {
	if c == nil && KeyNeedsAWS(ref) {
		return nil, "", errors.New("the signing key is kept in AWS, and there is no connection to it")
	}
	switch {
	case strings.HasPrefix(ref, inFile) && ref != inFile:
		path := strings.TrimPrefix(ref, inFile)
		text, err := keyFile(path, name)
		if err != nil {
			return nil, "", err
		}
		return signerOf(text, "the file "+path)
	case strings.HasPrefix(ref, inManager):
		text, err := Secret(ctx, c, ref)
		if err != nil {
			return nil, "", lostKey(strings.TrimPrefix(ref, inManager), err)
		}
		return signerOf(text, "the secret "+strings.TrimPrefix(ref, inManager))
	case strings.HasPrefix(ref, inKMS):
		return c.kmsSigner(ctx, strings.TrimPrefix(ref, inKMS), name)
	}
	// ref is not repeated: somebody may have put the key itself there.
	return nil, "", errors.New("BREAKGLASS_KEY must be file:PATH, secretsmanager:NAME or kms:KEY")
}

// signerOf reads a private key. The errors of the note package are fixed texts and have nothing of the key.
func signerOf(text, where string) (note.Signer, string, error) {
	s, err := note.NewSigner(text)
	if err != nil {
		return nil, "", fmt.Errorf("%s holds no signing key (PRIVATE+KEY+name+hash+key): %w", where, err)
	}
	verifier, err := verifierOf(text)
	if err != nil {
		return nil, "", fmt.Errorf("%s: deriving the public key: %w", where, err)
	}
	return s, verifier, nil
}

// keyFile reads the key in a file, and makes one where there is none.
func keyFile(path, name string) (string, error) {
	text, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	private, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", fmt.Errorf("making a signing key: %w", err)
	}
	if _, err := note.NewSigner(private); err != nil {
		return "", fmt.Errorf("making a signing key: %q can be no name of a key: %w", clean(name, 100), err)
	}
	if err := makeKey(path, private); err != nil {
		return "", fmt.Errorf("making a signing key: %w", err)
	}
	return readKey(path) // which may be another's, who was quicker
}

func readKey(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("reading the signing key: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxKey {
		return "", fmt.Errorf("reading the signing key: %s is no file with a key", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the signing key: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// makeKey writes a key to a file of its own and links it to its name, which fails where there is one by now: no key is ever written over, and
// none is seen half written. A key that was used and then lost in a power cut would have to be explained to auditors, so all of it is flushed.
func makeKey(path, private string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".key-") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(private + "\n")
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// lostKey says how a secret that is not there comes to be there. It is not made here: a bot that may write its own key's secret may also
// replace it.
func lostKey(name string, err error) error {
	var r *store.Refusal
	if errors.As(err, &r) && r.Code == codeNotFound {
		return fmt.Errorf("%w; make a key with BREAKGLASS_KEY=file:signing.key breakglass config, store it with "+
			"aws secretsmanager create-secret --name %s --secret-string file://signing.key, and delete the file", err, clean(name, 200))
	}
	return err
}
