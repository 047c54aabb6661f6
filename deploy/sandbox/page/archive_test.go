package page

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
)

// raw is a document with its headers.
func (r *rig) raw(path string) (int, string, http.Header) {
	r.t.Helper()
	resp, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// send sends a mail by SES as the bot does.
func (r *rig) send(simple map[string]any) {
	r.t.Helper()
	body, _ := json.Marshal(map[string]any{"FromEmailAddress": "breakglass@forge.example", "Destination": map[string]any{"ToAddresses": []string{"sec@forge.example"}},
		"Content": map[string]any{"Simple": simple}})
	req := httptest.NewRequest("POST", "http://aws.sandbox/v2/email/outbound-emails", bytes.NewReader(body))
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+awstwin.BotAccessKeyID+"/20261121/us-east-1/ses/aws4_request, SignedHeaders=host, Signature=00")
	w := httptest.NewRecorder()
	r.world.AWS.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		r.t.Fatalf("%d %s", w.Code, w.Body)
	}
}

const hostileMail = `<style>p{color:green}</style><p>report</p><img src="cid:timeline"><img src="cid:evil"><script>alert(1)</script>`

// TestAMailIsShownAsItIs: its own styles, its own pictures, in a frame that can do nothing; and nothing of it in the page.
func TestAMailIsShownAsItIs(t *testing.T) {
	r := newRig(t)
	r.send(map[string]any{"Subject": map[string]any{"Data": "BG-1042"}, "Body": map[string]any{"Text": map[string]any{"Data": "in words"}, "Html": map[string]any{"Data": hostileMail}},
		"Attachments": []map[string]any{
			{"FileName": "t.png", "ContentType": "image/png", "ContentId": "timeline", "ContentDisposition": "INLINE", "RawContent": []byte("PNG")},
			{"FileName": "e.html", "ContentType": `image/x"><script>`, "ContentId": "evil", "ContentDisposition": "INLINE", "RawContent": []byte("x")}}})
	page := r.get("/view?as=dana&tab=mail")
	has(t, page, `src="/mail/0/html" sandbox loading="lazy"`, "in words", `href="/mail/0/0"`)
	hasNot(t, page, "alert(1)", "color:green")
	status, body, header := r.raw("/mail/0/html")
	csp := header.Get("Content-Security-Policy")
	if status != 200 || !strings.HasPrefix(csp, "sandbox; default-src 'none'") || strings.Contains(csp, "script") {
		t.Errorf("%d %s", status, csp)
	}
	has(t, body, "<style>p{color:green}</style>", `src="data:image/png;base64,UE5H"`, `src="cid:evil"`)
	r.send(map[string]any{"Subject": map[string]any{"Data": "plain"}, "Body": map[string]any{"Text": map[string]any{"Data": "only words"}}})
	if status, _, _ := r.raw("/mail/1/html"); status != 404 {
		t.Errorf("a mail without HTML: %d", status)
	}
	hasNot(t, r.get("/view?as=dana&tab=mail"), "/mail/1/html")
}

// TestTheArchiveCanBeOpened: its folders, its objects as text, as a picture and as a document that runs nothing, and what is odd in it.
func TestTheArchiveCanBeOpened(t *testing.T) {
	r := newRig(t)
	has(t, r.get("/view?as=dana&tab=archive"), "Nothing is in it")
	for key, body := range map[string]string{"log/000000000001-000000000137.jsonl": `{"a":"<b>"}`, "sessions/BG-1042/002-ended/report.html": hostileMail,
		"sessions/BG-1042/002-ended/shells/a b?.log": "uptime", "sessions/BG-1042/002-ended/timeline.png": "PNG"} {
		r.world.AWS.PlaceObject(sandbox.ArchiveBucket, key, []byte(body))
	}
	r.world.AWS.CoverObject(sandbox.ArchiveBucket, "log/000000000001-000000000137.jsonl", []byte(`{"a":"<c>"}`))
	r.world.AWS.HideObject(sandbox.ArchiveBucket, "sessions/BG-1042/002-ended/timeline.png")
	page := r.get("/view?as=dana&tab=archive")
	has(t, page, "4 objects", "<strong>log/</strong>", "<strong>sessions/BG-1042/002-ended/</strong>", "2 versions", "a delete marker is in front",
		`href="/archive/sessions/BG-1042/002-ended/shells/a%20b%3F.log"`)
	for path, want := range map[string][3]string{
		"/archive/log/000000000001-000000000137.jsonl":            {"200", "text/plain; charset=utf-8", `{"a":"<c>"}`},
		"/archive/sessions/BG-1042/002-ended/report.html":         {"200", "text/html; charset=utf-8", hostileMail},
		"/archive/sessions/BG-1042/002-ended/shells/a%20b%3F.log": {"200", "text/plain; charset=utf-8", "uptime"},
		"/archive/sessions/BG-1042/002-ended/timeline.png":        {"404", "", ""},
		"/archive/sessions/none":                                  {"404", "", ""},
	} {
		status, body, header := r.raw(path)
		if (status == 200) != (want[0] == "200") || (want[0] == "200" && (header.Get("Content-Type") != want[1] || body != want[2] ||
			!strings.HasPrefix(header.Get("Content-Security-Policy"), "sandbox;") || header.Get("X-Content-Type-Options") != "nosniff")) {
			t.Errorf("%s: %d %v %s", path, status, header, body)
		}
	}
}

// TestTheAlarmIsAtTheTop, as long as there is one.
func TestTheAlarmIsAtTheTop(t *testing.T) {
	said := ""
	r := newRig(t)
	h := New(Config{World: r.world, Clock: r.clock, Alarm: func() string { return said }})
	draw := func() string {
		req := httptest.NewRequest("GET", "/view?as=dana", nil)
		req.Host = "127.0.0.1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w.Body.String()
	}
	hasNot(t, draw(), `data-testid="alarm"`)
	said = "Lockdown by <Rosa>"
	has(t, draw(), `data-testid="alarm"`, "Lockdown by &lt;Rosa&gt;")
}
