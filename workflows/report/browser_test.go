package report

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"breakglass/store"
)

// findBrowser finds a Chromium, or skips the test and says so; where BREAKGLASS_MUST_RUN names the browser, there has to be one.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if strings.Contains(os.Getenv("BREAKGLASS_MUST_RUN"), "browser") {
		t.Fatal("there is no Chromium here, and BREAKGLASS_MUST_RUN says that this test must run")
	}
	t.Skip("skipped: no Chromium here")
	return ""
}

// TestMailInBrowser looks at the mails in light and dark, as wide as a phone and as a desk: nothing sticks out sideways, and every text
// can be read on what is behind it. With BREAKGLASS_PICTURES naming a folder it leaves what it saw there.
func TestMailInBrowser(t *testing.T) {
	browser := findBrowser(t)
	mails := map[string]store.Mail{}
	for name, c := range cases() {
		m, err := c.Mail(nil)
		if err != nil {
			t.Fatal(err)
		}
		mails[name] = m
	}
	m, err := hostileCase().Mail(nil)
	if err != nil {
		t.Fatal(err)
	}
	mails["hostile"] = m
	if m, err = review().Mail(nil); err != nil {
		t.Fatal(err)
	}
	mails["review"] = m
	// Some mail programs drop style sheets. What is written into the elements must do then, if not as well.
	bare := mails["late"]
	bare.HTML = regexp.MustCompile(`(?s)<style>.*</style>`).ReplaceAllString(bare.HTML, "")
	ctx := open(t, browser)
	server := serve(t, bare)
	see(t, ctx, server, "bare-390-light", 390, "light")
	see(t, ctx, server, "bare-1200-light", 1200, "light")
	for name, m := range mails {
		server := serve(t, m)
		for _, width := range []int64{390, 1200} {
			for _, scheme := range []string{"light", "dark"} {
				see(t, ctx, server, fmt.Sprintf("%s-%d-%s", name, width, scheme), width, scheme)
			}
		}
	}
}

// serve shows a mail as a mail program does: the pictures it brings in place of their content ids.
func serve(t *testing.T, m store.Mail) string {
	html := m.HTML
	for _, p := range m.Inline {
		html = strings.ReplaceAll(html, "cid:"+p.Name, "data:"+p.Type+";base64,"+base64.StdEncoding.EncodeToString(p.Data))
	}
	if strings.Contains(html, "cid:") {
		t.Error("the mail shows a picture that it does not bring")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; style-src 'unsafe-inline'") // what a mail may use
		_, _ = w.Write([]byte(html))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func open(t *testing.T, browser string) context.Context {
	dir := t.TempDir()
	base, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(stop)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Env("HOME="+dir), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("lang", "en-US"))
	alloc, stopAlloc := chromedp.NewExecAllocator(base, opts...)
	t.Cleanup(stopAlloc)
	ctx, stopTab := chromedp.NewContext(alloc)
	t.Cleanup(stopTab)
	return ctx
}

// seen is what the page says of itself.
type seen struct {
	Wide  float64  // how far it can be pushed sideways
	Faint []string // texts with too little contrast
	Texts int      // how many were measured
	Dead  int      // pictures that do not show
}

// measure computes the contrast of every text with the nearest ground behind it, as WCAG 2 does.
const measure = `(() => {
  const rgb = s => (s.match(/[\d.]+/g) || []).map(Number);
  const lum = c => { const [r, g, b] = c.map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const ground = el => { for (; el; el = el.parentElement) { const c = rgb(getComputedStyle(el).backgroundColor); if (c.length === 3 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
  const faint = []; let texts = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    const el = n.parentElement;
    if (!n.data.trim() || !el.checkVisibility() || !el.getClientRects().length || getComputedStyle(el).display === 'none') continue;
    texts++;
    const [a, b] = [lum(rgb(getComputedStyle(el).color).slice(0, 3)), lum(ground(el))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) faint.push(ratio.toFixed(2) + ' ' + n.data.trim().slice(0, 40));
  }
  return { Wide: document.documentElement.scrollWidth - innerWidth, Faint: faint.slice(0, 10), Texts: texts,
    Dead: [...document.images].filter(i => !i.complete || !i.naturalWidth).length };
})()`

func see(t *testing.T, ctx context.Context, url, name string, width int64, scheme string) {
	t.Helper()
	dark := chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), dark, chromedp.Navigate(url)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	got, err := chromedp.Run(ctx, chromedp.Evaluate[seen](measure))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if got.Wide > 0 || len(got.Faint) > 0 || got.Dead > 0 || got.Texts < 20 {
		t.Errorf("%s: %v too wide, %d pictures missing, of %d texts these are faint: %q", name, got.Wide, got.Dead, got.Texts, got.Faint)
	}
	folder := os.Getenv("BREAKGLASS_PICTURES")
	if folder == "" {
		return
	}
	shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), shot, 0o644); err != nil {
		t.Fatal(err)
	}
}
