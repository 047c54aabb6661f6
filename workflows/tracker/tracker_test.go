package tracker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"breakglass/store"
)

// TestAddedOnce: a text is added once for its mark, whatever marks begin with the same letters, and whatever a text says of marks.
func TestAddedOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.must(w.Add(ctx, w.key, "BG-1042/10", "Ten.\nIt ends with\nBreakglass BG-1042/2"))
		w.must(w.Add(ctx, w.key, "BG-1042/1", "One.\n\nWith an empty line."))
		w.must(w.Add(ctx, w.key, "BG-1042/1", "One, again."))
		w.must(w.Add(ctx, w.key, "BG-1042/2", "Two."))
		w.must(w.Add(ctx, strings.ToLower(w.key), "BG-1042/2", "Two, again."))
		if diff := cmp.Diff([]string{"Ten.\nIt ends with\nBreakglass BG-1042/2", "One.\n\nWith an empty line.", "Two."}, w.notes()); diff != "" {
			t.Error(diff)
		}
		if got := w.twin.Public(w.key); len(got) != 0 {
			t.Errorf("customers see %q", got)
		}
		if got := w.twin.Refused(); len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
}

// TestLostAnswer: the tracker did it and nobody heard; the next try finds it.
func TestLostAnswer(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.twin.LoseAnswerNext(w.write)
		w.passing(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
		w.must(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
		if got := w.notes(); !cmp.Equal(got, []string{"Ended."}) {
			t.Errorf("%q", got)
		}
	})
}

// TestNotSeenIsNotAdded: where it cannot be seen whether a text was added, nothing is.
func TestNotSeenIsNotAdded(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.must(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
		for _, body := range []string{"", "{}", "null", "[]", `{"comments":null,"result":null}`, "<html>", `{"comments":{},"result":{}}`} {
			tr := w.serve(func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet && (strings.HasSuffix(r.URL.Path, "/comment") || strings.HasSuffix(r.URL.Path, "/sys_journal_field")) {
					fmt.Fprint(rw, body)
					return
				}
				w.twin.ServeHTTP(rw, r)
			})
			w.passing(tr.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
		}
		look := map[Kind]string{Jira: "GET /rest/api/3/issue/OPS-123/comment", ServiceNow: "GET /api/now/table/sys_journal_field"}[w.kind]
		w.twin.FailNext(look, 500, 0, 1)
		w.passing(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
		if got := w.notes(); len(got) != 1 {
			t.Errorf("%q", got)
		}
	})
}

// TestBusy: the tracker says when to come again, in seconds or as a date, and nothing was added.
func TestBusy(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, one := range []struct {
			pattern string
			status  int
			after   time.Duration
			want    time.Duration
		}{
			{w.write, 429, 90 * time.Second, 90 * time.Second},
			{w.write, 429, 0, 0},
			{w.write, 503, 0, 0},
			{"", 503, 30 * time.Second, 30 * time.Second},
			{"", 502, time.Minute, time.Minute},
			{"", 429, 9999 * time.Hour, time.Hour},
		} {
			w.twin.FailNext(one.pattern, one.status, one.after, 1)
			err := w.Add(t.Context(), w.key, "BG-1042/1", "Ended.")
			var busy *Busy
			if !errors.As(err, &busy) || busy.After != one.want {
				t.Errorf("%+v: %v", one, err)
			}
			w.passing(err)
		}
		if got := w.notes(); len(got) != 0 {
			t.Errorf("%q", got)
		}
		w.twin.FailNext("", 500, 0, 1)
		if err := w.Add(t.Context(), w.key, "BG-1042/1", "Ended."); errors.As(err, new(*Busy)) {
			t.Errorf("busy without a word of it: %v", err)
		}
	})
}

// TestRetryAfter: what such a header may say.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for said, want := range map[string]time.Duration{
		"30": 30 * time.Second, " 7 ": 7 * time.Second, "0.5": time.Second / 2, "0": 0, "-5": 0, "1e300": time.Hour, "NaN": 0, "Inf": time.Hour, "soon": 0,
		"Sun, 01 Mar 2026 12:02:00 GMT": 2 * time.Minute, "Sun, 01 Mar 2026 11:00:00 GMT": 0, "Sun, 01 Mar 2099 11:00:00 GMT": time.Hour,
	} {
		if got, asked := retryAfter(http.Header{"Retry-After": {said}}, now); got != want || !asked {
			t.Errorf("%q: %s", said, got)
		}
	}
	if _, asked := retryAfter(http.Header{}, now); asked {
		t.Error("nothing was said")
	}
}

// TestRefusals: what trying again does not change is refused, with what to do about it; and it works as soon as that was done.
func TestRefusals(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		add := func(key string) error { return w.Add(ctx, key, "BG-1042/1", "Ended.") }

		missing := map[Kind]string{Jira: "OPS-9", ServiceNow: "INC9"}[w.kind]
		w.refused(add(missing), CodeNoTicket, missing, w.name(), "may not see it")
		_, err := w.Find(ctx, missing)
		w.refused(err, CodeNoTicket, missing)

		w.secret = "bot@forge.example:s3cr3t-old"
		w.refused(add(w.key), CodeUnauthorized, "does not accept the credentials", "must be")
		w.secret = ""
		w.refused(add(w.key), CodeUnauthorized, "no credentials")
		w.secret = "s3cr3t\nInjected: header"
		w.refused(add(w.key), CodeUnauthorized, "more than one line")
		w.secret = "s3cr3t\nInjected"
		w.refused(add(w.key), CodeUnauthorized, "more than one line")
		w.twin.AllowReading("s3cr3t-reader")
		w.secret = "s3cr3t-reader"
		w.refused(add(w.key), CodeForbidden, w.key, "It needs")

		w.twin.FailNext(w.write, 400, 0, 1)
		w.secret = secret + "\n" // as files end
		w.refused(add(w.key), CodeBadRequest, "It says")
		w.twin.FailNext(w.write, 418, 0, 1)
		w.passing(add(w.key))
		w.must(add(w.key))
	})
}

// TestWhatOnlyJiraRefuses: an account that it treats as a stranger is not told that the ticket is missing, and a full issue is full.
func TestWhatOnlyJiraRefuses(t *testing.T) {
	w := newWorld(t, Jira)
	w.twin.LimitComments(0)
	w.refused(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."), CodeFull, "another ticket")
	w.twin.AnswerStrangers(true)
	w.twin.Forget(secret)
	w.refused(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."), CodeUnauthorized, "token with scopes")
}

// TestNothingIsAsked: for what is no ticket's key, no mark, or no text, no call is made.
func TestNothingIsAsked(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, key := range []string{"", "OPS", "123", "OPS-1/../../../admin", "OPS-1?x=1", "OPS-1\n", "OPS-1^ORnumber=INC1", "../OPS-1", "OPS--1", "OPS 1", "ÖPS-1",
			"A" + strings.Repeat("1", maxKey)} {
			w.refused(w.Add(t.Context(), key, "BG-1042/1", "Ended."), CodeNoTicket)
			_, err := w.Find(t.Context(), key)
			w.refused(err, CodeNoTicket)
		}
		for _, mark := range []string{"", "BG-1^ORelement=comments", "BG-1\n", "BG 1", "/1", strings.Repeat("1", 101)} {
			w.refused(w.Add(t.Context(), w.key, mark, "Ended."), CodeBadMark)
		}
		w.refused(w.Add(t.Context(), w.key, "BG-1042/1", " \n\x00\r\n\t"), CodeNoText)
		if got := w.twin.Requests(); len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
}

// TestFind: title, status and link, on one line each whatever they were.
func TestFind(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.twin.AddTicket(w.key, "The router\nis \x1b[31mdown\u202e", "In Progress")
		got, err := w.Find(t.Context(), strings.ToLower(w.key))
		w.must(err)
		want := Ticket{Key: w.key, Title: "The router is [31mdown", Status: "In Progress", Link: w.server.URL + "/browse/OPS-123"}
		if w.kind == ServiceNow {
			want.Link = w.server.URL + "/nav_to.do?uri=task.do%3Fsys_id%3D" + fmt.Sprintf("%032x", 1)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestNew: the faults of a configuration, and the tracker's name for people.
func TestNew(t *testing.T) {
	secret := func(context.Context) (string, error) { return "", errors.New("the vault is shut") }
	for _, cfg := range []Config{
		{Kind: "github", URL: "https://x.example", Secret: secret}, {URL: "https://x.example", Secret: secret},
		{Kind: Jira, URL: "", Secret: secret}, {Kind: Jira, URL: "ftp://x.example", Secret: secret}, {Kind: Jira, URL: "https://", Secret: secret},
		{Kind: Jira, URL: "https://:443", Secret: secret}, {Kind: Jira, URL: "forge.atlassian.net", Secret: secret},
		{Kind: Jira, URL: "https://u:s3cr3t@x.example", Secret: secret}, {Kind: Jira, URL: "https://x.example/?a=s3cr3t", Secret: secret},
		{Kind: Jira, URL: "https://x.example/%zz", Secret: secret}, {Kind: Jira, URL: "https://x.example"},
	} {
		if _, err := New(cfg); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	for want, cfg := range map[string]Config{
		"Jira at forge.atlassian.net":         {Kind: Jira, URL: "https://forge.atlassian.net/", Secret: secret},
		"Jira at api.atlassian.com":           {Kind: Jira, URL: "https://api.atlassian.com/ex/jira/1-2", Secret: secret},
		"ServiceNow at forge.service-now.com": {Kind: ServiceNow, URL: "https://forge.service-now.com", Secret: secret},
	} {
		tr, err := New(cfg)
		if err != nil || tr.String() != want {
			t.Errorf("%s: %v %v", want, tr, err)
		}
		err = tr.Add(t.Context(), "OPS-1", "BG-1/1", "Ended.")
		if err == nil || errors.As(err, new(*store.Refusal)) || !strings.Contains(err.Error(), "the vault is shut") {
			t.Errorf("a vault that is shut may open again: %v", err)
		}
	}
}

// TestCommonEntrance: tokens with scopes are taken at a path of another host, which has no pages to link to.
func TestCommonEntrance(t *testing.T) {
	var asked []string
	w := newWorld(t, Jira)
	carry := carrier(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.String())
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host, r.URL.Path = "http", strings.TrimPrefix(w.server.URL, "http://"), strings.TrimPrefix(r.URL.Path, "/ex/jira/1-2")
		return http.DefaultTransport.RoundTrip(r)
	})
	tr, err := New(Config{Kind: Jira, URL: "https://api.atlassian.com/ex/jira/1-2/", HTTP: &http.Client{Transport: carry},
		Secret: func(context.Context) (string, error) { return secret, nil }})
	w.must(err)
	got, err := tr.Find(t.Context(), w.key)
	w.must(err)
	if got.Link != "" || got.Title != "The router is down" || asked[0] != "https://api.atlassian.com/ex/jira/1-2/rest/api/3/issue/OPS-123?fields=summary%2Cstatus" {
		t.Errorf("%+v %q", got, asked)
	}
}

type carrier func(*http.Request) (*http.Response, error)

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }
