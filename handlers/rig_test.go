package handlers

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"

	"breakglass/bot"
	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/deploy/sandbox/wire"
	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

var (
	_ bot.Handler      = (*Handlers)(nil)
	_ workflows.People = (*Identity)(nil)
	_ desk             = (*workflows.Engine)(nil)
	_ book             = (*store.DB)(nil)
	_ facts            = (*store.DB)(nil)
)

// rig is a Slack workspace with people in it, the bot connected to it, and handlers over a store. The engine records and does not run: what it
// makes of a request is another package's story.
type rig struct {
	*slacktwin.Workspace
	t       *testing.T
	db      *store.DB
	dir     *directory
	people  *Identity
	h       *Handlers
	api     *slack.Client
	log     *bytes.Buffer
	policy  *policy.Policy
	changes []string // what OnChanged was told

	ops   string
	alice *slacktwin.Person // on call, may ask for everything
	bob   *slacktwin.Person // a developer's manager
	eve   *slacktwin.Person // in Identity Center, in no group
}

// directory is Identity Center as a test says it is.
type directory struct {
	mu    sync.Mutex
	by    map[string]store.Principal // by e-mail
	err   error
	delay time.Duration
	asked int
}

func (d *directory) Find(ctx context.Context, email string, groups []string) (store.Principal, error) {
	d.mu.Lock()
	p, known := d.by[strings.ToLower(email)]
	err, delay := d.err, d.delay
	d.asked++
	d.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return store.Principal{}, ctx.Err()
		}
	}
	if err != nil {
		return store.Principal{}, err
	}
	if !known {
		return store.Principal{}, store.ErrNobody
	}
	p.Groups = maps.Clone(p.Groups)
	for _, g := range groups {
		if !p.Groups[g] {
			p.Groups[g] = false // asked about, and not in it
		}
	}
	return p, nil
}

func (d *directory) Look(context.Context, string, []string) (store.Principal, error) {
	return store.Principal{}, store.ErrNobody
}

func (d *directory) Members(context.Context, string, int) ([]store.Principal, error) { return nil, nil }

func (d *directory) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func principal(name string, groups ...string) store.Principal {
	p := store.Principal{
		UserID: "aws-" + name, UserName: name, Email: name + "@forge.example", Enabled: true, Groups: map[string]bool{},
		DisplayName: strings.ToUpper(name[:1]) + name[1:],
	}
	for _, g := range groups {
		p.Groups[g] = true
	}
	return p
}

// inBubble runs a story in which hours pass in no time.
func inBubble(t *testing.T, p *policy.Policy, story func(t *testing.T, r *rig)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, Workspace: slacktwin.New(slacktwin.Config{}), policy: p, log: &bytes.Buffer{}}
		r.populate()
		net := wire.New()
		srv := &http.Server{Handler: r.Workspace, ErrorLog: log.New(t.Output(), "", 0)}
		go srv.Serve(net.Listen("slack.test"))
		tr := &http.Transport{DialContext: net.DialContext}
		db, err := store.Create(filepath.Join(dir, "breakglass.db"), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		r.db = db
		cfg := bot.Config{
			BotToken: "xoxb-twin", AppToken: "xapp-twin", APIURL: "http://slack.test/api/", HTTP: &http.Client{Transport: tr},
			Dialer: &websocket.Dialer{NetDialContext: net.DialContext}, Sockets: 1,
		}
		r.api = bot.NewAPI(cfg)
		r.build()
		ctx, stop := context.WithCancel(t.Context())
		b, err := bot.New(cfg, r.h)
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		running.Go(func() { b.Run(ctx) })
		r.WaitFor(ctx, func() bool { return r.Sockets() == 1 })

		defer func() { // also when the story was given up: what is left running would hide why
			stop()
			running.Wait()
			r.h.Close(context.Background())
			r.Close()
			srv.Close()
			tr.CloseIdleConnections()
			db.Close()
			time.Sleep(time.Hour) // whatever still waits ends within the bubble
		}()
		story(t, r)
		settle()
		for _, refused := range r.Refusals() {
			t.Errorf("Slack refused what we sent: %+v", refused)
		}
		if s := r.log.String(); strings.Contains(s, "panicked") {
			t.Error(s)
		}
	})
}

func (r *rig) populate() {
	for id, name := range map[string]string{"UALICE": "alice", "UBOB": "bob", "UEVE": "eve", "UNEW": "newcomer"} {
		r.AddUser(slacktwin.User{ID: id, Name: name, RealName: name, Email: name + "@forge.example", EmailConfirmed: true, TZ: "Europe/Berlin"})
	}
	r.ops = r.AddChannel(slacktwin.Channel{ID: "COPS", Name: "platform-support", Members: []string{"UALICE", "UBOB", "UEVE", "UNEW", r.BotUserID()}})
	r.alice, r.bob, r.eve = r.As("UALICE").In(r.ops), r.As("UBOB").In(r.ops), r.As("UEVE").In(r.ops)
	r.dir = &directory{by: map[string]store.Principal{}}
	for _, p := range []store.Principal{
		principal("alice", "grp-forge-sre-oncall"), principal("bob", "grp-forge-platform-leads"), principal("eve"),
	} {
		r.dir.by[p.Email] = p
	}
}

func (r *rig) build() {
	logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	in := func() *policy.Policy { return r.policy }
	home, err := Pin(r.t.Context(), r.api)
	if err != nil {
		r.t.Fatal(err)
	}
	r.people = NewIdentity(IdentityParts{
		Slack: r.api, Directory: r.dir, Facts: r.db, Policy: in, Workspace: home, Now: time.Now, Log: logger,
		OnChanged: func(_ context.Context, slackID, was, is string) {
			r.changes = append(r.changes, slackID+" "+was+" "+is)
		},
	})
	engine := workflows.New(workflows.Config{DB: r.db, Policy: in, Directory: r.dir, People: r.people, Now: time.Now, Log: logger})
	r.h = New(Parts{
		Slack: r.api, Desk: engine, Book: r.db, People: r.people, Policy: in, Workspace: home, Now: time.Now, Log: logger,
	})
}

// example is the policy that ships.
func example(t *testing.T, change func(string) string) *policy.Policy {
	t.Helper()
	raw, err := os.ReadFile("../deploy/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	if change != nil {
		text = change(text)
	}
	p, err := policy.Parse("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// settle waits until nothing is going on.
func settle() { synctest.Wait() }
