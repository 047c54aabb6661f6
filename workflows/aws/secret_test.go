package aws

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"breakglass/deploy/sandbox/awstwin"
)

var twinDefaults = awstwin.Config{}

// safe answers GetParameter and GetSecretValue for one name each.
func safe(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch target := r.Header.Get("X-Amz-Target"); {
	case target == "AmazonSSM.GetParameter" && strings.Contains(string(b), `"/slack/bot"`) && strings.Contains(string(b), `"WithDecryption":true`):
		fmt.Fprint(w, `{"Parameter":{"Value":"xoxb-1\n"}}`)
	case target == "secretsmanager.GetSecretValue" && strings.Contains(string(b), `"slack"`):
		fmt.Fprint(w, `{"SecretString":"xapp-2"}`)
	case target == "secretsmanager.GetSecretValue" && strings.Contains(string(b), `"empty"`):
		fmt.Fprint(w, `{"SecretString":""}`)
	default:
		w.WriteHeader(400)
		fmt.Fprint(w, `{"__type":"AccessDeniedException","message":"no"}`)
	}
}

func TestSecrets(t *testing.T) {
	env(t)
	w := newWorld(t, twinDefaults, Config{})
	w.wire.to = http.HandlerFunc(safe)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("xoxb-3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{"xoxb-0": "xoxb-0", "ssm:/slack/bot": "xoxb-1", "secretsmanager:slack": "xapp-2", "file:" + file: "xoxb-3"} {
		if got, err := Secret(t.Context(), w.conn, ref); got != want || err != nil {
			t.Errorf("%s: %q, %v", ref, got, err)
		}
	}
	for _, ref := range []string{"ssm:/other", "secretsmanager:other", "secretsmanager:empty", "file:" + file + ".not", "file:" + t.TempDir()} {
		if got, err := Secret(t.Context(), w.conn, ref); got != "" || err == nil {
			t.Errorf("%s: %q, %v", ref, got, err)
		}
	}
	if _, err := Secret(t.Context(), nil, "ssm:/slack/bot"); err == nil || !NeedsAWS("ssm:/x") || NeedsAWS("file:/x") {
		t.Error("a secret in AWS without a connection")
	}
}
