package tracker

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/trackertwin"
	"breakglass/store"
)

const secret = "bot@forge.example:s3cr3t-token"

// world is a twin with one ticket, and a tracker that asks it over real HTTP.
type world struct {
	*testing.T
	kind   Kind
	twin   *trackertwin.Tracker
	server *httptest.Server
	*Tracker
	key    string
	write  string // the call that adds, as the twin's patterns have it
	secret string // what the tracker gives for its credentials
}

func newWorld(t *testing.T, kind Kind) *world {
	t.Helper()
	w := &world{T: t, kind: kind, twin: trackertwin.New(string(kind), time.Now), secret: secret,
		key: "OPS-123", write: "POST /rest/api/3/issue/OPS-123/comment"}
	if kind == ServiceNow {
		w.key, w.write = "INC0010001", "PATCH /api/now/table/task/*"
	}
	w.twin.Allow(secret)
	w.twin.AddTicket(w.key, "The router is down", "In Progress")
	w.server = httptest.NewServer(w.twin)
	t.Cleanup(w.server.Close)
	w.Tracker = w.at(w.server.URL)
	return w
}

// at is a tracker at another address, with the same credentials.
func (w *world) at(url string) *Tracker {
	w.Helper()
	t, err := New(Config{Kind: w.kind, URL: url, Secret: func(context.Context) (string, error) { return w.secret, nil }})
	if err != nil {
		w.Fatal(err)
	}
	return t
}

// both runs a story against either kind.
func both(t *testing.T, story func(t *testing.T, w *world)) {
	for _, kind := range []Kind{Jira, ServiceNow} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			story(t, newWorld(t, kind))
		})
	}
}

// notes are what was added, without the mark that a work note ends with.
func (w *world) notes() []string {
	var out []string
	for _, s := range w.twin.Comments(w.key) {
		if i := strings.LastIndex(s, "\nBreakglass "); i >= 0 && w.kind == ServiceNow {
			s = s[:i]
		}
		out = append(out, s)
	}
	return out
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// refused is a refusal with this code whose text has these words, and not the secret.
func (w *world) refused(err error, code string, words ...string) {
	w.Helper()
	var r *store.Refusal
	if !errors.As(err, &r) || r.Code != code {
		w.Errorf("not refused with %s: %v", code, err)
		return
	}
	for _, word := range words {
		if !strings.Contains(r.Message, word) {
			w.Errorf("no %q in %q", word, r.Message)
		}
	}
	w.silent(err)
}

// passing is an error after which trying again may help.
func (w *world) passing(err error) {
	w.Helper()
	var r *store.Refusal
	if err == nil || errors.As(err, &r) {
		w.Errorf("no error that may pass: %v", err)
		return
	}
	w.silent(err)
}

func (w *world) silent(err error) {
	w.Helper()
	if strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "Ym90QGZvcmdl") {
		w.Errorf("the secret is in %q", err)
	}
}

// serve is a server that is no twin.
func (w *world) serve(h http.HandlerFunc) *Tracker {
	srv := httptest.NewServer(h)
	w.Cleanup(srv.Close)
	return w.at(srv.URL)
}
