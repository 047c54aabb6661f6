package aws

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
	"breakglass/workflows"
)

var (
	_ workflows.Guards   = (*Guards)(nil)
	_ workflows.Assigner = (*Roles)(nil)
)

const (
	prefix    = "BreakGlassGuard"
	byMember  = "breakglass-bot-member"
	botTrusts = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::100000000000:root"},"Action":"sts:AssumeRole"}]}`
	// What Terraform lays before the bot has written anything.
	bare = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"identitystore:userId":["nobody"]}}}]}`
)

// guarded plays a story in an organisation whose permission set carries a guard and the fence, by a connection that knows of them.
func guarded(t *testing.T, story func(t *testing.T, w *world, g *Guards)) {
	env(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, awstwin.Config{}, Config{})
		w.AddPermissionSet(awstwin.PermissionSet{Name: "Guarded", InlinePolicy: allowAll, CustomerManaged: []string{prefix + "-Guarded", FenceName}})
		for _, account := range []string{wealth, cash} {
			w.SetRole(account, byMember, botTrusts, map[string]string{"all": allowAll})
			w.SetPolicy(account, prefix+"-Guarded", bare)
			w.SetPolicy(account, FenceName, bare)
		}
		w.connect(t, Config{MemberRole: byMember, Guard: prefix})
		w.ForgetCalls()
		story(t, w, w.conn.Guards())
	})
}

// write is a guard that must be written.
func write(t *testing.T, g *Guards, gu store.Guard) {
	t.Helper()
	if err := g.Write(t.Context(), gu); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

// timed is a guard of the set in an account, with these lines.
func timed(lines ...store.Line) store.Guard {
	return store.Guard{Account: wealth, Set: "Guarded", Lines: lines}
}

func closed(lines ...store.Line) store.Guard {
	g := timed(lines...)
	g.Closed = true
	return g
}

// signIn assigns the set to somebody and opens a session of it.
func (w *world) signIn(t *testing.T, who string) *awstwin.Session {
	t.Helper()
	w.Assign(who, wealth, "Guarded")
	s, err := w.SignIn(who, wealth, "Guarded")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var look = awstwin.Action{Service: "ec2", Name: "DescribeInstances"}

// may says whether a session is allowed something.
func may(t *testing.T, s *awstwin.Session, a awstwin.Action, want bool) {
	t.Helper()
	err := s.Do(t.Context(), a)
	var refused *awstwin.Error
	if errors.As(err, &refused) && !strings.Contains(refused.Message, "explicit deny") {
		t.Fatalf("%s %v: %v", a.Name, a.Params, err)
	}
	if (err == nil) != want {
		t.Fatalf("%s %v: allowed = %t (%v), want %t", a.Name, a.Params, err == nil, err, want)
	}
}

// operations are the calls of IAM since the last time it was asked.
func (w *world) operations() string {
	var ops []string
	for _, c := range w.Calls() {
		if c.Service == "iam" {
			ops = append(ops, c.Operation)
		}
	}
	w.ForgetCalls()
	return strings.Join(ops, " ")
}

func wantRefusal(t *testing.T, err error, code string, says ...string) {
	t.Helper()
	var r *store.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Fatalf("%v; want a refusal %s", err, code)
	}
	for _, s := range says {
		if !strings.Contains(r.Message, s) {
			t.Errorf("%q does not say %q", r.Message, s)
		}
	}
}

// TestGuardEndsALiveSession: the next call after the end is refused, though nobody did anything at the end.
func TestGuardEndsALiveSession(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		end := time.Now().Add(30 * time.Minute)
		write(t, g, closed(store.Line{Who: w.alice, Until: end}))
		s := w.signIn(t, w.alice)
		may(t, s, look, true)
		time.Sleep(time.Until(end) - time.Second)
		may(t, s, look, true)
		time.Sleep(time.Second)
		may(t, s, look, false)
		time.Sleep(20 * time.Minute)
		may(t, s, look, false)
	})
}

func TestGuardShutsOutAtOnce(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		bob := w.addUsers(1)[0]
		end := time.Now().Add(time.Hour)
		write(t, g, timed(store.Line{Who: w.alice, Until: end}, store.Line{Who: bob, Until: end}))
		a, b := w.signIn(t, w.alice), w.signIn(t, bob)
		write(t, g, timed(store.Line{Who: w.alice, Out: true}, store.Line{Who: bob, Until: end}))
		may(t, a, look, false)
		may(t, b, look, true)
	})
}

// TestAssignmentByHandOpensNothing: where the guard is closed, who has no line is refused; where it is timed, not.
func TestAssignmentByHandOpensNothing(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		mallory := w.addUsers(1)[0]
		s := w.signIn(t, mallory)
		write(t, g, timed())
		may(t, s, look, true)
		write(t, g, closed())
		may(t, s, look, false)
		write(t, g, closed(store.Line{Who: w.alice, Until: time.Now().Add(time.Hour)}))
		may(t, s, look, false)
		may(t, w.signIn(t, w.alice), look, true)
		write(t, g, closed(store.Line{Who: mallory, Out: true}))
		may(t, s, look, false)
	})
}

// TestRegrantAdmitsOnlyNewCredentials: what was taken in the earlier session stays refused, and the new session ends in its time too.
func TestRegrantAdmitsOnlyNewCredentials(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		write(t, g, closed(store.Line{Who: w.alice, Until: time.Now().Add(time.Hour)}))
		old := w.signIn(t, w.alice)
		write(t, g, closed(store.Line{Who: w.alice, Out: true}))
		may(t, old, look, false)
		w.Unassign(w.alice, wealth, "Guarded")
		time.Sleep(1500 * time.Millisecond)
		absent := time.Now()
		time.Sleep(3 * time.Second)
		end := time.Now().Add(20 * time.Minute)
		write(t, g, closed(store.Line{Who: w.alice, Until: end, Before: absent}))
		fresh := w.signIn(t, w.alice)
		may(t, old, look, false)
		may(t, fresh, look, true)
		time.Sleep(time.Until(end))
		may(t, fresh, look, false)
		may(t, old, look, false)
	})
}

// TestGuardOfARole goes by the session's name, which the trust policy fixes.
func TestGuardOfARole(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		w.AddIAMUser(wealth, awstwin.IAMUser{Name: "oncall", MFA: true})
		w.SetRole(wealth, "BreakGlassAdminRole", strings.ReplaceAll(botTrusts, "100000000000", wealth), map[string]string{"all": allowAll})
		w.AddIAMUser(wealth, awstwin.IAMUser{Name: "any", MFA: true, Policies: map[string]string{"all": allowAll}})
		in := func(name string) *awstwin.Session {
			s, err := w.AssumeRole(wealth, "any", awstwin.Assume{Role: "BreakGlassAdminRole", SessionName: name})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		end := time.Now().Add(10 * time.Minute)
		gu := store.Guard{Account: wealth, Role: "BreakGlassAdminRole", Lines: []store.Line{{Who: "BG-104", Out: true}, {Who: "BG-1042", Until: end}}}
		write(t, g, gu)
		first, ended, other := in("BG-1042"), in("BG-104"), in("BG-1043")
		may(t, first, look, true)
		may(t, ended, look, false)
		may(t, other, look, true)
		time.Sleep(10 * time.Minute)
		may(t, first, look, false)
		may(t, other, look, true)
		if differs, err := g.Inspect(t.Context(), gu); differs != "" || err != nil {
			t.Fatalf("Inspect: %q %v", differs, err)
		}
		w.SetRole(wealth, "BreakGlassAdminRole", botTrusts, nil)
		if differs, err := g.Inspect(t.Context(), gu); !strings.Contains(differs, "no inline policy") || err != nil {
			t.Fatalf("Inspect: %q %v", differs, err)
		}
		write(t, g, gu)
		if differs, _ := g.Inspect(t.Context(), gu); differs != "" {
			t.Fatalf("after it was written again: %q", differs)
		}
		gu.Role = "Nowhere"
		wantRefusal(t, g.Write(t.Context(), gu), codeNoEntity, "no role Nowhere", wealth)
	})
}

// TestWriteIsOneCall: nothing is read before it, nothing is asked twice, and the versions never run out.
func TestWriteIsOneCall(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		line := func(n int) store.Line {
			return store.Line{Who: w.alice, Until: time.Now().Add(time.Duration(n) * time.Minute)}
		}
		g.Ready(t.Context(), wealth, "Guarded")
		w.operations()
		var after int
		for n := range 12 {
			write(t, g, closed(line(n+1)))
			switch ops := w.operations(); ops {
			case "CreatePolicyVersion":
			case "CreatePolicyVersion" + strings.Repeat(" DeletePolicyVersion", 3):
				after++
			default:
				t.Errorf("write %d: %s", n+1, ops)
			}
		}
		if after != 3 {
			t.Errorf("%d of 12 writes were followed by deletions", after)
		}
		for range 6 { // with a look ahead, as before each grant, none is
			g.Ready(t.Context(), wealth, "Guarded")
			w.operations()
			for range 2 {
				after++
				write(t, g, closed(line(after)))
				if ops := w.operations(); ops != "CreatePolicyVersion" {
					t.Errorf("after a look ahead: %s", ops)
				}
			}
		}
		write(t, g, closed(line(50)))
		w.operations()
		write(t, g, closed(line(50)))
		if ops := w.operations(); ops != "" {
			t.Errorf("to write the same: %s", ops)
		}
		if w.refused(codeLimit) > 0 {
			t.Error("the versions ran out")
		}
	})
}

// TestFiveVersionsOfSomebodyElse: a process that knows nothing of the policy meets a full list.
func TestFiveVersionsOfSomebodyElse(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		for n := range 2 {
			for m := range 2 {
				write(t, g, closed(store.Line{Who: w.alice, Until: time.Now().Add(time.Duration(1+n*2+m) * time.Hour)}))
			}
			w.connect(t, Config{MemberRole: byMember, Guard: prefix})
			g = w.conn.Guards()
		}
		w.operations()
		gu := closed(store.Line{Who: w.alice, Out: true})
		write(t, g, gu)
		if ops := w.operations(); ops != "CreatePolicyVersion ListPolicyVersions DeletePolicyVersion DeletePolicyVersion DeletePolicyVersion CreatePolicyVersion" {
			t.Errorf("with a full list: %s", ops)
		}
		if differs, err := g.Inspect(t.Context(), gu); differs != "" || err != nil {
			t.Fatalf("%q %v", differs, err)
		}
	})
}

// TestVersionsThatSomebodyElseMade since they were counted are counted again.
func TestVersionsThatSomebodyElseMade(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		g.Ready(t.Context(), wealth, "Guarded")
		w.connect(t, Config{MemberRole: byMember, Guard: prefix})
		for n := range 4 {
			write(t, w.conn.Guards(), closed(store.Line{Who: w.alice, Until: time.Now().Add(time.Duration(n+1) * time.Hour)}))
		}
		write(t, g, closed())
		if differs, err := g.Inspect(t.Context(), closed()); differs != "" || err != nil {
			t.Fatalf("%q %v", differs, err)
		}
	})
}

// TestLostAnswer: nobody knows what stands, so the next write is made in any case.
func TestLostAnswer(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		before, gu := closed(store.Line{Who: w.alice, Until: time.Now().Add(time.Hour)}), closed(store.Line{Who: w.alice, Out: true})
		write(t, g, before)
		for _, lose := range []func(){
			func() { w.DropReplyNext("iam", "CreatePolicyVersion", 1) },
			func() { w.StallReplyNext("iam", "CreatePolicyVersion", 1) },
			func() { w.HangNext("iam", "CreatePolicyVersion") },
		} {
			lose()
			err := g.Write(t.Context(), gu)
			var r *store.Refusal
			if err == nil || errors.As(err, &r) {
				t.Fatalf("a lost answer is neither success nor final: %v", err)
			}
			w.operations()
			write(t, g, before) // what stood when it was last known
			if ops := w.operations(); !strings.HasPrefix(ops, "CreatePolicyVersion") {
				t.Fatalf("after a lost answer: %q", ops)
			}
			if differs, err := g.Inspect(t.Context(), before); differs != "" || err != nil {
				t.Fatalf("%q %v", differs, err)
			}
		}
	})
}

// TestWritersOfOneGuardWait: one call at a time, none for who finds their document standing, and a waiter's patience is its own.
func TestWritersOfOneGuardWait(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		g.Ready(t.Context(), wealth, "Guarded")
		w.operations()
		w.wire.lag = time.Second
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := w.conn.Guards().Write(t.Context(), closed(store.Line{Who: w.alice, Out: true})); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if ops := w.operations(); ops != "CreatePolicyVersion" {
			t.Errorf("eight writers of the same: %s", ops)
		}
		for n := range 3 {
			wg.Go(func() {
				if err := g.Write(t.Context(), closed(store.Line{Who: w.alice, Until: time.Now().Add(time.Duration(n+1) * time.Hour)})); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := g.Write(impatient, closed()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the impatient: %v", err)
		}
		begun := time.Now()
		other := closed(store.Line{Who: w.alice, Out: true})
		other.Account = cash
		wg.Go(func() {
			if err := g.Write(t.Context(), other); err != nil || time.Since(begun) > 3*time.Second {
				t.Errorf("another account waited %s (%v)", time.Since(begun), err)
			}
		})
		wg.Wait()
	})
}

func TestWriteMeetsAnotherChange(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		w.FailNext("iam", "CreatePolicyVersion", codeAtOnce, 2)
		write(t, g, closed(store.Line{Who: w.alice, Out: true}))
		w.FailNext("iam", "CreatePolicyVersion", codeAtOnce, 100)
		var r *store.Refusal
		if err := g.Write(t.Context(), closed()); err == nil || errors.As(err, &r) {
			t.Fatalf("it passes, in time: %v", err)
		}
	})
}
