package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// eyes is a person before a browser that shows the sandbox's page.
type eyes struct {
	t       *testing.T
	ctx     context.Context
	console lockedBuffer // what went wrong in the page, as the browser says
	program lockedBuffer // what the sandbox wrote to its standard error
}

// findBrowser is the path of a Chromium. A test that must run does not skip for want of one.
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

// openSandbox starts the real program and a browser with nothing in its memory, and opens the page.
func openSandbox(t *testing.T, browser string) *eyes {
	t.Helper()
	e := &eyes{t: t}
	url := e.start()
	dir := t.TempDir()
	base, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(stop)
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.UserDataDir(filepath.Join(dir, "profile")), chromedp.Env("HOME="+dir),
		chromedp.NoSandbox, // CI runs as root, where Chromium has none
		chromedp.DisableGPU, chromedp.WindowSize(1440, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en-US"))
	alloc, stopAlloc := chromedp.NewExecAllocator(base, opts...)
	t.Cleanup(stopAlloc)
	ctx, stopTab := chromedp.NewContext(alloc)
	e.ctx = ctx
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1440, 900)); err != nil {
		t.Fatalf("start %s: %v", browser, err)
	}
	messages := chromedp.Console(ctx)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for m, err := range messages {
			if err != nil {
				return
			}
			switch m.Type {
			case chromedp.ConsoleError, chromedp.ConsoleException, chromedp.ConsoleWarning:
				fmt.Fprintf(&e.console, "%s %s (%s:%d)\n", m.Source, m, m.URL, m.Line)
			}
		}
	}()
	t.Cleanup(func() {
		stopTab()
		<-heard
	})
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	e.holds("the bot is connected", `at("bot")?.dataset.connected === "true"`)
	return e
}

// start runs the sandbox, and returns the address it prints when it is up.
func (e *eyes) start() string {
	e.t.Helper()
	bin, err := binary()
	if err != nil {
		e.t.Fatal(err)
	}
	cmd := exec.Command(bin, "sandbox", "--listen", "127.0.0.1:0")
	cmd.Dir, cmd.Stderr = e.t.TempDir(), &e.program
	out, err := cmd.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	address := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if found := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(lines.Text()); found != "" {
				address <- found
			}
		}
		ended <- cmd.Wait()
	}()
	e.t.Cleanup(func() { e.stop(cmd.Process, ended) })
	select {
	case url := <-address:
		return url
	case err := <-ended:
		ended <- err
		e.t.Fatalf("the sandbox ended: %v\n%s", err, e.program.String())
	case <-time.After(patience):
		e.t.Fatalf("the sandbox prints no address:\n%s", e.program.String())
	}
	return ""
}

// stop ends the sandbox as Ctrl-C does.
func (e *eyes) stop(p *os.Process, ended <-chan error) {
	_ = p.Signal(syscall.SIGINT)
	select {
	case err := <-ended:
		if err != nil && !e.t.Failed() {
			e.t.Errorf("after Ctrl-C: %v\n%s", err, e.program.String())
		}
	case <-time.After(patience):
		_ = p.Kill()
		e.t.Errorf("the sandbox does not end on Ctrl-C:\n%s", e.program.String())
	}
	if e.t.Failed() {
		e.t.Logf("the sandbox wrote:\n%s", tail(e.program.String(), 4000))
	}
}

// looking is what the conditions of this test are written with. A name is a data-testid, attributes may follow it in brackets; of several
// elements the last is meant, which is the newest. Only what can be seen counts.
const looking = `
const shown = el => el.checkVisibility({ visibilityProperty: true, opacityProperty: true });
const all = name => {
  const [, id, rest] = name.match(/^([^\[]*)(.*)$/);
  return [...document.querySelectorAll((id ? '[data-testid="' + CSS.escape(id) + '"]' : '') + rest)].filter(shown);
};
const at = name => all(name).at(-1);
const says = (name, words) => all(name).some(el => words.every(w => el.innerText.includes(w)));
// hit is a point of the element at which a click reaches it, once it has come to rest.
const hit = async name => {
  at(name)?.scrollIntoView({ block: 'nearest' });
  const place = () => {
    const el = at(name), box = el?.getBoundingClientRect();
    if (!box || el.disabled) return null;
    const x = box.x + box.width / 2, y = box.y + box.height / 2;
    return el.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
  };
  const before = place();
  await new Promise(requestAnimationFrame);
  const now = place();
  return before && now && before[0] === now[0] && before[1] === now[1] ? now : null;
};
`

// evaluate has the page compute an expression in the page.
func evaluate[T any](e *eyes, expression string) (T, error) {
	return chromedp.Run(e.ctx, chromedp.Evaluate[T]("(async () => {"+looking+"return ("+expression+");})()", chromedp.EvalAwaitPromise))
}

// until evaluates until there is an answer, or patience has run out.
func until[T any](e *eyes, what, expression string, good func(T) bool) T {
	e.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := evaluate[T](e, expression)
		if err != nil {
			e.fail("%s: %v", what, err)
		}
		if good(got) {
			return got
		}
		select {
		case <-deadline:
			e.fail("never: %s", what)
		case <-tick.C:
		}
	}
}

func (e *eyes) holds(what, condition string) {
	e.t.Helper()
	until(e, what, "!!("+condition+")", func(yes bool) bool { return yes })
}

func (e *eyes) sees(name string, words ...string) {
	e.t.Helper()
	list, err := json.Marshal(append([]string{}, words...)) // never null
	if err != nil {
		e.t.Fatal(err)
	}
	e.holds(fmt.Sprintf("a %s that says %q", name, words), fmt.Sprintf("says(%q, %s)", name, list))
}

func (e *eyes) gone(name string) {
	e.t.Helper()
	e.holds("no "+name+" any more", fmt.Sprintf("!at(%q)", name))
}

// be is another person, or the same elsewhere. Each step waits for the page, whose links are those of the person it shows.
func (e *eyes) be(who, room string) {
	e.t.Helper()
	e.click("person-" + who)
	e.holds("the page is of "+who, fmt.Sprintf(`document.getElementById("app").dataset.as === %q`, who))
	e.click(room)
	e.holds(room+" is open", fmt.Sprintf(`at(%q)?.classList.contains("chosen")`, room))
}

// click presses the left button over the element, when a person could.
func (e *eyes) click(name string) {
	e.t.Helper()
	xy := until(e, "a "+name+" to click on", fmt.Sprintf("await hit(%q)", name), func(xy []float64) bool { return len(xy) == 2 })
	if err := chromedp.Do(e.ctx, chromedp.MouseClickXY(xy[0], xy[1])); err != nil {
		e.fail("click %s: %v", name, err)
	}
}

// keys types into a field, over what is in it.
func (e *eyes) keys(name, text string) {
	e.t.Helper()
	e.click(name)
	err := chromedp.Do(e.ctx, chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)), chromedp.KeyEvent(text))
	if err != nil {
		e.fail("type into %s: %v", name, err)
	}
	e.holds(name+" has what was typed", fmt.Sprintf("at(%q)?.value === %q", name, text))
}

// choose picks from a select, whose list the browser draws outside of the page, the first option that has the words.
func (e *eyes) choose(name, words string) {
	e.t.Helper()
	e.holds(fmt.Sprintf("%s offers %q", name, words), fmt.Sprintf(`[...at(%q)?.options ?? []].find(o => o.text.includes(%q))`, name, words))
	e.holds("it is chosen", fmt.Sprintf(`(() => {
		const el = at(%q);
		el.focus();
		el.value = [...el.options].find(o => o.text.includes(%q)).value;
		el.dispatchEvent(new Event('input', { bubbles: true }));
		el.dispatchEvent(new Event('change', { bubbles: true }));
		return true;
	})()`, name, words))
}

// search types into a search list and picks what it offers.
func (e *eyes) search(name, typed, want string) {
	e.t.Helper()
	e.click(name)
	if err := chromedp.Do(e.ctx, chromedp.KeyEvent(typed)); err != nil {
		e.fail("search %s: %v", name, err)
	}
	e.click(fmt.Sprintf(`[data-testid^="option-"][data-text*=%q]`, want))
	e.holds("it is chosen", fmt.Sprintf("at(%q)?.value.includes(%q)", name, want))
}

// fail ends the test with what the page shows, in words and as a picture.
func (e *eyes) fail(format string, args ...any) {
	e.t.Helper()
	text, err := evaluate[string](e, "document.body.innerText")
	if err != nil {
		text = "(" + err.Error() + ")"
	}
	where := "no picture"
	if shot, err := chromedp.Run(e.ctx, chromedp.CaptureScreenshot()); err == nil {
		// Not in t.TempDir, which goes away with the test.
		if dir, err := os.MkdirTemp("", "breakglass-browser-"); err == nil {
			where = filepath.Join(dir, "page.png")
			if err := os.WriteFile(where, shot, 0o600); err != nil {
				where = err.Error()
			}
		}
	}
	e.t.Fatalf("%s\nthe page: %s\nconsole:\n%s\nits text:\n%s", fmt.Sprintf(format, args...), where, e.console.String(), tail(text, 6000))
}

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
