package page

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/clock"
	"breakglass/deploy/sandbox/slacktwin"
)

func handler(t *testing.T) http.Handler {
	t.Helper()
	c := clock.New()
	w := sandbox.Forge(c.Now, slacktwin.Config{}, awstwin.Config{})
	t.Cleanup(w.Slack.Close)
	return New(Config{World: w, Clock: c})
}

func TestWhoMayAsk(t *testing.T) {
	h := handler(t)
	for name, c := range map[string]struct {
		method, host, path, kind, origin, site string
		want                                   int
	}{
		"loopback":                {want: 200},
		"localhost":               {host: "localhost:4777", want: 200},
		"IPv6":                    {host: "[::1]:4777", want: 200},
		"a rebound name":          {host: "evil.example:4777", want: 421},
		"a name like loopback":    {host: "127.0.0.1.evil.example", want: 421},
		"the machine's address":   {host: "192.168.1.4:4777", want: 421},
		"a rebound event stream":  {host: "evil.example", path: "/events", want: 421},
		"a click":                 {method: "POST", path: "/do/skip", kind: "application/json", want: 200},
		"a click of this page":    {method: "POST", path: "/do/skip", kind: "application/json", origin: "http://127.0.0.1:4777", site: "same-origin", want: 200},
		"a click of another page": {method: "POST", path: "/do/skip", kind: "application/json", origin: "http://evil.example", site: "cross-site", want: 403},
		"of another port":         {method: "POST", path: "/do/skip", kind: "application/json", origin: "http://127.0.0.1:9999", want: 403},
		"a form":                  {method: "POST", path: "/do/skip", kind: "application/x-www-form-urlencoded", want: 415},
		"text that is JSON":       {method: "POST", path: "/do/skip", kind: "text/plain", want: 415},
		"a change by GET":         {path: "/do/skip", want: 405},
		"no such verb":            {method: "POST", path: "/do/explode", kind: "application/json", want: 404},
		"a file that is not one":  {path: "/assets/..%2fpage.go", want: 404},
		"a mail that is not one":  {path: "/mail/-1/0", want: 404},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(or(c.method, "GET"), or(c.path, "/"), strings.NewReader(`{"as":"dana","by":"5m"}`))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // a stream that is wrongly opened ends
			defer cancel()
			r = r.WithContext(ctx)
			r.Host = or(c.host, "127.0.0.1:4777")
			for k, v := range map[string]string{"Content-Type": c.kind, "Origin": c.origin, "Sec-Fetch-Site": c.site} {
				if v != "" {
					r.Header.Set(k, v)
				}
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("%d %s, want %d", w.Code, w.Body.String()[:min(200, w.Body.Len())], c.want)
			}
			if w.Code == 200 && !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'") {
				t.Error("no Content-Security-Policy")
			}
		})
	}
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// The policy forbids inline scripts and styles, so there may be none; and nothing may come from elsewhere.
func TestNothingInlineAndNothingFromElsewhere(t *testing.T) {
	h := handler(t)
	get := func(path string) string {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = "127.0.0.1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 {
			t.Fatalf("GET %s: %d", path, w.Code)
		}
		return w.Body.String()
	}
	page := get("/")
	hasNot(t, page, "style=", "onclick", "<script>", "http://", "https://", "//cdn", "<style")
	has(t, page, `<script type="module" src="/assets/app.js">`, `lang="en"`, "Five-minute walk")
	entries, err := files.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		body := get("/assets/" + e.Name())
		hasNot(t, strings.ReplaceAll(body, "http://www.w3.org/2000/svg", ""), "http://", "https://", "eval(", "innerHTML", "outerHTML", "document.write", "@import")
		if n := strings.Count(body, "\n"); n >= 400 {
			t.Errorf("%s has %d lines", e.Name(), n)
		}
	}
}
