package aws

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

const keyName = "breakglass/0123456789abcdef"

// signs proves that what the signer signs is verified by the verifier key, and by nothing else.
func signs(t *testing.T, s note.Signer, verifier string) {
	t.Helper()
	v, err := note.NewVerifier(verifier)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: "breakglass/0123456789abcdef\n137\nAAAA\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(v)); err != nil {
		t.Error(err)
	}
	if _, err := note.Open([]byte(strings.Replace(string(signed), "137", "138", 1)), note.VerifierList(v)); err == nil {
		t.Error("a changed note is verified")
	}
}

func TestKeyInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "breakglass.key")
	var none *Connection
	var wg sync.WaitGroup
	verifiers := make([]string, 10)
	for i := range verifiers { // several start at once: there is one key
		wg.Go(func() {
			_, v, err := none.Signer(t.Context(), "file:"+path, keyName)
			if err != nil {
				t.Error(err)
			}
			verifiers[i] = v
		})
	}
	wg.Wait()
	for _, v := range verifiers {
		if v != verifiers[0] || !strings.HasPrefix(v, keyName+"+") {
			t.Fatalf("%q", verifiers)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if all, _ := os.ReadDir(filepath.Dir(path)); len(all) != 1 {
		t.Errorf("left: %v", all)
	}
	text, _ := os.ReadFile(path)
	s, v, err := none.Signer(t.Context(), "file:"+path, "another-store") // the key keeps its name
	if err != nil || v != verifiers[0] || s.Name() != keyName {
		t.Error(v, err)
	}
	signs(t, s, v)
	if again, _ := os.ReadFile(path); string(again) != string(text) {
		t.Error("the key was written over")
	}
}

func TestKeysThatAreNone(t *testing.T) {
	private, _, err := note.GenerateKey(rand.Reader, keyName)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	var none *Connection
	for _, ref := range []string{"", "file:", private, "ssm:/key", "kms:alias/x", "secretsmanager:x", write("empty", ""), write("cut", private[:len(private)-4]),
		write("public", "breakglass+0a0a0a0a+AAAA"), write("large", strings.Repeat("x", maxKey+1)), "file:" + dir, "file:" + filepath.Join(dir, "missing", "key")} {
		s, v, err := none.Signer(t.Context(), ref, keyName)
		if err == nil || s != nil || v != "" {
			t.Errorf("%s: %v", ref, err)
		} else if _, secret, _ := strings.Cut(private, keyName+"+"); strings.Contains(err.Error(), secret[9:20]) {
			t.Errorf("the key is in an error: %v", err)
		}
	}
	for _, name := range []string{"", "a b", "a+b"} {
		path := filepath.Join(dir, "new")
		if _, _, err := none.Signer(t.Context(), "file:"+path, name); err == nil {
			t.Errorf("a key called %q", name)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("and it was written")
		}
	}
}

func TestKeyInASecret(t *testing.T) {
	private, public, err := note.GenerateKey(rand.Reader, keyName)
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, func(t *testing.T, w *world) {
		w.wire.to = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
			if strings.Contains(string(b), `"key"`) {
				_ = json.NewEncoder(rw).Encode(map[string]string{"SecretString": private + "\n"})
				return
			}
			rw.WriteHeader(400)
			fmt.Fprint(rw, `{"__type":"ResourceNotFoundException","message":"Secrets Manager can't find the specified secret."}`)
		})
		s, v, err := w.conn.Signer(t.Context(), "secretsmanager:key", "unused")
		if err != nil || v != public {
			t.Fatal(v, err)
		}
		signs(t, s, v)
		_, _, err = w.conn.Signer(t.Context(), "secretsmanager:other", "unused")
		isRefusal(t, err, codeNotFound)
		if !strings.Contains(err.Error(), "create-secret --name other") {
			t.Error(err)
		}
	})
}

// vaultOfKeys is KMS with one key: it answers GetPublicKey and Sign, or with a code, or signs something else.
type vaultOfKeys struct {
	public any
	sign   func([]byte) []byte
	code   string
	times  int // how often code is the answer
	asked  []string
	silent bool
}

const keyARN = "arn:aws:kms:eu-west-1:100000000000:key/11111111-2222-3333-4444-555555555555"

func (k *vaultOfKeys) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		KeyID            string `json:"KeyId"`
		Message          []byte
		MessageType      string
		SigningAlgorithm string
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	k.asked = append(k.asked, op+" "+in.KeyID+" "+in.MessageType+" "+in.SigningAlgorithm)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if k.silent {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	if k.times > 0 {
		k.times--
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"__type":%q,"message":"no"}`, k.code)
		return
	}
	if op == "GetPublicKey" {
		der, _ := x509.MarshalPKIXPublicKey(k.public)
		_ = json.NewEncoder(w).Encode(map[string]any{"KeyId": keyARN, "PublicKey": der, "KeyUsage": "SIGN_VERIFY", "KeySpec": "ECC_NIST_EDWARDS25519"})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"KeyId": keyARN, "Signature": k.sign(in.Message)})
}

func TestKeyInKMS(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, func(t *testing.T, w *world) {
		k := &vaultOfKeys{public: public, sign: func(m []byte) []byte { return ed25519.Sign(private, m) }}
		w.wire.to = k
		s, v, err := w.conn.Signer(t.Context(), "kms:alias/breakglass", keyName)
		if err != nil || !strings.HasPrefix(v, keyName+"+") {
			t.Fatal(v, err)
		}
		signs(t, s, v)
		// From then on it is this key, wherever its alias goes.
		if want := []string{"GetPublicKey alias/breakglass  ", "Sign " + keyARN + " RAW ED25519_SHA_512"}; len(k.asked) != 2 || k.asked[0] != want[0] || k.asked[1] != want[1] {
			t.Errorf("%q", k.asked)
		}
		k.code, k.times = "ThrottlingException", 2
		signs(t, s, v)
		for code, lasts := range map[string]bool{"DisabledException": true, "KMSInvalidStateException": true, "NotFoundException": true, "AccessDeniedException": true,
			"KMSInternalException": false, "KeyUnavailableException": false, "DependencyTimeoutException": false, "ThrottlingException": false} {
			k.code, k.times = code, 100
			_, err := s.Sign([]byte("x"))
			_, _, atStart := w.conn.Signer(t.Context(), "kms:"+keyARN, keyName)
			if lasts {
				isRefusal(t, err, code)
				isRefusal(t, atStart, code)
			} else {
				isFault(t, err)
				isFault(t, atStart)
			}
		}
		k.times, k.silent = 0, true
		begun := time.Now()
		_, err = s.Sign([]byte("x"))
		isFault(t, err)
		if d := time.Since(begun); d > signLimit {
			t.Errorf("a signature took %s", d)
		}
		k.silent = false
		k.sign = func(m []byte) []byte { return ed25519.Sign(private, append(m, 'x')) }
		if sig, err := s.Sign([]byte("x")); err == nil || sig != nil {
			t.Error("a signature of something else")
		}
		if _, err := s.Sign(make([]byte, maxMessage+1)); err == nil {
			t.Error("a message that KMS does not take")
		}
		other, _ := rsa.GenerateKey(rand.Reader, 2048)
		k.public = &other.PublicKey
		_, _, err = w.conn.Signer(t.Context(), "kms:x", keyName)
		isRefusal(t, err, "WrongKey")
	})
}

// The same with the twin of KMS, which checks what is asked of it: a key that is switched off is a refusal, and signs again when it is on again.
func TestKeyThatIsSwitchedOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		arn := w.AddKey(management, "us-east-1", "alias/breakglass")
		s, v, err := w.conn.Signer(t.Context(), "kms:alias/breakglass", keyName)
		if err != nil {
			t.Fatal(err)
		}
		signs(t, s, v)
		for state, code := range map[string]string{"Disabled": "DisabledException", "PendingDeletion": "KMSInvalidStateException"} {
			w.SetKeyState(arn, state)
			_, err = s.Sign([]byte("x"))
			isRefusal(t, err, code)
			w.SetKeyState(arn, "Enabled")
			signs(t, s, v)
		}
		w.Unreachable("kms", true)
		_, err = s.Sign([]byte("x"))
		isFault(t, err)
		w.Unreachable("kms", false)
		signs(t, s, v)
		_, _, err = w.conn.Signer(t.Context(), "kms:alias/none", keyName)
		isRefusal(t, err, "NotFoundException")
		_, _, err = w.conn.Signer(t.Context(), "kms:"+w.AddEncryptionKey(management, "us-east-1"), keyName)
		if err == nil {
			t.Error("a key that does not sign")
		}
		w.SetBotPolicy(map[string]string{"bot": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:GetPublicKey","Resource":"*"}]}`})
		_, err = s.Sign([]byte("x"))
		isRefusal(t, err, "AccessDeniedException")
	})
}

// A key in another Region is used there: its ARN says where.
func TestKeyOfAnotherRegion(t *testing.T) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, func(t *testing.T, w *world) {
		region := ""
		k := &vaultOfKeys{public: public}
		w.wire.to = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			region = strings.Split(r.Header.Get("Authorization"), "/")[2]
			k.ServeHTTP(rw, r)
		})
		if _, _, err := w.conn.Signer(t.Context(), "kms:"+keyARN, keyName); err != nil || region != "eu-west-1" {
			t.Error(region, err)
		}
	})
}
