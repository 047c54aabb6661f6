package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/clock"
	"breakglass/store"
)

// cell is one life of the real program in a company of its own: a workflow is played, and at one effect of it one thing goes wrong. While a
// workflow is recorded nothing does.
type cell struct {
	flow   *flow
	row    effect     // where it goes wrong
	stroke *stroke    // how; nil: not at all
	expect *recording // what the workflow does by itself; nil while it is recorded

	dir     string
	bin     string
	env     []string
	world   *sandbox.World
	clock   *clock.Clock
	naming  naming
	close   []func()
	begin   standing
	control *http.Client // of the commands' socket

	mu      sync.Mutex
	step    string
	nth     map[effect]int
	came    map[effect]bool
	passing map[string]*sighting
	seen    []*sighting
	last    time.Time // of anything seen, by the real clock
	struck  time.Time // when it went wrong, by the twins' clock
	short   bool      // the session never was: see cutShort
	hanging bool      // a call of the program's waits for an answer that will not come
	broken  []string  // what does not hold
	ends    map[store.ID]time.Time
	tuples  map[store.ID]store.Tuple
	entered []*entry
	after   map[string]map[string]int // what stood after each step of a recording

	life  sync.Mutex // held while a process ends and the next begins
	child *child
	over  bool
	log   logBuffer
}

// child is one process of the program.
type child struct {
	cmd    *exec.Cmd
	gone   chan struct{}
	meant  bool // we ended it
	exited error
}

// logBuffer is what the processes of a cell write, one after the other.
type logBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// newCell makes the company and the folder of one life; open it with run. dir is made and removed by the cell.
func newCell(bin, dir, policy string, f *flow) (*cell, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if f.policy != nil {
		policy = f.policy(policy)
	}
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(policy), 0o600); err != nil {
		return nil, err
	}
	c := &cell{flow: f, dir: dir, bin: bin, clock: clock.New(), nth: map[effect]int{}, came: map[effect]bool{}, after: map[string]map[string]int{}, passing: map[string]*sighting{},
		ends: map[store.ID]time.Time{}, tuples: map[store.ID]store.Tuple{}, last: time.Now(), step: "start"}
	// No life sees midnight, or the hour of a monthly review: what comes of them belongs to no step.
	c.clock.Skip(time.Until(time.Now().UTC().Truncate(24 * time.Hour).Add(34 * time.Hour)))
	slackServer := httptest.NewUnstartedServer(nil)
	slackURL := "http://" + slackServer.Listener.Addr().String()
	c.world = sandbox.Forge(c.clock.Now, slackConfig(slackURL), awstwin.Config{LenientRoleKeys: true, Async: 60 * time.Millisecond, TrailDelay: -1})
	slackServer.Config.Handler = c.world.Slack
	slackServer.Start()
	awsServer := httptest.NewServer(c.world.AWS)
	clockServer := httptest.NewServer(c.clock)
	c.control = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socketPath(c.storePath()))
		}}}
	c.close = append(c.close, c.world.Slack.Close, slackServer.CloseClientConnections, awsServer.CloseClientConnections, clockServer.CloseClientConnections,
		slackServer.Close, awsServer.Close, clockServer.Close)
	c.naming = newNaming(c.world)
	c.begin = whatStands(c.world)
	c.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir,
		"SLACK_BOT_TOKEN=" + sandbox.BotToken, "SLACK_APP_TOKEN=" + sandbox.AppToken, "SLACK_API_URL=" + slackURL + "/api/",
		"AWS_ENDPOINT_URL=" + awsServer.URL, "AWS_ACCESS_KEY_ID=" + awstwin.BotAccessKeyID, "AWS_SECRET_ACCESS_KEY=" + awstwin.BotSecretAccessKey,
		"AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true", "BREAKGLASS_SWEEP=@every 1s", "BREAKGLASS_LISTEN=",
		"BREAKGLASS_TWIN_CLOCK=" + clockServer.URL + "/clock", "BREAKGLASS_ARCHIVE=file:archive", guardOn, "BREAKGLASS_DEADMAN_ROLE=" + sandbox.DeadManRole,
		"GOGC=400", "GOMEMLIMIT=256MiB", // a life is short, and many go on at once
	}, f.env...)
	c.world.AWS.Intercept(c.onAWS)
	c.world.Slack.Intercept(c.onSlack)
	return c, nil
}

func (c *cell) storePath() string { return filepath.Join(c.dir, "breakglass.db") }

// start begins a process. The caller holds life.
func (c *cell) start(args ...string) error {
	p := &child{cmd: exec.Command(c.bin, append([]string{"serve"}, args...)...), gone: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = c.dir, c.env, &c.log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	c.child = p
	go func() {
		p.exited = p.cmd.Wait()
		c.life.Lock()
		meant := p.meant
		c.life.Unlock()
		if !meant {
			c.breaks("the process ended by itself: %v", p.exited)
		}
		close(p.gone)
	}()
	return nil
}

// killNow is kill -9 and, as a supervisor does, a start after it. It returns when the process is gone and the next has been begun.
func (c *cell) killNow() {
	c.life.Lock()
	if c.over {
		c.life.Unlock()
		return
	}
	p := c.child
	p.meant = true
	_ = p.cmd.Process.Kill()
	c.life.Unlock()
	<-p.gone
	for i := 0; i < 100 && c.world.Slack.Sockets() > 0; i++ { // a dead process's sockets are not ours to click through
		time.Sleep(2 * time.Millisecond)
	}
	c.life.Lock()
	defer c.life.Unlock()
	if c.over || c.child != p {
		return
	}
	if err := c.start(); err != nil {
		c.breaks("the program cannot be started again: %v", err)
	}
}

// rest stops the program in order, as its supervisor does.
func (c *cell) rest() error {
	c.await("the program is up", 20*time.Second, func() bool { return c.world.Slack.Sockets() > 0 }) // before that it hears no signal
	c.life.Lock()
	p := c.child
	p.meant = true
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	c.life.Unlock()
	select {
	case <-p.gone:
		return p.exited
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.gone
		return errors.New("SIGTERM does not end the program")
	}
}

// left is what the store holds that is still to be done; "" where there is nothing. No process runs.
func (c *cell) left() string {
	db, err := store.Open(c.storePath(), c.clock.Now())
	if err != nil {
		return err.Error()
	}
	defer db.Close()
	open, err := db.Open()
	clicks, cerr := db.Clicks(1)
	notices, nerr := db.Notices(0, 1)
	parts, perr := db.Parts(0, 1)
	switch {
	case err != nil || cerr != nil || nerr != nil || perr != nil:
		return errors.Join(err, cerr, nerr, perr).Error()
	case len(open) > 0:
		return fmt.Sprintf("%s is %s", open[0].ID, open[0].State)
	case len(clicks) > 0:
		return fmt.Sprintf("a click is left: %s of %s", clicks[0].Kind, clicks[0].Request)
	case len(notices) > 0:
		return fmt.Sprintf("a notice is left: %s of %s (%s)", notices[0].Kind, notices[0].Request, notices[0].Error)
	case len(parts) > 0:
		return fmt.Sprintf("a part is left: %s (%s)", parts[0].Folder(), parts[0].Error)
	}
	return ""
}

// stop ends the last process for good.
func (c *cell) stop() {
	c.life.Lock()
	c.over = true
	p := c.child
	p.meant = true
	_ = p.cmd.Process.Kill()
	c.life.Unlock()
	<-p.gone
}

// run plays the workflow and says what does not hold.
func (c *cell) run() (broken []string) {
	defer os.RemoveAll(c.dir)
	defer c.control.CloseIdleConnections()
	defer func() {
		for _, f := range c.close {
			f()
		}
	}()
	c.life.Lock()
	err := c.start("--init")
	c.life.Unlock()
	if err != nil {
		return []string{err.Error()}
	}
	c.play()
	c.stop()
	c.world.AWS.Intercept(nil)
	c.world.Slack.Intercept(nil)
	if c.expect != nil && c.stroke != nil && c.struckAt().IsZero() {
		c.breaks("%s", neverCame)
	}
	c.audit()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

// stuck is how a script ends that cannot go on.
type stuck string

func (c *cell) play() {
	defer func() {
		if p := recover(); p != nil {
			s, ok := p.(stuck)
			if !ok {
				panic(p)
			}
			c.breaks("%s", string(s))
		}
	}()
	c.await("the program is up", 20*time.Second, func() bool { return c.world.Slack.Sockets() > 0 })
	c.follow()
	c.aftermath()
}

// follow plays the script.
func (c *cell) follow() {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case cutShort:
			c.shortened(store.ID(p))
		default:
			panic(p)
		}
	}()
	c.flow.play(c)
}

// breaks notes what does not hold.
func (c *cell) breaks(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = append(c.broken, fmt.Sprintf(format, args...))
}

// sessions asks the process what is open; ok is false where none answers.
func (c *cell) sessions() (all []store.Request, ok bool) {
	res, err := c.control.Post("http://breakglass/", "application/json", bytes.NewReader([]byte(`{"do":"sessions"}`)))
	if err != nil {
		return nil, false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	var a answer
	if err != nil || json.Unmarshal(body, &a) != nil || a.Error != "" {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range a.Sessions {
		c.tuples[r.ID] = r.Tuple()
		switch {
		case r.ExpiresAt.IsZero():
		case !r.End.At.IsZero() && r.End.At.Before(r.ExpiresAt): // an early end has to be told to IAM first
			c.ends[r.ID] = r.End.At.Add(onTime + c.slow())
		default:
			c.ends[r.ID] = r.ExpiresAt
		}
	}
	return a.Sessions, true
}
