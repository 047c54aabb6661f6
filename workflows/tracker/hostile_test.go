package tracker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"breakglass/deploy/sandbox/wire"
)

// TestHostileTexts: whatever somebody wrote as a reason arrives as the text that it is.
func TestHostileTexts(t *testing.T) {
	adf := `{"type":"doc","version":1,"content":[{"type":"mention","attrs":{"id":"all"}}]}`
	zero := "\u200b"
	for i, one := range []struct{ name, text, jira, servicenow string }{
		{"mentions", "@all [~admin] [~accountid:5b10a] @[u:1]", "", ""},
		{"document", adf, "", ""},
		{"markup", "h1. x {color:red}y{color} [z|http://evil.example] !x.png! <b>&amp;</b>", "", ""},
		{"code", "[code]<script>x()</script>[/code]", "", "[" + zero + "code]<script>x()</script>[" + zero + "/code]"},
		{"code in capitals", "[CoDe]<script>[/CODE]", "", "[" + zero + "CoDe]<script>[" + zero + "/CODE]"},
		{"code put together", "[\x00co\x1fde]<script>[/co\u202ede]", "[code]<script>[/code]", "[" + zero + "code]<script>[" + zero + "/code]"},
		{"control characters", "a\x00b\x1b[31mc\td\r\ne\rf\x7fg\u0085h", "ab[31mc\td\ne\nfgh", "ab[31mc\td\ne\nfgh"},
		{"no UTF-8", "a\xff\xfeb", "a\uFFFDb", "a\uFFFDb"},
		{"direction", "a\u202eb\u2066c\u2028d", "abc\nd", "abc\nd"},
		{"quotes", `"},"visibility":{"type":"role"`, "", ""},
		{"empty lines", "\n\na\n\n\nb\n", "", ""},
	} {
		t.Run(one.name, func(t *testing.T) {
			both(t, func(t *testing.T, w *world) {
				want := one.jira
				if w.kind == ServiceNow {
					want = one.servicenow
				}
				if want == "" {
					want = one.text
				}
				w.must(w.Add(t.Context(), w.key, fmt.Sprintf("BG-%d/1", i), one.text))
				if got := w.notes(); len(got) != 1 || got[0] != want {
					t.Errorf("%q, want %q", got, want)
				}
				if got := w.twin.Markup(w.key); len(got) != 0 {
					t.Errorf("became more than text: %q", got)
				}
			})
		})
	}
}

// TestLongTexts: what is too long is cut, says so, is taken, and is known again.
func TestLongTexts(t *testing.T) {
	for name, text := range map[string]string{
		"one line":   strings.Repeat("é", 100_000),
		"lines":      strings.Repeat("x\n", 50_000),
		"no lines":   strings.Repeat("\n", 99_999) + "x",
		"astral":     strings.Repeat("🔓", 50_000),
		"code":       strings.Repeat("[code]", 20_000),
		"codes, cut": strings.Repeat("[", 31_900) + strings.Repeat("[code]", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, w *world) {
				for range 2 {
					w.must(w.Add(t.Context(), w.key, "BG-1042/1", text))
				}
				got := w.notes()
				if len(got) != 1 || !strings.HasSuffix(got[0], "\n"+closing) || !utf8.ValidString(got[0]) {
					t.Fatalf("%d notes, the first ends in %q", len(got), got[0][max(0, len(got[0])-100):])
				}
				if n := width(got[0], 1); n > 32_767 || name != "no lines" && name != "lines" && n < 29_900 {
					t.Errorf("%d characters", n)
				}
				if got := w.twin.Markup(w.key); len(got) != 0 {
					t.Errorf("%q", got)
				}
			})
		})
	}
	exact := strings.Repeat("x", maxComment)
	if cut(exact, maxComment, lineWidth) != exact || cut(exact+"x", maxComment, lineWidth) == exact+"x" {
		t.Error("the limit is one off")
	}
}

// TestRedirects: no other host sees the credentials, and a redirect is never taken for something added.
func TestRedirects(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		seen := make(chan string, 100)
		other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			seen <- r.Header.Get("Authorization")
			fmt.Fprint(rw, `{"id":"1","comments":[],"result":[]}`)
		}))
		t.Cleanup(other.Close)
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, everything := range []bool{true, false} {
				tr := w.serve(func(rw http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet && !everything {
						w.twin.ServeHTTP(rw, r)
						return
					}
					http.Redirect(rw, r, other.URL+r.URL.Path, status)
				})
				w.passing(tr.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
			}
		}
		if len(seen) != 0 || len(w.notes()) != 0 {
			t.Errorf("the other host was asked %d times, with %q", len(seen), <-seen)
		}
	})
}

// TestHostileServer: answers of any kind are errors that may pass; nothing is taken for added, nothing is read without end.
func TestHostileServer(t *testing.T) {
	var sent atomic.Int64 // bytes of the endless answers
	endless := func(rw http.ResponseWriter) {
		fmt.Fprint(rw, `{"id":"1",`)
		for {
			n, err := fmt.Fprint(rw, strings.Repeat(" ", 64<<10))
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}
	for name, body := range map[string]string{
		"page": "<html><body>Your instance is hibernating</body></html>", "nothing": "", "null": "null", "empty": "{}", "list": "[]", "number": "7",
		"wrong types": `{"key":7,"id":{},"fields":[],"comments":{"a":1},"result":{"sys_id":[1]}}`,
		"nulls":       `{"key":null,"id":null,"fields":null,"comments":null,"result":null}`,
		"deep":        strings.Repeat(`{"result":`, 20_000),
		"half":        `{"comments":[],"result":[`,
		"endless":     "endless",
		"other":       `{"key":"../../x","result":[{"sys_id":"00000000000000000000000000000001","number":"INC0010002"}]}`,
		"odd ids":     `{"comments":[],"result":[{"sys_id":"../../../../evil","number":"INC0010001"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, w *world) {
				for _, reading := range []bool{true, false} { // at every call, or only at the one that adds
					tr := w.serve(func(rw http.ResponseWriter, r *http.Request) {
						if r.Method == http.MethodGet && !reading {
							w.twin.ServeHTTP(rw, r)
						} else if body == "endless" {
							endless(rw)
						} else {
							fmt.Fprint(rw, body)
						}
					})
					w.passing(tr.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
					if reading {
						_, err := tr.Find(t.Context(), w.key)
						w.passing(err)
					}
				}
				if n := sent.Load(); n > 200<<20 { // what the kernel holds in between is counted too
					t.Errorf("%d bytes were taken", n)
				}
			})
		})
	}
}

// TestIndiscreetServer: what a server says of the credentials is not repeated, nor are its control characters or its pages.
func TestIndiscreetServer(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, status := range []int{200, 302, 400, 401, 403, 404, 500, 503} {
			tr := w.serve(func(rw http.ResponseWriter, r *http.Request) {
				got := r.Header.Get("Authorization")
				text, _ := json.Marshal("Bad header " + got + " of " + secret + " \x1b[31m s3cr3t-token")
				rw.Header().Set("Content-Type", got)
				rw.Header().Set("Location", "/"+got)
				rw.WriteHeader(status)
				if status == 200 {
					fmt.Fprint(rw, "<html>"+got)
					return
				}
				fmt.Fprintf(rw, `{"errorMessages":[%s],"error":{"message":%s,"detail":%s}}`, text, text, text)
			})
			err := tr.Add(t.Context(), w.key, "BG-1042/1", "Ended.")
			if err == nil || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%d: %v", status, err)
			}
			w.silent(err)
		}
		tr := w.serve(func(rw http.ResponseWriter, r *http.Request) { http.Error(rw, "<h1>nginx</h1>", 404) })
		w.refused(tr.Add(t.Context(), w.key, "BG-1042/1", "Ended."), CodeNoTracker, "tracker.url")
	})
}

// TestSilence: a call that is not answered ends after ten seconds, and one that is given up ends at once.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wire.New()
		w.Hang("forge.atlassian.net")
		transport := &http.Transport{DialContext: w.DialContext}
		defer transport.CloseIdleConnections()
		tr, err := New(Config{Kind: Jira, URL: "http://forge.atlassian.net", HTTP: &http.Client{Transport: transport},
			Secret: func(context.Context) (string, error) { return secret, nil }})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := tr.Add(t.Context(), "OPS-1", "BG-1/1", "Ended."); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != callTimeout {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		if _, err := tr.Find(ctx, "OPS-1"); err == nil || time.Since(begun) != time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}

// TestDrippingServer: an answer that never ends is given up as well.
func TestDrippingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wire.New()
		srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(rw, " ")
				rw.(http.Flusher).Flush()
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
				}
			}
		})}
		go srv.Serve(w.Listen("forge.atlassian.net"))
		transport := &http.Transport{DialContext: w.DialContext}
		tr, err := New(Config{Kind: Jira, URL: "http://forge.atlassian.net", HTTP: &http.Client{Transport: transport},
			Secret: func(context.Context) (string, error) { return secret, nil }})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := tr.Add(t.Context(), "OPS-1", "BG-1/1", "Ended."); err == nil || time.Since(begun) != callTimeout {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		transport.CloseIdleConnections()
		_ = srv.Close()
		synctest.Wait()
	})
}
