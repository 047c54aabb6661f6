package workflows_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// The people, the policy and the habits of the stories about how access ends.

// endsPolicy is Forge's with extensions, two scenarios that grant the same access, one that grants another along, and a role for dana.
func endsPolicy(t *testing.T, more ...string) *policy.Policy {
	t.Helper()
	data, err := os.ReadFile("../deploy/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	changes := append([]string{
		`grant: {permission_set: Forge-Prod-ReadOnly}`, `grant: {permission_set: Forge-Prod-BreakGlass-EC2}`,
		`    guard: timed                          # this set`, `    guard: closed # this set`,
		"    guide: ec2-ssm", "    max_extensions: 2\n    max_total: 3h\n    guide: ec2-ssm",
		"    guide: eks-kubectl\n    ask:\n      - {name: cluster, label: \"EKS cluster\"}\n", "    with: [vpn-prod-wealth]\n    max_extensions: 1\n    max_total: 3h\n",
		"    instant: true ", "    max_extensions: 1\n    max_total: 2h\n    instant: true ",
		"  oncall@forge.example: arn:aws:iam::100000000003:user/oncall", "  dana@forge.example: arn:aws:iam::100000000003:user/dana",
	}, more...)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("the policy has no %q", changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	pol, err := policy.Parse("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

func newEndsWorld(t *testing.T, more ...string) *world {
	w := newWorld(t)
	w.pol = endsPolicy(t, more...)
	w.oneAtATime = true
	return w
}

// tuples of dana's
var (
	ec2Of       = store.Tuple{UserID: "dana", Account: "100000000003", Set: "Forge-Prod-BreakGlass-EC2"}
	emergencyOf = store.Tuple{UserID: "dana", Account: "100000000003", Set: "Forge-Prod-Emergency"}
	vpnOf       = store.Tuple{UserID: "dana", Group: "grp-forge-vpn-prod-wealth"}
)

// legend is a story in which people do what they would after a crash: what was acknowledged is not done again.
type legend struct {
	*world
	known map[store.ID]bool
}

func legendOf(w *world) *legend { return &legend{w, map[store.ID]bool{}} }

// ask asks for a scenario, until it is recorded.
func (s *legend) ask(scenario, d string) store.ID {
	s.t.Helper()
	account := "prod-wealth"
	if strings.HasPrefix(scenario, "vpn") {
		account = ""
	}
	for range 6 {
		all, err := s.run.db.OfPerson("dana", 20)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, r := range all {
			if r.Scenario == scenario && r.Lead == "" && !s.known[r.ID] {
				s.known[r.ID] = true
				return r.ID
			}
		}
		run := s.run
		r, err := s.submitAs("dana", scenario, account, d)
		if err == nil && !run.dead.Load() {
			s.known[r.ID] = true
			return r.ID
		}
		s.t.Log(scenario, err)
		s.pass(5 * time.Second)
	}
	s.t.Fatalf("%s cannot be asked for", scenario)
	return ""
}

// press is a click; its delivery is repeated until it is acknowledged, as Slack does.
func (s *legend) press(who string, c store.Click) {
	s.t.Helper()
	c.Key, c.SlackID, c.TeamID, c.Channel = fmt.Sprintf("k%d", clicks.Add(1)), "U"+strings.ToUpper(who), "T", "C"
	for range 6 {
		run := s.run
		err := run.e.Receive(context.Background(), c)
		if err == nil && !run.dead.Load() {
			return
		}
		s.pass(5 * time.Second)
	}
	s.t.Fatal("the click is never acknowledged")
}

func (s *legend) approve(who string, id store.ID) {
	s.press(who, store.Click{Kind: store.ClickApprove, Request: id})
}

// until waits for a request to be in a state.
func (s *legend) until(id store.ID, want store.State, within time.Duration) store.Request {
	s.t.Helper()
	for end := time.Now().Add(within); ; s.pass(time.Second) {
		if s.state(id) == want && !s.run.dead.Load() {
			return s.record(id)
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s is %s, not %s\n%s", id, s.state(id), want, s.events(id))
		}
	}
}

func (s *legend) record(id store.ID) store.Request {
	s.t.Helper()
	r, err := s.run.db.Request(id)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// active asks for something and gets it.
func (s *legend) active(scenario, d string, deciders ...string) store.ID {
	s.t.Helper()
	id := s.ask(scenario, d)
	s.pass(2 * time.Second)
	for _, who := range deciders {
		s.approve(who, id)
		s.pass(time.Second)
	}
	s.until(id, store.Active, 2*time.Minute)
	return id
}

// extend asks for a longer session.
func (s *legend) extend(who string, id store.ID, by string) {
	s.press(who, store.Click{Kind: store.ClickExtend, Request: id, Text: by, Reason: "not done"})
	s.pass(2 * time.Second)
}

// refused is the newest reason a click was turned down with.
func (w *world) refused() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.told) - 1; i >= 0; i-- {
		if w.told[i].n.Kind == workflows.NoticeRefusal {
			return w.told[i].n.Data["why"]
		}
	}
	return ""
}

// hours lets a long time pass in longer steps: nothing happens in it but tidying.
func (w *world) hours(d time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(10 * time.Minute)
		if w.run.dead.Load() {
			w.stop()
			w.start(0)
		}
		w.watch()
	}
}
