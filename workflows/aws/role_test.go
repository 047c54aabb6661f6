package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

const (
	adminRole  = "BreakGlassAdminRole"
	oncallARN  = "arn:aws:iam::" + wealth + ":user/oncall"
	nobodyIsIn = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
)

// trusting plays a story around a role that nobody is trusted by, and an IAM user who is allowed to assume it.
func trusting(t *testing.T, trust string, story func(t *testing.T, w *world, r *Roles)) {
	guarded(t, func(t *testing.T, w *world, _ *Guards) {
		w.SetRole(wealth, adminRole, trust, map[string]string{"all": allowAll})
		w.AddIAMUser(wealth, awstwin.IAMUser{Name: "oncall", MFA: true})
		w.ForgetCalls()
		story(t, w, w.conn.Roles())
	})
}

func roleGrant(n int, until time.Time) store.Grant {
	return store.Grant{Tuple: store.Tuple{UserID: "u", Account: wealth, Role: adminRole, Request: store.ID(fmt.Sprint("BG-", n))}, Until: until, IAMUser: oncallARN}
}

func open(t *testing.T, r *Roles, g store.Grant) {
	t.Helper()
	change, err := r.Assign(t.Context(), g)
	if err != nil || change == "" {
		t.Fatalf("Assign: %q %v", change, err)
	}
	if p, _, err := r.Follow(t.Context(), g.Tuple, change, false); p != store.Succeeded || err != nil {
		t.Fatalf("Follow: %q %v", p, err)
	}
}

func isIn(t *testing.T, r *Roles, tu store.Tuple, want bool) {
	t.Helper()
	if got, err := r.Assigned(t.Context(), tu); got != want || err != nil {
		t.Fatalf("Assigned %s = %t, %v; want %t", tu.Request, got, err, want)
	}
}

func (w *world) enters(t *testing.T, session string, mfa, want bool) {
	t.Helper()
	if _, err := w.AssumeRole(wealth, "oncall", awstwin.Assume{Role: adminRole, SessionName: session, MFA: mfa}); (err == nil) != want {
		t.Fatalf("session %s, MFA %t: %v; want %t", session, mfa, err, want)
	}
}

// TestRoleOpensForOneRequest: with MFA, for the session of that name, until the end.
func TestRoleOpensForOneRequest(t *testing.T) {
	trusting(t, nobodyIsIn, func(t *testing.T, w *world, r *Roles) {
		g := roleGrant(1042, time.Now().Add(time.Hour))
		isIn(t, r, g.Tuple, false)
		w.enters(t, "BG-1042", true, false)
		open(t, r, g)
		isIn(t, r, g.Tuple, true)
		w.enters(t, "BG-1042", false, false)
		w.enters(t, "BG-1043", true, false)
		w.enters(t, "BG-1042", true, true)
		w.operations()
		open(t, r, g)
		if ops := w.operations(); ops != "GetRole" {
			t.Errorf("to say the same again: %s", ops)
		}
		g.Until = g.Until.Add(time.Hour) // extended
		open(t, r, g)
		time.Sleep(90 * time.Minute)
		w.enters(t, "BG-1042", true, true)
		time.Sleep(30 * time.Minute)
		w.enters(t, "BG-1042", true, false)
		if _, err := r.Unassign(t.Context(), g.Tuple); err != nil {
			t.Fatal(err)
		}
		isIn(t, r, g.Tuple, false)
		if now := w.RoleTrust(wealth, adminRole); now != nobodyIsIn {
			t.Errorf("it was found shut and is left as %s", now)
		}
		if _, err := r.Unassign(t.Context(), g.Tuple); !errors.Is(err, store.ErrGone) {
			t.Errorf("what is not there: %v", err)
		}
	})
}

// TestOtherStatementsAreNotTouched, byte for byte, with what this program does not know in them.
func TestOtherStatementsAreNotTouched(t *testing.T) {
	others := []string{
		`{"Sid": "ci",  "Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"}, "Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringLike":{"aws:PrincipalTag/x":"<a&b>"}}}`,
		`{"Sid":"BG1","Action":"sts:AssumeRole","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::100000000003:user/bob"]}}`,
		`{"Sid":"BG-x","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}}`,
	}
	before := `{"Id":"kept","Version":"2012-10-17","Statement":[` + strings.Join(others, ",") + `]}`
	p, err := readTrust(before)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.document(); got != before {
		t.Fatalf("unchanged:\n got %s\nwant %s", got, before)
	}
	g := roleGrant(1042, time.Unix(1e9, 0))
	p.set(g.Request, admits(g))
	want := strings.TrimSuffix(before, "]}") + "," + string(admits(g)) + "]}"
	if got := p.document(); got != want {
		t.Fatalf("opened:\n got %s\nwant %s", got, want)
	}
	if !p.set(g.Request, nil) || p.document() != before {
		t.Fatalf("closed again: %s", p.document())
	}
	trusting(t, `{"Version":"2012-10-17","Statement":`+others[1]+`}`, func(t *testing.T, w *world, r *Roles) {
		w.AddIAMUser(wealth, awstwin.IAMUser{Name: "bob"})
		open(t, r, roleGrant(7, time.Now().Add(time.Hour)))
		if now := w.RoleTrust(wealth, adminRole); !strings.Contains(now, `"Statement":[`+others[1]+`,{"Sid":"BG7"`) {
			t.Errorf("one statement without a list: %s", now)
		}
	})
}

// TestRoleIsLeftValid: IAM takes no trust policy without a statement, so the last one to go leaves one that denies everybody.
func TestRoleIsLeftValid(t *testing.T) {
	g := roleGrant(1042, time.Unix(1e9, 0))
	trusting(t, `{"Version":"2012-10-17","Statement":[`+string(admits(g))+`]}`, func(t *testing.T, w *world, r *Roles) {
		if _, err := r.Unassign(t.Context(), g.Tuple); err != nil {
			t.Fatal(err)
		}
		if now := w.RoleTrust(wealth, adminRole); now != nobodyIsIn {
			t.Errorf("left: %s", now)
		}
	})
}

// TestTwoInOneRole come and go without taking each other's place, also when they come in the same moment and readings lag.
func TestTwoInOneRole(t *testing.T) {
	trusting(t, nobodyIsIn, func(t *testing.T, w *world, r *Roles) {
		until := time.Now().Add(time.Hour)
		w.wire.lag = 200 * time.Millisecond
		var wg sync.WaitGroup
		for n := 1; n <= 5; n++ {
			wg.Go(func() {
				if _, err := w.conn.Roles().Assign(t.Context(), roleGrant(1040+n, until)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for n := 1; n <= 5; n++ {
			isIn(t, r, roleGrant(1040+n, until).Tuple, true)
		}
		w.enters(t, "BG-1042", true, true)
		w.enters(t, "BG-1049", true, false)
		// A reading from before the change comes back.
		old := w.RoleTrust(wealth, adminRole)
		if _, err := r.Unassign(t.Context(), roleGrant(1042, until).Tuple); err != nil {
			t.Fatal(err)
		}
		w.SetRole(wealth, adminRole, old, nil)
		if _, err := r.Unassign(t.Context(), roleGrant(1043, until).Tuple); err != nil {
			t.Fatal(err)
		}
		isIn(t, r, roleGrant(1042, until).Tuple, false)
		isIn(t, r, roleGrant(1041, until).Tuple, true)
		impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := r.Assign(impatient, roleGrant(1050, until)); err == nil {
			t.Error("an impatient writer was served")
		}
	})
}

// TestFullRole: the next person is told, and nothing is written.
func TestFullRole(t *testing.T) {
	trusting(t, nobodyIsIn, func(t *testing.T, w *world, r *Roles) {
		until := time.Now().Add(time.Hour)
		for n := 1000; ; n++ {
			w.operations()
			_, err := r.Assign(t.Context(), roleGrant(n, until))
			if err == nil {
				continue
			}
			wantRefusal(t, err, "TrustFull", fmt.Sprintf("%d people are in", n-1000), adminRole, wealth)
			if ops := w.operations(); ops != "GetRole" || n < 1005 {
				t.Errorf("after %d: %s", n-1000, ops)
			}
			return
		}
	})
}

func TestRoleRefusalsAndDoubts(t *testing.T) {
	trusting(t, nobodyIsIn, func(t *testing.T, w *world, r *Roles) {
		g := roleGrant(1042, time.Now().Add(time.Hour))
		w.FailNext("iam", "UpdateAssumeRolePolicy", codeMalformed, 1)
		_, err := r.Assign(t.Context(), g)
		wantRefusal(t, err, codeMalformed, oncallARN)
		for _, lose := range []func(){
			func() { w.DropReplyNext("iam", "UpdateAssumeRolePolicy", 1) },
			func() { w.HangNext("iam", "UpdateAssumeRolePolicy") },
		} {
			lose()
			var refused *store.Refusal
			if _, err := r.Assign(t.Context(), g); err == nil || errors.As(err, &refused) {
				t.Fatalf("a lost answer: %v", err)
			}
			open(t, r, g)
			isIn(t, r, g.Tuple, true)
			if _, err := r.Unassign(t.Context(), g.Tuple); err != nil {
				t.Fatal(err)
			}
		}
		open(t, r, g)
		w.SetRole(wealth, adminRole, strings.Replace(w.RoleTrust(wealth, adminRole), `"Bool":{"aws:MultiFactorAuthPresent":"true"},`, "", 1), nil)
		if in, err := r.Assigned(t.Context(), g.Tuple); err == nil {
			t.Errorf("a statement without MFA: %t", in)
		}
		// The user was deleted: IAM has an id in its place, which it does not take back from anybody.
		w.SetRole(wealth, adminRole, strings.Replace(w.RoleTrust(wealth, adminRole), oncallARN, "AIDA2222222222222222", 1), nil)
		time.Sleep(time.Minute)
		open(t, r, roleGrant(1043, time.Now().Add(time.Hour)))
		if now := w.RoleTrust(wealth, adminRole); strings.Contains(now, "AIDA") {
			t.Errorf("a user who is gone: %s", now)
		}
		g.IAMUser = ""
		_, err = r.Assign(t.Context(), g)
		wantRefusal(t, err, "Incomplete")
		g.Role = "Nowhere"
		_, err = r.Unassign(t.Context(), g.Tuple)
		wantRefusal(t, err, codeNoEntity, "no role Nowhere")
		w.SetRole(wealth, byMember, botTrusts, nil)
		_, err = r.Assigned(t.Context(), roleGrant(1042, time.Now()).Tuple)
		wantRefusal(t, err, "AccessDenied", "iam:UpdateAssumeRolePolicy")
	})
}
