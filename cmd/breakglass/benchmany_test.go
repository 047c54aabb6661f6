package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
	"breakglass/workflows/aws"
	"breakglass/workflows/policy"
)

// How many sessions end within one minute: manySessions, with BREAKGLASS_BENCH=full allSessions.
const (
	manySessions = 2_000
	allSessions  = 10_000
)

// quotaRate is AWS's: so many calls of Identity Center's APIs a second, together. workRate is how much of it the revocations must use while it is what
// holds them up.
const (
	quotaRate = 20.0
	workRate  = 0.95 * quotaRate
)

// TestManyEndsAtOnce has thousands of sessions end within one minute: the bot alone takes them away, as fast as AWS lets it. AWS has its limits and takes a
// second for each change.
func TestManyEndsAtOnce(t *testing.T) {
	simulationEnvironment(t)
	n := manySessions
	if os.Getenv("BREAKGLASS_BENCH") == "full" {
		n = allSessions
	}
	if testing.Short() {
		n = 200
	}
	dir := fastDir(t)
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, dir, grownUp(), awstwin.Config{Async: time.Second})
		defer w.demolish()
		w.bare = true
		m := w.seedMany(n, 30*time.Minute, time.Minute)
		w.launch(false)
		w.open()
		time.Sleep(time.Until(m.first) - time.Second)
		w.forget()
		w.world.AWS.ForgetCalls()
		m.heap = heapMB()
		m.run(w)
		m.tell(t, w)
	})
	t.Logf("%v of real time", time.Since(began).Round(100*time.Millisecond))
}

// many are sessions that end at the same time.
type many struct {
	n           int
	first, last time.Time // their ends
	ends        map[store.Tuple]time.Time
	byARN       map[string]string // names of sets

	deleted map[store.Tuple]time.Time // on the wire
	over    time.Time                 // nobody has access any more
	calls   []townCall
	heap    float64 // before, MB
	most    float64 // the most seen meanwhile
}

// seedMany makes active sessions by the store's lawful changes, spread over accounts, sets and people, with their assignments and their lines in the guards;
// the first ends after lead, the last within spread after it.
func (w *town) seedMany(n int, lead, spread time.Duration) *many {
	w.tb.Helper()
	now := store.Moment(time.Now())
	m := &many{n: n, first: now.Add(lead), last: now.Add(lead + spread), ends: map[store.Tuple]time.Time{}, byARN: map[string]string{}, deleted: map[store.Tuple]time.Time{}}
	for _, s := range w.world.AWS.PermissionSets() {
		m.byARN[s.ARN] = s.Name
	}
	db, err := store.Create(w.store, now)
	if err != nil {
		w.tb.Fatal(err)
	}
	var all sync.WaitGroup
	gate := make(chan struct{}, 64)
	guards := map[store.Tuple]bool{}
	for i := range n {
		place, set := w.places[i%len(w.places)], w.sets[i/len(w.places)%len(w.sets)]
		who := w.users[w.devs[(i+i/(len(w.places)*len(w.sets))*17)%len(w.devs)]]
		r := store.Request{
			State: store.Pending, Requester: store.Person{SlackID: w.devs[i%len(w.devs)], UserID: who, UserName: "somebody", Name: "Somebody"}, Scenario: scenarioOf(set), Title: set,
			Tier: 1, Account: place, PermissionSet: set, Duration: lead + spread, Reason: "it is down", SubmittedAt: now, ExpiresAt: m.first.Add(spread * time.Duration(i) / time.Duration(n)),
			Guard: policy.GuardClosed, Ends: store.Ends{Guard: true},
		}
		if _, twice := m.ends[r.Tuple()]; twice {
			w.tb.Fatalf("%+v twice", r.Tuple())
		}
		m.ends[r.Tuple()] = r.ExpiresAt
		guards[store.Tuple{Account: place.ID, Set: set}] = true
		w.world.AWS.Assign(who, place.ID, set)
		gate <- struct{}{}
		all.Go(func() {
			defer func() { <-gate }()
			if err := makeActive(db, now, r); err != nil {
				w.tb.Error(err)
			}
		})
	}
	all.Wait()
	w.layGuards(db, guards)
	if err := db.Close(); err != nil {
		w.tb.Fatal(err)
	}
	return m
}

// makeActive takes a request the whole way to access, with its guard's line.
func makeActive(db *store.DB, now time.Time, r store.Request) error {
	by, ends := store.By{Actor: store.Bot(), At: now}, r.ExpiresAt
	r.ExpiresAt = time.Time{}
	r, err := db.Submit(by, r, func(c *store.Change) error { c.Request.Set(store.ClockExpire, now.Add(time.Hour)); return nil })
	if err != nil {
		return err
	}
	for _, step := range [][2]store.State{{store.Pending, store.Approved}, {store.Approved, store.Granting}, {store.Granting, store.Active}} {
		_, err = db.Transition(by, r.ID, step[0], step[1], func(c *store.Change) error {
			q := c.Request
			q.Stop(store.ClockExpire)
			q.Set(store.ClockEnd, ends)
			if step[1] != store.Granting {
				return nil
			}
			q.GrantedAt, q.ExpiresAt = now, ends
			return c.Want(false, true)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// layGuards brings guards and fences to what the store and the policy say, so that the program finds nothing to mend.
func (w *town) layGuards(db *store.DB, guards map[store.Tuple]bool) {
	ctx := context.Background()
	c, err := aws.Connect(ctx, aws.Config{Region: "us-east-1", MemberRole: sandbox.MemberRole, Guard: sandbox.GuardPrefix, Log: slog.New(slog.DiscardHandler),
		HTTP: &http.Client{Transport: &http.Transport{DialContext: w.net.DialContext}}})
	if err != nil {
		w.tb.Fatal(err)
	}
	pol, _, err := readPolicy(w.policy())
	if err != nil {
		w.tb.Fatal(err)
	}
	for _, a := range w.places {
		if _, err := c.Guards().Fence(ctx, store.Fence{Account: a.ID, MayAssume: pol.MayAssume(a.ID)}, func(string) error { return nil }); err != nil {
			w.tb.Fatal(err)
		}
	}
	for _, set := range pol.BreakGlassSets() {
		for _, a := range pol.Opens(policy.Grant{Kind: policy.GrantPermissionSet, Name: set}) {
			of := store.Tuple{Account: a.ID, Set: set}
			g, err := db.Guard(of, time.Now())
			if err != nil {
				w.tb.Fatal(err)
			}
			rule, _ := pol.GuardOf(set, a.ID)
			if g.Closed = rule.Closed; !rule.Closed && !guards[of] {
				continue
			}
			if err := c.Guards().Write(ctx, g); err != nil {
				w.tb.Fatal(err)
			}
		}
	}
}

// run lets time pass until nobody has access.
func (m *many) run(w *town) {
	for end := m.last.Add(4 * time.Hour); ; {
		time.Sleep(5 * time.Second)
		counts, err := w.run.p.db.Tally()
		if err != nil {
			w.tb.Fatal(err)
		}
		open := 0
		for s, n := range counts {
			if s.MayHaveAccess() {
				open += n
			}
		}
		if m.most = max(m.most, heapMB()); open == 0 {
			break
		}
		if time.Now().After(end) {
			w.tb.Fatalf("%d are still in %v after the last end: %v\n%s", open, time.Since(m.last), counts, tail(w.logs.String(), 4000))
		}
	}
	m.over = time.Now()
	m.calls = w.since(time.Time{})
	for _, c := range m.calls {
		if c.op != "DeleteAccountAssignment" {
			continue
		}
		var in struct{ TargetId, PermissionSetArn, PrincipalId string }
		if err := json.Unmarshal(c.body, &in); err != nil {
			w.tb.Fatal(err)
		}
		t := store.Tuple{UserID: in.PrincipalId, Account: in.TargetId, Set: m.byARN[in.PermissionSetArn]}
		if _, known := m.deleted[t]; !known {
			m.deleted[t] = c.at
		}
	}
}

// tell prints the figures and asserts what is promised.
func (m *many) tell(t *testing.T, w *town) {
	t.Helper()
	var late []time.Duration
	var wire []time.Time
	for tuple, end := range m.ends {
		at, ok := m.deleted[tuple]
		if !ok {
			t.Fatalf("%+v was never asked for", tuple)
		}
		late, wire = append(late, at.Sub(end)), append(wire, at)
	}
	slices.Sort(late)
	slices.SortFunc(wire, time.Time.Compare)
	begun, ended := wire[0], wire[len(wire)-1]
	// The first seconds have not enough to do, and in the last the accounts that are left take one change at a time each.
	busy := span{begun.Add(10 * time.Second), wire[len(wire)*8/10]}
	ops := m.opsIn(span{begun, ended})
	took := ended.Sub(begun)
	at := func(q float64) time.Duration {
		return late[min(len(late)-1, int(q*float64(len(late))))].Round(time.Millisecond)
	}
	all, work := adminOf(m.opsIn(busy))
	rate := float64(work) / busy.len().Seconds()
	_, whole := adminOf(ops)
	t.Logf("%d sessions that end within %v, in %d accounts:\n"+
		"  the last deletion on the wire %v after the first, nobody in %v after the last end\n"+
		"  %.1f revocations/s; lateness of the deletion p50 %v, p99 %v, max %v\n"+
		"  sso-admin while four fifths were done: %.1f of %.0f calls/s, %.1f of them for revocations; %.2f for each revocation\n"+
		"  refused by AWS: %v\n"+
		"  calls meanwhile: %v\n"+
		"  revocations in each tenth of the time: %v\n"+
		"  heap of the program and the twins: %.0f MB before, %.0f MB at most; still to be said to people: %v",
		m.n, m.last.Sub(m.first), len(w.places), took.Round(time.Millisecond), m.over.Sub(m.last).Round(time.Second),
		float64(m.n)/took.Seconds(), at(0.5), at(0.99), at(1),
		float64(all)/busy.len().Seconds(), quotaRate, rate, float64(whole)/float64(m.n), w.refused(), countsOf(ops), tenths(wire), m.heap, m.most, w.unsaid())
	if rate < workRate && m.n >= manySessions { // fewer do not fill the quota
		t.Errorf("revocations use %.1f calls/s of %.0f: at least %.0f were to be had", rate, quotaRate, workRate)
	}
	for _, a := range w.world.AWS.Assignments() {
		if _, ours := m.ends[store.Tuple{UserID: a.PrincipalID, Account: a.AccountID, Set: a.PermissionSet}]; ours {
			t.Fatalf("%+v is still there", a)
		}
	}
}

type span struct{ from, to time.Time }

func (s span) len() time.Duration { return s.to.Sub(s.from) }

func (m *many) opsIn(s span) map[string]int {
	ops := map[string]int{}
	for _, c := range m.calls {
		if !c.at.Before(s.from) && !c.at.After(s.to) {
			ops[c.op]++
		}
	}
	return ops
}

// adminOf counts the calls that Identity Center's quota is about, and those of them that revocations made: a reconciliation reads a guard for each pair that
// it lists.
func adminOf(ops map[string]int) (all, work int) {
	for _, op := range []string{"DeleteAccountAssignment", "ListAccountAssignments", "ListAccountAssignmentDeletionStatus", "DescribeAccountAssignmentDeletionStatus", "ListPermissionSets",
		"DescribePermissionSet", "ListAccountsForProvisionedPermissionSet", "ListInstances", "CreateAccountAssignment", "ListAccountAssignmentCreationStatus"} {
		all += ops[op]
	}
	return all, all - ops["GetPolicyVersion"] - ops["ListAccountsForProvisionedPermissionSet"]
}

// refused is what AWS refused, by operation and code.
func (w *town) refused() map[string]int {
	out := map[string]int{}
	for _, c := range w.world.AWS.Calls() {
		if c.Error != "" {
			out[c.Operation+" "+c.Error]++
		}
	}
	return out
}

// tenths counts moments in each tenth of the time they take.
func tenths(all []time.Time) (n [10]int) {
	took := all[len(all)-1].Sub(all[0]) + 1
	for _, at := range all {
		n[10*at.Sub(all[0])/took]++
	}
	return n
}

// unsaid counts what waits in the outbox, by its kind.
func (w *town) unsaid() string {
	all, err := w.run.p.db.Notices(0, 1_000_000)
	if err != nil {
		w.tb.Fatal(err)
	}
	kinds := map[string]int{}
	for _, n := range all {
		kinds[n.Kind]++
	}
	return countsOf(kinds)
}

func countsOf(ops map[string]int) string {
	var all []string
	for op, n := range ops {
		all = append(all, fmt.Sprintf("%s %d", op, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func heapMB() float64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc) / 1e6
}
