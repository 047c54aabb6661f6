package workflows_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// TestOverlaps lets chance ask for, end, cancel and kill, with two scenarios that grant the same access.
func TestOverlaps(t *testing.T) {
	data, err := os.ReadFile("../deploy/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, r := range [][2]string{
		{`grant: {permission_set: Forge-Prod-ReadOnly}`, `grant: {permission_set: Forge-Prod-BreakGlass-EC2}`},
		{`guard: timed                          # this set`, `guard: closed # this set`},
	} {
		if !strings.Contains(text, r[0]) {
			t.Fatal(r[0])
		}
		text = strings.Replace(text, r[0], r[1], 1)
	}
	pol, err := policy.Parse("p", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for i := range pol.Scenarios {
		pol.Scenarios[i].PostMortem = false
	}
	bad := 0
	seeds := uint64(20)
	if os.Getenv("BREAKGLASS_SWEEP") != "" {
		seeds = 400
	}
	for seed := range seeds {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chance(t, pol, seed) })
		}) {
			if bad++; bad > 6 {
				return
			}
		}
	}
}

func chance(t *testing.T, pol *policy.Policy, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	w := newWorld(t)
	w.pol = pol
	w.bindAfter = 10 * time.Millisecond
	tuple := store.Tuple{UserID: "dana", Account: "100000000003", Set: "Forge-Prod-BreakGlass-EC2"}
	standing := rnd.IntN(3) == 0
	if standing {
		w.has[tuple] = true
		w.stands = &tuple
	}
	w.start(0)
	defer func() { w.stop() }()
	w.pass(time.Second)
	var story []string
	say := func(f string, a ...any) {
		story = append(story, fmt.Sprintf("%s ", time.Now().Format("15:04:05"))+fmt.Sprintf(f, a...))
	}
	defer func() {
		if t.Failed() {
			t.Logf("standing %v\n%s", standing, strings.Join(story, "\n"))
			open, _ := w.run.db.OfPerson("dana", 9)
			for _, r := range open {
				t.Logf("%s %s\n%s", r.ID, r.State, w.events(r.ID))
			}
		}
	}()
	for range 14 {
		open, _ := w.run.db.Open()
		var r store.Request
		if len(open) > 0 {
			r = open[rnd.IntN(len(open))]
		}
		switch k := rnd.IntN(10); {
		case k < 3 || len(open) == 0:
			sc := []string{"ec2", "console"}[rnd.IntN(2)]
			q, err := w.submit(sc, []string{"2m", "30m", "1h"}[rnd.IntN(3)])
			say("submit %s %s %v", sc, q.ID, err)
		case k < 6:
			who := map[string]string{"ec2": "lee", "console": "pat"}[r.Scenario]
			say("%s approves %s (%s)", who, r.ID, r.State)
			_ = w.click(who, store.ClickApprove, r.ID)
		case k < 7:
			say("cancel %s (%s)", r.ID, r.State)
			_ = w.click("dana", store.ClickCancel, r.ID)
		case k < 8:
			say("end %s (%s)", r.ID, r.State)
			_ = w.click("dana", store.ClickEnd, r.ID)
		case k < 9:
			switch rnd.IntN(5) {
			case 0:
				w.takes(time.Duration(rnd.IntN(40)) * time.Second)
				say("async %v", w.async)
			case 1:
				w.mu.Lock()
				w.loseCreate = 1
				w.mu.Unlock()
				say("lose the next answer to a creation")
			case 3:
				d := time.Duration(rnd.IntN(9)) * time.Second
				w.slow.Store(int64(d))
				say("a slow directory: %v", d)
			case 4:
				d := time.Duration(rnd.IntN(4)) * time.Second
				w.slowList.Store(int64(d))
				say("slow listings: %v", d)
			case 2:
				w.mu.Lock()
				w.refuse = 1
				w.mu.Unlock()
				say("refuse a creation")
			}
		default:
			say("kill soon")
			w.run.mu.Lock()
			w.run.dieAt = w.run.looks + 1 + rnd.IntN(20)
			w.run.mu.Unlock()
		}
		w.pass(time.Duration([]int{0, 1, 2, 5, 30, 90, 600}[rnd.IntN(7)]) * time.Second)
		w.keeps()
	}
	w.pass(5 * time.Hour)
	w.keeps()
	if open, _ := w.run.db.Open(); len(open) > 0 {
		t.Errorf("%s is still %s", open[0].ID, open[0].State)
	}
	w.settle()
	if w.has[tuple] != standing {
		t.Errorf("in AWS: %v, standing before: %v", w.has[tuple], standing)
	}
}

// keeps: whoever is told to have access has it.
func (w *world) keeps() {
	w.t.Helper()
	w.settle()
	open, _ := w.run.db.Open()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range open {
		if r.State == store.Active && !w.has[r.Tuple()] {
			w.t.Fatalf("%v: %s is active and has nothing", time.Now(), r.ID)
		}
	}
}
