package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/deploy/sandbox/wire"
	"breakglass/store"
)

// townSize is how large an organisation is, Forge's own accounts, sets and people included.
type townSize struct{ accounts, sets, people int }

// grownUp is the size that figures are given for.
func grownUp() townSize { return townSize{accounts: 45, sets: 30, people: 350} }

// town is an organisation of any size with the whole program in it, in a bubble: every call of the program's to AWS is written down with its moment, and
// takes as long as the twin is told to.
type town struct {
	tb     testing.TB
	dir    string
	store  string
	net    *wire.Net
	world  *sandbox.World
	logs   bytes.Buffer
	places []store.Account // in which sets can be granted
	sets   []string
	devs   []string          // Slack ids of those who may ask
	bosses []string          // of those who may approve
	users  map[string]string // Slack id -> Identity Center id
	undo   []func()
	run    *townRun

	mu    sync.Mutex
	calls []townCall
	keep  bool // calls are written down

	bare bool // no dead man's schedules
}

// townRun is one run of the program.
type townRun struct {
	began  time.Time
	cancel context.CancelFunc
	done   chan error
	ready  chan *program
	p      *program
	http   [2]*http.Client
}

// townCall is a call that has arrived at AWS.
type townCall struct {
	at   time.Time
	op   string
	body []byte // of creations and deletions
}

// newTown makes it. Call it in a bubble, and demolish at the end.
func newTown(tb testing.TB, dir string, size townSize, cfg awstwin.Config) *town {
	w := &town{tb: tb, dir: dir, store: filepath.Join(dir, "breakglass.db"), net: wire.New(), users: map[string]string{}, keep: true}
	w.world = sandbox.Forge(time.Now, slackConfig("http://slack.twin"), cfg)
	w.populate(size)
	slackServer, awsServer := &http.Server{Handler: w.world.Slack}, &http.Server{Handler: w.noting(w.world.AWS)}
	go func() { _ = slackServer.Serve(w.net.Listen("slack.twin")) }()
	go func() { _ = awsServer.Serve(w.net.Listen("aws.twin")) }()
	w.undo = append(w.undo, w.world.Slack.Close, func() { _ = slackServer.Close() }, func() { _ = awsServer.Close() })
	return w
}

func (w *town) demolish() {
	w.halt()
	for _, f := range w.undo {
		f()
	}
}

// noting writes every call down as it arrives, before the twin lets it take its time.
func (w *town) noting(twin http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		at := time.Now()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.mu.Lock()
		if w.keep {
			c := townCall{at: at, op: operationOf(r, body)}
			if strings.HasSuffix(c.op, "eAccountAssignment") {
				c.body = body
			}
			w.calls = append(w.calls, c)
		}
		w.mu.Unlock()
		twin.ServeHTTP(rw, r)
	})
}

// since are the calls that arrived from then on.
func (w *town) since(t time.Time) (out []townCall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if !c.at.Before(t) {
			out = append(out, c)
		}
	}
	return out
}

func (w *town) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = nil
}

// populate makes the organisation as large as asked, and writes the policy that lets every set be asked for in every account.
func (w *town) populate(size townSize) {
	aws := w.world.AWS
	for _, p := range []struct{ id, name string }{{sandbox.ProdWealth, "prod-wealth"}, {sandbox.ProdCash, "prod-cash"}, {sandbox.Prod9Squid, "prod-9squid"}} {
		w.places = append(w.places, store.Account{ID: p.id, Name: p.name, Regions: []string{"us-east-1"}})
	}
	names := []string{}
	for i := len(w.places); i < size.accounts; i++ {
		a := store.Account{ID: fmt.Sprintf("2%011d", i), Name: fmt.Sprintf("acct-%03d", i), Regions: []string{"us-east-1"}}
		aws.AddAccount(a.ID, a.Name)
		aws.SetRole(a.ID, sandbox.MemberRole, mayAssumeMember, map[string]string{"all": mayAll})
		w.places = append(w.places, a)
		names = append(names, a.Name)
	}
	for i := len(aws.PermissionSets()); i < size.sets; i++ {
		w.sets = append(w.sets, fmt.Sprintf("Bench-%02d", i))
	}
	for _, set := range w.sets {
		aws.AddPermissionSet(awstwin.PermissionSet{Name: set, InlinePolicy: mayAll, CustomerManaged: []string{sandbox.Guard(set), sandbox.Fence}})
	}
	own := []string{"Forge-Prod-Emergency", "Forge-Prod-BreakGlass-EC2"}
	for n, a := range w.places {
		if n >= 3 {
			aws.SetPolicy(a.ID, sandbox.Fence, sandbox.FirstGuard("a fence that was never written"))
		}
		for _, set := range append(w.sets, own...) {
			if n >= 3 || strings.HasPrefix(set, "Bench-") {
				aws.SetPolicy(a.ID, sandbox.Guard(set), sandbox.FirstGuard(set))
				aws.Assign("grp-forge-breakglass-anchor", a.ID, set)
			}
		}
	}
	for i := len(aws.Users()); i < size.people; i++ {
		kind, group := "dev", "grp-forge-developers"
		if i%10 == 0 {
			kind, group = "boss", "grp-forge-eng-managers"
		}
		name := fmt.Sprintf("%s%03d", kind, i)
		id := w.world.Slack.AddUser(slacktwin.User{Name: name, RealName: name, Email: name + "@forge.example", EmailConfirmed: true})
		w.users[id] = aws.AddUser(awstwin.User{UserName: name, Email: name + "@forge.example", DisplayName: name})
		aws.AddMember(group, w.users[id])
		if kind == "boss" {
			w.bosses = append(w.bosses, id)
		} else {
			aws.AddMember("grp-forge-sre-oncall", w.users[id])
			w.devs = append(w.devs, id)
		}
	}
	for _, name := range []string{"platform-support", "platform-incidents"} {
		w.world.Slack.UpdateChannel(w.world.Slack.ChannelID(name), func(c *slacktwin.Channel) {
			c.Members = append(append(c.Members, w.devs...), w.bosses...)
		})
	}
	w.writePolicy(names)
}

const (
	mayAll          = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	mayAssumeMember = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + sandbox.BotAccount + `:root"},"Action":"sts:AssumeRole"}]}`
)

// scenarioOf is the scenario that grants a set of this organisation.
func scenarioOf(set string) string { return strings.ToLower(set) }

func (w *town) policy() string { return filepath.Join(w.dir, "policy.yaml") }

// writePolicy adds the accounts to the example policy, to its Tier 0 and its ec2 as well, and a scenario for each set.
func (w *town) writePolicy(more []string) {
	data, err := os.ReadFile("../../deploy/policy.yaml")
	if err != nil {
		w.tb.Fatal(err)
	}
	accounts, scenarios, names := "", "", ""
	for _, a := range w.places[3:] {
		accounts += fmt.Sprintf("  %s: {id: %q, regions: [us-east-1]}\n", a.Name, a.ID)
	}
	for _, n := range more {
		names += ", " + n
	}
	for _, set := range w.sets {
		scenarios += fmt.Sprintf("  %s:\n    title: %q\n    tier: 1\n    accounts: [prod-wealth, prod-cash, prod-9squid%s]\n    eligible: [developers]\n"+
			"    grant: {permission_set: %s}\n    approval: {any_of: [eng-managers]}\n    max_duration: 8h\n", scenarioOf(set), set, names, set)
	}
	text := strings.Replace(string(data), "accounts:\n", "accounts:\n"+accounts, 1)
	text = strings.Replace(text, "scenarios:\n", "scenarios:\n"+scenarios, 1)
	for _, s := range []string{"emergency", "ec2"} {
		at := strings.Index(text, "\n  "+s+":\n")
		text = text[:at] + strings.Replace(text[at:], "prod-9squid]", "prod-9squid"+names+"]", 1)
	}
	if err := os.WriteFile(w.policy(), []byte(text), 0o600); err != nil {
		w.tb.Fatal(err)
	}
}

// launch starts the program, and does not wait for it.
func (w *town) launch(create bool) {
	r := &townRun{began: time.Now(), done: make(chan error, 1), ready: make(chan *program, 1)}
	for i := range r.http {
		r.http[i] = &http.Client{Transport: &http.Transport{DialContext: w.net.DialContext, MaxIdleConnsPerHost: 256}}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	deadman := sandbox.DeadManRole
	if w.bare {
		deadman = ""
	}
	set := setting{
		env: environment{
			BotToken: sandbox.BotToken, AppToken: sandbox.AppToken, SlackURL: "http://slack.twin/api/", Policy: w.policy(), Store: "bolt:" + w.store,
			Mail: "none", Sweep: "@every 5s", MemberRole: sandbox.MemberRole, Guard: sandbox.GuardPrefix, DeadmanRole: deadman,
		},
		create: create, now: time.Now, registry: prometheus.NewRegistry(), noSocket: true,
		log:   slog.New(slog.NewTextHandler(&w.logs, &slog.HandlerOptions{Level: slog.LevelWarn})),
		slack: r.http[0], aws: r.http[1], dialer: &websocket.Dialer{NetDialContext: w.net.DialContext},
		ready: func(p *program) { r.ready <- p },
	}
	go func() { r.done <- serve(ctx, set) }()
	w.run = r
}

// open waits until people can use it.
func (w *town) open() {
	w.tb.Helper()
	select {
	case w.run.p = <-w.run.ready:
	case err := <-w.run.done:
		w.tb.Fatalf("the program ended: %v", err)
	case <-time.After(2 * time.Minute):
		w.tb.Fatal("the program does not come up")
	}
	w.await("a socket", time.Minute, func() bool { return w.world.Slack.Sockets() > 0 })
}

// halt ends the program as SIGTERM does.
func (w *town) halt() {
	if w.run == nil {
		return
	}
	w.run.cancel()
	if err := <-w.run.done; err != nil {
		w.tb.Errorf("the program ended with %v", err)
	}
	for _, c := range w.run.http {
		c.CloseIdleConnections()
	}
	w.run = nil
}

// await lets time pass until something is so.
func (w *town) await(what string, patience time.Duration, cond func() bool) {
	w.tb.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			w.tb.Fatalf("never: %s\n%s", what, tail(w.logs.String(), 4000))
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
}

// fillIn has somebody open the form and fill it in. What is left is to send it.
func (w *town) fillIn(dev, scenario, account, duration string) *slacktwin.Person {
	w.tb.Helper()
	ctx := context.Background()
	p := w.world.Slack.As(dev).In(w.world.Slack.ChannelID("platform-support"))
	if _, err := p.Command(ctx, "/breakglass "+scenario+" "+account+" "+duration); err != nil {
		w.tb.Fatal(err)
	}
	w.await("a filled form", time.Minute, func() bool {
		v := p.View()
		return v != nil && v.Field("Duration") != nil && v.Field("Duration").Value != ""
	})
	for label, value := range map[string]string{"Reason": "it is down", "Ticket": "OPS-1"} {
		if err := p.Fill(ctx, label, value); err != nil {
			w.tb.Fatal(err)
		}
	}
	return p
}

// ask is fillIn, sent, and its request.
func (w *town) ask(dev, scenario, account, duration string) store.Request {
	w.tb.Helper()
	p := w.fillIn(dev, scenario, account, duration)
	if errs, err := p.Submit(context.Background()); err != nil || len(errs) > 0 {
		w.tb.Fatalf("submit: %v %v", errs, err)
	}
	return w.newest(dev)
}

// newest is somebody's last request, once it is recorded.
func (w *town) newest(dev string) (r store.Request) {
	w.tb.Helper()
	w.await("a request", time.Minute, func() bool {
		all, err := w.run.p.db.OfPerson(w.users[dev], 1)
		if err != nil || len(all) == 0 {
			return false
		}
		r = all[0]
		return true
	})
	return r
}

// card waits until a request's message stands and nothing is left to be said, and returns where it stands.
func (w *town) card(id store.ID) (ref store.Ref) {
	w.tb.Helper()
	w.await("its card", 10*time.Minute, func() bool {
		var known bool
		ref, known, _ = w.run.p.db.Ref(id, "card")
		n, err := w.run.p.db.Notices(0, 1)
		return known && err == nil && len(n) == 0
	})
	return ref
}

func (w *town) approve(boss string, ref store.Ref) {
	w.tb.Helper()
	if err := w.world.Slack.As(boss).In(ref.Channel).Click(context.Background(), ref.Channel, ref.TS, "Approve"); err != nil {
		w.tb.Fatal(err)
	}
}

// active waits until a request has access.
func (w *town) active(id store.ID) {
	w.tb.Helper()
	w.await(string(id)+" active", 2*time.Minute, func() bool {
		r, err := w.run.p.db.Request(id)
		return err == nil && r.State == store.Active
	})
}
