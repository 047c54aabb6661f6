package aws

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"golang.org/x/mod/sumdb/note"

	"breakglass/store"
)

// signing has no effect but a line in CloudTrail, so it is repeated as a reading is.
var signing = manner{timeout: 5 * time.Second, attempts: 3, patience: 5 * time.Second}

// signLimit is for one signature, its repetitions included.
const signLimit = 20 * time.Second

// maxMessage is what KMS signs as it is (API reference of Sign, Message); a checkpoint has some two hundred bytes.
const maxMessage = 4096

// kmsKey signs by KMS. note.Verifier is the other half: each signature is verified by it before it is used, so that an answer that is wrong in any
// way is an error here and not a log that nobody can verify.
type kmsKey struct {
	note.Verifier
	c      *Connection
	client *kms.Client
	calls  *quota
	arn    string
	life   context.Context // values of the context it was made with, not its end: the last checkpoint is signed on the way out
}

// kmsSigner asks for the public key, and from then on names the key by its ARN: an alias may be moved to another key, whose signatures would
// then be refused one by one.
func (c *Connection) kmsSigner(ctx context.Context, id, name string) (note.Signer, string, error) {
	k := &kmsKey{c: c, calls: newQuota("kms", Rate{}, true), arn: id, life: context.WithoutCancel(ctx)}
	k.client = kms.NewFromConfig(c.base, func(o *kms.Options) {
		o.Retryer = sdk.NopRetryer{}
		if part := strings.Split(id, ":"); len(part) > 5 && part[0] == "arn" && part[3] != "" {
			o.Region = part[3] // a key is used where it is
		}
	})
	doing := "reading the public key of " + clean(id, 200)
	out, err := call(ctx, c, k.calls, "GetPublicKey", reading, func(ctx context.Context) (*kms.GetPublicKeyOutput, error) {
		return k.client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &id})
	})
	if err != nil {
		return nil, "", explainKMS(doing, err)
	}
	parsed, err := x509.ParsePKIXPublicKey(out.PublicKey)
	public, ok := parsed.(ed25519.PublicKey)
	if err != nil || !ok || out.KeyUsage != types.KeyUsageTypeSignVerify {
		return nil, "", refusedBy(doing, "WrongKey", fmt.Sprintf("the key must be of spec %s and usage %s; it is %s, %s",
			types.KeySpecEccNistEdwards25519, types.KeyUsageTypeSignVerify, out.KeySpec, out.KeyUsage))
	}
	verifier, err := note.NewEd25519VerifierKey(name, public)
	if err == nil {
		k.Verifier, err = note.NewVerifier(verifier)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s: %q can be no name of a key: %w", doing, clean(name, 100), err)
	}
	if arn := sdk.ToString(out.KeyId); arn != "" {
		k.arn = arn
	}
	return k, verifier, nil
}

// Sign has KMS sign msg as it is (pure Ed25519, RFC 8032).
func (k *kmsKey) Sign(msg []byte) ([]byte, error) {
	if len(msg) > maxMessage {
		return nil, fmt.Errorf("KMS signs at most %d bytes, not %d", maxMessage, len(msg))
	}
	ctx, cancel := context.WithTimeout(k.life, signLimit)
	defer cancel()
	out, err := call(ctx, k.c, k.calls, "Sign", signing, func(ctx context.Context) (*kms.SignOutput, error) {
		return k.client.Sign(ctx, &kms.SignInput{KeyId: &k.arn, Message: msg, MessageType: types.MessageTypeRaw,
			SigningAlgorithm: types.SigningAlgorithmSpecEd25519Sha512})
	})
	if err != nil {
		return nil, explainKMS("signing", err)
	}
	if !k.Verify(msg, out.Signature) {
		return nil, errors.New("signing: KMS answered with a signature that does not hold")
	}
	return out.Signature, nil
}

// kmsRefusals are KMS's answers that last (API reference of Sign and GetPublicKey).
var kmsRefusals = map[string]string{
	"NotFoundException":             "there is no such key",
	"DisabledException":             "the key is disabled: enable it, or name another",
	"KMSInvalidStateException":      "the key is about to be deleted, or in another state in which it does not sign",
	"InvalidKeyUsageException":      "the key is not for signing with Ed25519",
	"UnsupportedOperationException": "the key is not for signing with Ed25519",
	"InvalidArnException":           "that is not the ARN of a key",
	"AccessDeniedException":         "the bot may not use the key: it needs kms:Sign and kms:GetPublicKey, in its own policy or the key's",
}

func explainKMS(doing string, err error) error {
	if words, ok := kmsRefusals[code(err)]; ok {
		return fmt.Errorf("%s: %w", doing, &store.Refusal{Code: code(err), Message: words})
	}
	return explain(doing, err)
}

// verifierOf is the public half of a private key in the note format, which was read before and is well formed: PRIVATE+KEY+name+hash+base64,
// where the first byte says Ed25519 and the rest is the seed.
func verifierOf(private string) (string, error) {
	part := strings.SplitN(private, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(part[len(part)-1])
	if err != nil || len(part) != 5 || len(raw) != 1+ed25519.SeedSize {
		return "", errors.New("it is not a key")
	}
	return note.NewEd25519VerifierKey(part[2], ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey))
}
