package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store"
)

// The figures people care about: how long somebody waits who types, presses or fills in. Run them with
//
//	go test ./cmd/breakglass -run '^$' -bench . -benchtime 1x

const crowd = 50

// site is the program in this process with the twins on loopback, and a crowd of developers and managers.
type site struct {
	b          *testing.B
	world      *sandbox.World
	prog       *program
	developers []string // Slack ids
	managers   []string
	users      map[string]string // Slack id -> Identity Center id
	startedIn  time.Duration
	spread     time.Duration // between one person and the next; 0: all at once
	stop       func()
}

type siteOptions struct {
	lifted   bool
	delay    time.Duration // of each AWS call
	people   int           // besides the crowd
	sets     int
	accounts int
	store    string // an existing store
}

func newSite(b *testing.B, o siteOptions) *site {
	b.Helper()
	slackServer := httptest.NewUnstartedServer(nil)
	slackURL := "http://" + slackServer.Listener.Addr().String()
	async := 2 * time.Second
	if o.lifted {
		async = -1
	}
	s := &site{b: b, users: map[string]string{}}
	s.world = sandbox.Forge(time.Now, slackConfig(slackURL), awstwin.Config{Async: async})
	s.populate(o)
	s.world.Slack.SetQuotas(!o.lifted)
	s.world.AWS.SetQuotas(!o.lifted)
	s.world.AWS.SetDelay(o.delay)
	slackServer.Config.Handler = s.world.Slack
	slackServer.Start()
	awsServer := httptest.NewServer(s.world.AWS)
	for k, v := range map[string]string{
		"AWS_ENDPOINT_URL": awsServer.URL, "AWS_ACCESS_KEY_ID": awstwin.BotAccessKeyID, "AWS_SECRET_ACCESS_KEY": awstwin.BotSecretAccessKey,
		"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull,
	} {
		b.Setenv(k, v)
	}
	path := o.store
	if path == "" {
		path = filepath.Join(b.TempDir(), "breakglass.db")
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan *program, 1), make(chan error, 1)
	began := time.Now()
	go func() {
		done <- serve(ctx, setting{
			env: environment{BotToken: sandbox.BotToken, AppToken: sandbox.AppToken, SlackURL: slackURL + "/api/", Policy: "../../deploy/policy.yaml",
				Store: "bolt:" + path, Mail: "none", Sweep: "@every 1s", MemberRole: sandbox.MemberRole, Guard: sandbox.GuardPrefix, DeadmanRole: sandbox.DeadManRole},
			create: o.store == "", now: time.Now, registry: prometheus.NewRegistry(), noSocket: true, lifted: o.lifted,
			log: slog.New(slog.NewTextHandler(io.Discard, nil)), ready: func(p *program) { ready <- p },
		})
	}()
	select {
	case s.prog = <-ready:
	case err := <-done:
		b.Fatal(err)
	}
	s.wait("a socket", func() bool { return s.world.Slack.Sockets() > 0 })
	s.startedIn = time.Since(began)
	s.stop = func() {
		cancel()
		<-done
		s.world.Slack.Close()
		slackServer.CloseClientConnections()
		slackServer.Close()
		awsServer.Close()
	}
	return s
}

func (s *site) populate(o siteOptions) {
	person := func(kind string, i int, group string) string {
		name := fmt.Sprintf("%s%03d", kind, i)
		id := s.world.Slack.AddUser(slacktwin.User{Name: name, RealName: name, Email: name + "@forge.example", EmailConfirmed: true})
		s.users[id] = s.world.AWS.AddUser(awstwin.User{UserName: name, Email: name + "@forge.example", DisplayName: name})
		if group != "" {
			s.world.AWS.AddMember(group, s.users[id])
		}
		return id
	}
	for i := range crowd {
		s.developers = append(s.developers, person("dev", i, "grp-forge-developers"))
		s.managers = append(s.managers, person("mgr", i, "grp-forge-eng-managers"))
	}
	for i := range o.people {
		person("staff", i, "")
	}
	for i := range o.sets {
		s.world.AWS.AddPermissionSet(awstwin.PermissionSet{Name: fmt.Sprintf("Other-%02d", i)})
	}
	for i := range o.accounts {
		s.world.AWS.AddAccount(fmt.Sprintf("3%011d", i), fmt.Sprintf("other-%02d", i))
	}
	for _, name := range []string{"platform-support", "platform-incidents"} {
		s.world.Slack.UpdateChannel(s.world.Slack.ChannelID(name), func(c *slacktwin.Channel) {
			c.Members = append(append(c.Members, s.developers...), s.managers...)
		})
	}
}

func (s *site) wait(what string, cond func() bool) {
	s.b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			s.b.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// together has everybody act, each `spread` after the one before, and returns how long each took.
func (s *site) together(n int, act func(i int) time.Duration) []time.Duration {
	took := make([]time.Duration, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-time.After(time.Duration(i) * s.spread)
			took[i] = act(i)
		})
	}
	all.Wait()
	return took
}

func printed(b *testing.B, what string, took []time.Duration) {
	slices.Sort(took)
	ms := func(q float64) float64 {
		return float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds()) / 1000
	}
	b.ReportMetric(ms(0.5), what+"-p50-ms")
	b.ReportMetric(ms(0.99), what+"-p99-ms")
}

// BenchmarkCrowd has fifty people ask at once, and fifty managers approve at once.
func BenchmarkCrowd(b *testing.B) {
	for _, lifted := range []bool{true, false} {
		name := "quotas on"
		if lifted {
			name = "quotas lifted"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s := newSite(b, siteOptions{lifted: lifted})
				s.crowd()
				s.stop()
			}
		})
	}
}

func (s *site) crowd() {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	channel := s.world.Slack.ChannelID("platform-support")
	person := func(id string) *slacktwin.Person { return s.world.Slack.As(id).In(channel) }
	timed := func(f func() error) time.Duration {
		began := time.Now()
		if err := f(); err != nil {
			s.b.Error(err)
		}
		return time.Since(began)
	}
	accounts := []string{"prod-wealth", "prod-cash", "prod-9squid"}
	printed(s.b, "command-ack", s.together(crowd, func(i int) time.Duration {
		return timed(func() error {
			_, err := person(s.developers[i]).Command(ctx, "/breakglass ec2 "+accounts[i%3]+" 1h")
			return err
		})
	}))
	for _, id := range s.developers {
		s.wait("a filled form", func() bool {
			v := person(id).View()
			return v != nil && v.Field("Duration") != nil && v.Field("Duration").Value != ""
		})
		for label, value := range map[string]string{"Reason": "it is down", "Ticket": "OPS-1"} {
			if err := person(id).Fill(ctx, label, value); err != nil {
				s.b.Fatal(err)
			}
		}
	}
	printed(s.b, "submit-ack", s.together(crowd, func(i int) time.Duration {
		return timed(func() error {
			errs, err := person(s.developers[i]).Submit(ctx)
			if len(errs) > 0 {
				return fmt.Errorf("the form says %v", errs)
			}
			return err
		})
	}))
	s.wait("fifty cards", func() bool { return len(s.world.Slack.Messages(channel)) >= crowd })
	cards := s.world.Slack.Messages(channel)
	s.wait("a quiet workspace", func() bool { n, err := s.prog.db.Notices(0, 1); return err == nil && len(n) == 0 })
	s.world.AWS.ForgetCalls()
	pressed := make([]time.Time, crowd)
	printed(s.b, "click-ack", s.together(crowd, func(i int) time.Duration {
		pressed[i] = time.Now()
		return timed(func() error { return person(s.managers[i]).Click(ctx, channel, cards[i].TS, "Approve") })
	}))
	created := func() map[string]time.Time {
		at := map[string]time.Time{}
		for _, c := range s.world.AWS.Calls() {
			if c.Operation == "CreateAccountAssignment" {
				for id, user := range s.users {
					if _, seen := at[id]; !seen && strings.Contains(string(c.Input), user) {
						at[id] = c.At
					}
				}
			}
		}
		return at
	}
	s.wait("fifty assignments asked for", func() bool { return len(created()) >= crowd })
	at := created()
	var wire []time.Duration
	open, err := s.prog.db.Open()
	if err != nil {
		s.b.Fatal(err)
	}
	for i, card := range cards[:crowd] {
		for _, r := range open {
			if strings.Contains(card.PlainText(), string(r.ID)) {
				wire = append(wire, at[r.Requester.SlackID].Sub(pressed[i]))
			}
		}
	}
	printed(s.b, "approve-to-wire", wire)
	s.wait("fifty sessions", func() bool {
		n, err := s.prog.db.Tally()
		return err == nil && n[store.Active] == crowd
	})
	var access []time.Duration
	open, _ = s.prog.db.Open()
	for _, r := range open {
		access = append(access, r.VerifiedAt.Sub(r.DecidedAt))
	}
	printed(s.b, "approve-to-access", access)
}

// BenchmarkBusy has fifty people ask and fifty managers approve within five seconds, one every tenth of a second, as on a bad night. The figures of
// BenchmarkCrowd, where all of them press in the same instant, are those of the queue before two cores, the twins' work included.
func BenchmarkBusy(b *testing.B) {
	for b.Loop() {
		s := newSite(b, siteOptions{lifted: true})
		s.spread = 100 * time.Millisecond
		s.crowd()
		s.stop()
	}
}

// BenchmarkOne is one person at a time: what somebody feels who is alone at night.
func BenchmarkOne(b *testing.B) {
	s := newSite(b, siteOptions{lifted: true})
	defer s.stop()
	ctx := context.Background()
	channel := s.world.Slack.ChannelID("platform-support")
	var wire []time.Duration
	i := 0
	for b.Loop() {
		dev := s.world.Slack.As(s.developers[i%crowd]).In(channel)
		account := []string{"prod-wealth", "prod-cash", "prod-9squid"}[i/crowd%3]
		if _, err := dev.Command(ctx, "/breakglass ec2 "+account+" 1h"); err != nil {
			b.Fatal(err)
		}
		s.wait("a filled form", func() bool {
			v := dev.View()
			return v != nil && v.Field("Duration") != nil && v.Field("Duration").Value != ""
		})
		for label, value := range map[string]string{"Reason": "it is down", "Ticket": "OPS-1"} {
			if err := dev.Fill(ctx, label, value); err != nil {
				b.Fatal(err)
			}
		}
		if errs, err := dev.Submit(ctx); err != nil || len(errs) > 0 {
			b.Fatal(errs, err)
		}
		i++
		s.wait("its card", func() bool { return len(s.world.Slack.Messages(channel)) == i })
		s.wait("a quiet workspace", func() bool { n, err := s.prog.db.Notices(0, 1); return err == nil && len(n) == 0 })
		cards := s.world.Slack.Messages(channel)
		s.world.AWS.ForgetCalls()
		began := time.Now()
		if err := s.world.Slack.As(s.managers[0]).Click(ctx, channel, cards[i-1].TS, "Approve"); err != nil {
			b.Fatal(err)
		}
		var at time.Time
		s.wait("the assignment", func() bool {
			for _, c := range s.world.AWS.Calls() {
				if c.Operation == "CreateAccountAssignment" {
					at = c.At
				}
			}
			return !at.IsZero()
		})
		wire = append(wire, at.Sub(began))
	}
	printed(b, "approve-to-wire", wire)
}

// BenchmarkForm is how long after the command the form can be used, with 30 ms added to each AWS call, in a small organisation and in one of 45
// accounts, 30 permission sets and 350 users.
func BenchmarkForm(b *testing.B) {
	for name, o := range map[string]siteOptions{
		"small":     {lifted: true, delay: 30 * time.Millisecond},
		"45-30-350": {lifted: true, delay: 30 * time.Millisecond, people: 350 - 2*crowd, sets: 25, accounts: 40},
	} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b, o)
			defer s.stop()
			channel := s.world.Slack.ChannelID("platform-support")
			var usable []time.Duration
			calls, i := 0, 0
			for b.Loop() {
				dev := s.world.Slack.As(s.developers[i%crowd]).In(channel)
				i++
				s.world.AWS.ForgetCalls()
				began := time.Now()
				if _, err := dev.Command(context.Background(), "/breakglass ec2 prod-wealth 1h"); err != nil {
					b.Fatal(err)
				}
				s.wait("a filled form", func() bool {
					v := dev.View()
					return v != nil && v.Field("Duration") != nil && v.Field("Duration").Value != ""
				})
				usable = append(usable, time.Since(began))
				calls = len(s.world.AWS.Calls())
				_ = dev.CloseAll(context.Background())
			}
			printed(b, "usable", usable)
			b.ReportMetric(float64(calls), "aws-calls")
		})
	}
}
