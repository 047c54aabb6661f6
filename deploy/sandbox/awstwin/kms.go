// KMS, as far as something that signs needs it: asymmetric keys whose private half nobody sees.

package awstwin

import (
	"crypto/ed25519"
	"crypto/x509"
	"slices"
	"strings"
	"time"
)

// kmsMessage is the longest message that Sign takes as it is (Sign, API reference).
const kmsMessage = 4096

const kmsSpec = "ECC_NIST_EDWARDS25519"

// kmsKey is a signing key of Ed25519, or one that encrypts and cannot sign.
type kmsKey struct {
	id, arn, state string // Enabled, Disabled, PendingDeletion
	symmetric      bool
	private        ed25519.PrivateKey
	created        time.Time
	aliases        []string // alias/…
}

// AddKey makes a signing key (ECC_NIST_EDWARDS25519, SIGN_VERIFY) in an account and Region, with aliases (alias/…), and gives its ARN.
func (o *Organization) AddKey(accountID, region string, aliases ...string) string {
	return o.makeKey(accountID, region, false, aliases)
}

// AddEncryptionKey makes a key that encrypts and does not sign.
func (o *Organization) AddEncryptionKey(accountID, region string, aliases ...string) string {
	return o.makeKey(accountID, region, true, aliases)
}

func (o *Organization) makeKey(accountID, region string, symmetric bool, aliases []string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	r := o.must(accountID).in(region)
	k := &kmsKey{id: o.uuid(), state: "Enabled", symmetric: symmetric, created: o.cfg.Now(), aliases: aliases}
	k.arn = r.arn("kms", "key/"+k.id)
	k.private = ed25519.NewKeyFromSeed([]byte(o.hex(ed25519.SeedSize)))
	r.keys[k.id] = k
	return k.arn
}

// SetKeyState changes the state of a key, by its ARN: Enabled, Disabled or PendingDeletion.
func (o *Organization) SetKeyState(arn, state string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if p := splitARN(arn); p != nil {
		if k := o.must(p[4]).in(p[3]).key(arn); k != nil {
			k.state = state
		}
	}
}

// KeyPublic is the public half of a key, by its ARN; nil where there is none.
func (o *Organization) KeyPublic(arn string) ed25519.PublicKey {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := splitARN(arn); p != nil {
		if k := o.must(p[4]).in(p[3]).key(arn); k != nil {
			return k.private.Public().(ed25519.PublicKey)
		}
	}
	return nil
}

// key finds a key by its id, ARN, alias, or an alias's ARN.
func (r *regional) key(id string) *kmsKey {
	for _, k := range r.keys {
		if id == k.id || id == k.arn || slices.Contains(k.aliases, id) || slices.Contains(k.aliases, strings.TrimPrefix(id, r.arn("kms", ""))) {
			return k
		}
	}
	return nil
}

func kmsService() *service {
	return &service{name: "kms", scope: "kms", target: "TrentService", source: "kms.amazonaws.com", prefix: "kms", proto: protoJSON,
		ops: map[string]*operation{
			"Sign":         reads(kmsSign).on(keyARN),
			"GetPublicKey": reads(kmsPublic).on(keyARN),
			"DescribeKey":  reads(kmsDescribe).on(keyARN),
		}}
}

type kmsInput struct {
	KeyId            string
	Message          []byte
	MessageType      string
	SigningAlgorithm string
	DryRun           bool
}

// where is the account and Region that a key's name points to: an ARN may be of another account. Of another Region it is of no use.
func (in *kmsInput) where(c *call) *regional {
	if p := splitARN(in.KeyId); p != nil && c.org.accounts[p[4]] != nil {
		return c.org.accounts[p[4]].in(c.region)
	}
	return c.place()
}

// keyARN: permissions are asked for the key's ARN, whatever name it was called by.
func keyARN(c *call) []string {
	var in kmsInput
	_ = c.decode(&in)
	r := in.where(c)
	if k := r.key(in.KeyId); k != nil {
		return []string{k.arn}
	}
	return []string{r.arn("kms", "key/"+in.KeyId)}
}

// find is the key of a call. A key of another account is closed, since no key policy is modelled: that of a key lets its own account decide.
func (in *kmsInput) find(c *call) (*kmsKey, error) {
	r := in.where(c)
	k := r.key(in.KeyId)
	if k == nil {
		text := "Key '" + keyARN(c)[0] + "' does not exist"
		if strings.Contains(in.KeyId, "alias/") {
			text = "Alias " + r.arn("kms", in.KeyId[strings.Index(in.KeyId, "alias/"):]) + " is not found."
		}
		return nil, fail("NotFoundException", "%s", text)
	}
	if r.account != c.who.account {
		return nil, c.org.denied(c, k.arn, "because no resource-based policy allows the "+c.action()+" action")
	}
	return k, nil
}

// usable is find for what needs the key's material.
func (in *kmsInput) usable(c *call) (*kmsKey, error) {
	k, err := in.find(c)
	switch {
	case err != nil:
		return nil, err
	case k.state == "Disabled":
		return nil, fail("DisabledException", "%s is disabled.", k.arn)
	case k.state != "Enabled":
		return nil, fail("KMSInvalidStateException", "%s is pending deletion.", k.arn)
	}
	return k, nil
}

func kmsSign(c *call, in *kmsInput) (any, error) {
	k, err := in.usable(c)
	if err != nil {
		return nil, err
	}
	if k.symmetric {
		return nil, fail("InvalidKeyUsageException", "%s key usage is ENCRYPT_DECRYPT which is not valid for Sign.", k.arn)
	}
	switch {
	case len(in.Message) == 0 || len(in.Message) > kmsMessage:
		return nil, fail("ValidationException", "1 validation error detected: Value at 'message' failed to satisfy constraint: Member must have length between 1 and %d", kmsMessage)
	case in.SigningAlgorithm == "ED25519_PH_SHA_512":
		return nil, fail("UnsupportedOperationException", "ED25519_PH_SHA_512 is not modelled here.")
	case in.SigningAlgorithm != "ED25519_SHA_512":
		return nil, fail("InvalidKeyUsageException", "Algorithm %s is incompatible with key spec %s.", in.SigningAlgorithm, kmsSpec)
	case in.MessageType != "" && in.MessageType != "RAW":
		return nil, fail("ValidationException", "MessageType %s is not valid for signing algorithm ED25519_SHA_512. It must be RAW.", in.MessageType)
	case in.DryRun:
		return nil, fail("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.").status(412)
	}
	c.trail.params = map[string]any{"keyId": k.id, "messageType": "RAW", "signingAlgorithm": in.SigningAlgorithm} // never the message
	return map[string]any{"KeyId": k.arn, "SigningAlgorithm": in.SigningAlgorithm, "Signature": ed25519.Sign(k.private, in.Message)}, nil
}

// kmsPublic gives the public key as DER, a SubjectPublicKeyInfo (RFC 5280).
func kmsPublic(c *call, in *kmsInput) (any, error) {
	k, err := in.usable(c)
	if err != nil {
		return nil, err
	}
	if k.symmetric {
		return nil, fail("UnsupportedOperationException", "%s is a symmetric key.", k.arn)
	}
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		return nil, err
	}
	return map[string]any{"KeyId": k.arn, "PublicKey": der, "KeySpec": kmsSpec, "KeyUsage": "SIGN_VERIFY",
		"SigningAlgorithms": []string{"ED25519_SHA_512", "ED25519_PH_SHA_512"}}, nil
}

func kmsDescribe(c *call, in *kmsInput) (any, error) {
	k, err := in.find(c)
	if err != nil {
		return nil, err
	}
	m := map[string]any{"AWSAccountId": c.who.account, "KeyId": k.id, "Arn": k.arn, "CreationDate": epoch(k.created), "Enabled": k.state == "Enabled",
		"KeyState": k.state, "KeyManager": "CUSTOMER", "Origin": "AWS_KMS", "MultiRegion": false, "KeySpec": kmsSpec, "KeyUsage": "SIGN_VERIFY",
		"SigningAlgorithms": []string{"ED25519_SHA_512", "ED25519_PH_SHA_512"}}
	if k.symmetric {
		delete(m, "SigningAlgorithms")
		m["KeySpec"], m["KeyUsage"], m["EncryptionAlgorithms"] = "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", []string{"SYMMETRIC_DEFAULT"}
	}
	return map[string]any{"KeyMetadata": m}, nil
}
