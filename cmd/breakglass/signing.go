package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"breakglass/store"
	"breakglass/store/ledger"
	"breakglass/workflows/aws"
	"breakglass/workflows/policy"
)

// signing is what is known of the keys that sign checkpoints. Nothing of a private key is in it.
type signing struct {
	Kept    string   `json:"kept"`                 // where the private key is
	Public  string   `json:"public_key,omitempty"` // its public half, in the note format
	Named   []string `json:"named,omitempty"`      // the public keys that the store's log names, the oldest first
	Missing []string `json:"missing,omitempty"`    // what could not be read, in plain words
}

// beforeStore names a key that is made before there is a store, as one that will be kept as a secret.
const beforeStore = "breakglass"

// askSigning bounds how long config waits for a bot, a store or AWS.
const askSigning = 20 * time.Second

// readSigning reads which key signs. Where BREAKGLASS_KEY names a file that is not there, a key is made in it: it may be meant for a secret. The
// key beside the store is left to serve, which alone knows that a store is new. What cannot be read is said; config prints the rest all the same.
func readSigning(ctx context.Context, env environment) (s signing) {
	ctx, cancel := context.WithTimeout(ctx, askSigning)
	defer cancel()
	path, err := env.storePath()
	if err != nil {
		s.Missing = append(s.Missing, err.Error())
		return s
	}
	ref, name := env.keyAt(path), beforeStore
	if s.Kept = ref; !isReference(ref) {
		s.Kept = notShown
	}
	switch a, _, err := tell(ctx, command{Do: "ledger"}); {
	case err == nil:
		s.Named, name = namedKeys(a.Ledger.Keys), ledger.KeyName(a.Ledger.Store)
	case errors.Is(err, store.ErrNoStore):
		s.Missing = append(s.Missing, "there is no store yet, so no log that names a key")
	default:
		s.Missing = append(s.Missing, "which keys the log names: "+err.Error())
	}
	if env.Key == "" && !isThere(ref) {
		said := "there is no key yet: the first start makes it"
		if len(s.Named) > 0 {
			said = "the key that the log names last is not at " + ref + ": the next start makes another"
		}
		s.Missing = append(s.Missing, said)
		return s
	}
	if s.Public, err = publicKey(ctx, env, ref, name); err != nil {
		s.Missing = append(s.Missing, err.Error())
	}
	return s
}

// namedKeys is each key once, where it was named last.
func namedKeys(all []string) (out []string) {
	for i, k := range all {
		if !slices.Contains(all[i+1:], k) {
			out = append(out, k)
		}
	}
	return out
}

// isThere says whether a key that is to be a file is one; of other places nothing is known without asking.
func isThere(ref string) bool {
	file, ok := strings.CutPrefix(ref, "file:")
	if !ok {
		return true
	}
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// publicKey reads the key that signs checkpoints, which makes one where it is to be a file that is not there yet.
func publicKey(ctx context.Context, env environment, ref, name string) (string, error) {
	var conn *aws.Connection
	if aws.KeyNeedsAWS(ref) {
		var err error
		if conn, err = connectAnywhere(ctx, env); err != nil {
			return "", err
		}
	}
	_, key, err := conn.Signer(ctx, ref, name)
	if err != nil {
		return "", fmt.Errorf("the key that signs checkpoints: %w", err)
	}
	return key, nil
}

// connectAnywhere is AWS for what belongs to no Identity Center: a bucket, a key. It takes the Region from the policy where that can be read, else from
// where the AWS SDK reads it.
func connectAnywhere(ctx context.Context, env environment) (*aws.Connection, error) {
	pol, _, err := readPolicy(env.Policy)
	if err != nil {
		pol = &policy.Policy{}
		pol.IdentityCenter.Region = cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
	}
	return connect(ctx, env, pol)
}

// print says it below config's table.
func (s signing) print(w io.Writer) {
	fmt.Fprintln(w, "\nThe log's checkpoints are signed with the key at "+orDash(printable(s.Kept))+".")
	if s.Public != "" {
		fmt.Fprintf(w, "Its public key, which breakglass audit verify --key takes:\n\n%s\n", s.Public)
	}
	if others := slices.DeleteFunc(slices.Clone(s.Named), func(k string) bool { return k == s.Public }); len(others) > 0 {
		fmt.Fprintf(w, "\nThe log names besides, the oldest first:\n\n%s\n", strings.Join(others, "\n"))
	}
	for _, m := range s.Missing {
		fmt.Fprintln(w, "\nNote: "+printable(m)+".")
	}
}

// signingRow tries the key that signs checkpoints, and compares it with what the log names. It makes none.
func signingRow(ctx context.Context, env environment, conn *aws.Connection) aws.Row {
	r := aws.Row{What: "key that signs checkpoints", Needed: "a key that signs, which the log names"}
	path, err := env.storePath()
	if err != nil {
		r.Found, r.Remedy = err.Error(), "mend BREAKGLASS_STORE"
		return r
	}
	ref := env.keyAt(path)
	var named []string
	if a, _, err := tell(ctx, command{Do: "ledger"}); err == nil {
		named = namedKeys(a.Ledger.Keys)
	}
	if !isThere(ref) {
		if r.Found, r.OK = "not there yet: serve makes it at "+ref, true; len(named) > 0 {
			r.Found = "not at " + ref + ", although the log names one"
			r.Remedy = "bring it back: else the next start makes another, and the log says so"
		}
		return r
	}
	signer, public, err := conn.Signer(ctx, ref, beforeStore)
	if err == nil {
		err = trySigner(signer, public)
	}
	if err != nil {
		r.Found, r.Remedy = err.Error(), "mend BREAKGLASS_KEY: without it no checkpoint is signed, and all evidence waits on this machine"
		return r
	}
	r.Found, r.OK = "signs, kept at "+ref, true
	switch last := len(named) - 1; {
	case last >= 0 && keyOf(named[last]) != keyOf(public):
		r.Remedy = "the log names another key last. Where that is meant, the next start writes this one into the log; else find out who changed BREAKGLASS_KEY"
	case openToOthers(ref):
		r.Remedy = "let only the bot's user read it: chmod 600 " + strings.TrimPrefix(ref, "file:")
	}
	return r
}

// trySigner signs something that is no checkpoint.
func trySigner(s note.Signer, public string) error {
	msg := []byte("breakglass check\n")
	sig, err := s.Sign(msg)
	if err != nil {
		return err
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		return err
	}
	if !v.Verify(msg, sig) {
		return errors.New("its signature does not hold")
	}
	return nil
}

// keyOf is a public key without its name: a key of KMS has none of its own.
func keyOf(public string) string {
	parts := strings.SplitN(public, "+", 3) // base64 has plus signs of its own
	return parts[len(parts)-1]
}

func openToOthers(ref string) bool {
	file, ok := strings.CutPrefix(ref, "file:")
	if !ok {
		return false
	}
	st, err := os.Stat(file)
	return err == nil && st.Mode().Perm()&0o077 != 0
}
