package aws

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"breakglass/store"
)

// TestFullGuard: the next person is told before anything is asked.
func TestFullGuard(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		gu := closed()
		var last store.Guard
		for n := 0; g.Fits(gu) == nil; n++ {
			last = gu
			gu.Lines = append(gu.Lines[:n:n], store.Line{Who: fmt.Sprintf("90674fe4-5091-70a1-%04d-ceb3b3f0b6a2", n), Until: time.Date(2026, 11, 21, 12, n, 0, 0, time.UTC)})
		}
		if n := len(last.Lines); n < 20 {
			t.Errorf("room for %d people with ends of their own", n)
		}
		w.operations()
		wantRefusal(t, g.Write(t.Context(), gu), "GuardFull", fmt.Sprintf("%d people are in", len(last.Lines)), "Guarded", wealth)
		if ops := w.operations(); ops != "" {
			t.Errorf("asked: %s", ops)
		}
		write(t, g, last) // what fits by our count fits by IAM's
	})
}

func TestRefusals(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		gu := timed()
		gu.Set = "Unlaid"
		wantRefusal(t, g.Write(t.Context(), gu), codeNoEntity, prefix+"-Unlaid", wealth, "Terraform")
		_, err := g.Inspect(t.Context(), gu)
		wantRefusal(t, err, codeNoEntity, prefix+"-Unlaid")
		w.SetRole(wealth, byMember, botTrusts, nil)
		wantRefusal(t, g.Write(t.Context(), timed()), "AccessDenied", "iam:CreatePolicyVersion", prefix+"-Guarded")
		w.connect(t, Config{MemberRole: "nowhere", Guard: prefix})
		wantRefusal(t, w.conn.Guards().Write(t.Context(), timed()), "AccessDenied", "nowhere cannot be assumed")
		w.connect(t, Config{})
		wantRefusal(t, w.conn.Guards().Write(t.Context(), timed()), "GuardOff")
	})
}

// TestInspect compares what is meant, and what it finds is what the next write goes by.
func TestInspect(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		gu := closed(store.Line{Who: "b", Until: time.Date(2000, 1, 1, 9, 0, 0, 0, time.UTC)}, store.Line{Who: "c", Out: true}, store.Line{Who: "e", Out: true})
		write(t, g, gu)
		same := `{"Statement": [
			{"Resource": ["*"], "Action": ["*"], "Effect": "Deny", "Sid": "Closed", "Condition": {"StringNotEquals": {"identitystore:userId": ["b"]}}},
			{"Sid": "End20000101T090000Z", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"identitystore:userId": "b"},
			 "DateGreaterThanEquals": {"aws:CurrentTime": ["2000-01-01T09:00:00Z"]}}},
			{"Sid": "Out", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"identitystore:userId": ["e", "c"]}}}], "Version": "2012-10-17"}`
		w.SetPolicy(wealth, prefix+"-Guarded", same)
		if differs, err := g.Inspect(t.Context(), gu); differs != "" || err != nil {
			t.Errorf("the same: %q %v", differs, err)
		}
		for change, want := range map[string]string{
			strings.Replace(same, `"c"`, `"c","d"`, 1):                       "it lacks the statement Out; it should not have the statement Out",
			strings.Replace(same, "Deny", "Allow", 3):                        "Closed, End20000101T090000Z, Out",
			strings.Replace(same, `"Version": "2012`, `"Version": "2008`, 1): "policy language",
			bare: "should not have the statement number 1",
		} {
			w.SetPolicy(wealth, prefix+"-Guarded", change)
			differs, err := g.Inspect(t.Context(), gu)
			if !strings.Contains(differs, want) || err != nil {
				t.Errorf("Inspect: %q %v; want %q in it", differs, err, want)
			}
		}
		write(t, g, gu) // although it wrote just this before
		if differs, err := g.Inspect(t.Context(), gu); differs != "" || err != nil {
			t.Errorf("after it was put right: %q %v", differs, err)
		}
	})
}
