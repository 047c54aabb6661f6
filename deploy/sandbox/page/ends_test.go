package page

import (
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox"
)

// TestSchedulesInWords: what will happen, to whom and when, and none of it once it has.
func TestSchedulesInWords(t *testing.T) {
	r := newRig(t)
	dana, set := r.world.Person("dana"), "Forge-Prod-BreakGlass-EC2"
	r.world.AWS.Assign(dana.AWS, sandbox.ProdWealth, set)
	has(t, r.get("/view?as=lee&tab=org"), "Schedules waiting (EventBridge Scheduler)</h3><p class=\"empty\">None.")
	r.schedule("bg-1", dana.AWS, set, r.clock.Now().Add(time.Hour))
	has(t, r.get("/view?as=lee&tab=org"), `data-testid="schedules"`, "takes "+set+" in prod-wealth from Dana Ruiz", "bg-1")
	r.do("skip", request{As: "lee", By: "1h"})
	r.do("skip", request{As: "lee", By: "5m"})
	hasNot(t, r.get("/view?as=lee&tab=org"), `data-testid="schedules"`)
	has(t, r.get("/view?as=lee&tab=log"), "Dana Ruiz no longer has "+set+" in prod-wealth")
}

// TestTheRoleOfAnIAMUser: only for who has one, only while it is open, and under the name that its trust asks for.
func TestTheRoleOfAnIAMUser(t *testing.T) {
	r := newRig(t)
	hasNot(t, r.get("/view?as=dana"), `data-testid="assume"`)
	has(t, r.get("/view?as=alice"), `data-testid="assume"`)
	if out := r.do("assume", request{As: "dana"}); out.Error == "" {
		t.Error("Dana has no IAM user")
	}
	if out := r.do("assume", request{As: "alice"}); !strings.Contains(out.Error, "AccessDenied") {
		t.Errorf("the role was closed: %+v", out)
	}
	r.world.AWS.SetRole(sandbox.ProdWealth, sandbox.AdminRole, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+sandbox.OnCallARN+
		`"},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"},"StringEquals":{"sts:RoleSessionName":"BG-7"}}}]}`,
		map[string]string{"administrator": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`})
	if out := r.do("assume", request{As: "alice"}); out.Error != "" {
		t.Fatal(out.Error)
	}
	if out := r.do("act", request{As: "alice", N: 1, Name: "create-user"}); out.Error != "" {
		t.Fatal(out.Error)
	}
	has(t, r.get("/view?as=alice"), `data-testid="session"`, sandbox.AdminRole, `data-allowed="true"`)
	hasNot(t, r.get("/view?as=alice"), `data-testid="outlived"`, `data-testid="refused-by"`)
	has(t, r.get("/view?as=alice&tab=log"), "Alice Okafor assumed "+sandbox.AdminRole+" in prod-wealth as BG-7")
}

// TestStatementsInWords: what a guard may say, and what this page has no words for.
func TestStatementsInWords(t *testing.T) {
	r := newRig(t)
	s, dana := &site{world: r.world, clock: r.clock}, r.world.Person("dana").AWS
	for text, want := range map[string]string{
		`{"Effect":"Deny","Condition":{"StringNotEquals":{"identitystore:userId":"nobody"}}}`:      "refuses everybody",
		`{"Effect":"Deny","Condition":{"StringEquals":{"identitystore:userId":["nobody"]}}}`:       "refuses nobody",
		`{"Effect":"Deny","Condition":{"StringEquals":{"identitystore:UserId":["` + dana + `"]}}}`: "refuses Dana Ruiz",
		`{"Effect":"Deny","Condition":{"StringLike":{"aws:userid":["*:BG-1"]}}}`:                   "refuses everybody where aws:userid StringLike *:BG-1",
		`{"Effect":"Deny","Condition":{"DateGreaterThan":{"aws:CurrentTime":"never"}}}`:            "refuses everybody where aws:CurrentTime DateGreaterThan never",
		`{"Effect":"Allow"}`: "allows everybody",
	} {
		all := statements(`{"Statement":[` + text + `]}`)
		if got, _ := s.says(writer{s, r.world.Person("lee").Slack}, all[0]); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	all := statements(`{"Statement":[{"Effect":"Deny","Condition":{"StringEquals":{"identitystore:userId":"` + dana + `"},"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T10:00:00Z"}}}]}`)
	if got, _ := s.says(writer{s, r.world.Person("lee").Slack}, all[0]); !strings.HasPrefix(got, "refuses Dana Ruiz with credentials issued before ") {
		t.Error(got)
	}
}
