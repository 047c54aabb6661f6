package policy

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestMayDecide(t *testing.T) {
	p := example(t)
	ec2, _ := p.Scenario("ec2")
	emergency, _ := p.Scenario("emergency")
	requester := somebody("dev", "developers", "platform-leads")
	requester.ManagerID = "boss"
	alone := somebody("dev", "developers")
	gone, silent := somebody("boss"), somebody("boss")
	gone.Enabled, silent.Groups = false, nil
	sameUser := somebody("dev", "platform-leads")
	sameUser.Email, sameUser.DisplayName = "other@forge.example", "Another Name"
	narcissus := somebody("dev", "developers")
	narcissus.ManagerID = "dev"
	tests := []struct {
		name               string
		s                  Scenario
		requester, decider Person
		code               Code
		why                string
	}{
		{"manager", ec2, requester, somebody("boss"), CodeOK, "User boss decides as the requester's manager."},
		{"set", ec2, requester, somebody("lead", "platform-leads"), CodeOK, "User lead decides as one of platform-leads."},
		{"another set", ec2, requester, somebody("em", "eng-managers"), CodeOK, "one of eng-managers"},
		{"requester", ec2, requester, requester, CodeOwnRequest, "This is your own request, and nobody decides on their own. It takes the word of the requester's manager, one of platform-leads or one of eng-managers."},
		{"requester under another name", ec2, requester, sameUser, CodeOwnRequest, "your own request"},
		{"requester who is their own manager", ec2, narcissus, narcissus, CodeOwnRequest, "your own request"},
		{"stranger", ec2, requester, somebody("x", "developers"), CodeDecider, "Your word does not count here. It takes"},
		{"someone else's manager", ec2, alone, somebody("boss"), CodeDecider, "Identity Center has no manager for User dev."},
		{"nobody is the manager of one without", ec2, alone, Person{Enabled: true, Groups: map[string]bool{}}, CodeDirectory, ""},
		{"manager who left", ec2, requester, gone, CodeDisabled, "User boss is disabled"},
		{"manager about whom nothing is known", ec2, requester, silent, CodeDirectory, "did not answer"},
		{"unknown requester", ec2, Person{}, somebody("lead", "platform-leads"), CodeDirectory, "who the requester is"},
		{"nothing to decide", emergency, requester, somebody("lead", "platform-leads"), CodeNoApproval, "needs no approval"},
	}
	for _, tt := range tests {
		got := p.MayDecide(tt.s, tt.requester, tt.decider)
		if got.Code != tt.code || got.OK != (tt.code == CodeOK) || !strings.Contains(got.Why, tt.why) {
			t.Errorf("%s: %+v, want %s %q", tt.name, got, tt.code, tt.why)
		}
	}
}

func TestApproved(t *testing.T) {
	p := example(t)
	security, incident := somebody("security.lead"), somebody("incident.manager")
	both := somebody("both", "platform-leads", "eng-managers")
	otherName := both
	otherName.Email, otherName.DisplayName = "second@forge.example", "Second Name"
	requester := somebody("dev", "developers")
	requester.ManagerID = "boss"
	lead, em := somebody("lead", "platform-leads"), somebody("em", "eng-managers")
	left := lead
	left.Groups = map[string]bool{}
	tests := []struct {
		name     string
		approval Approval
		deciders []Person
		missing  []string // nil: done
		why      string
	}{
		{"none", Approval{None: true}, nil, nil, "It needs no approval."},
		{"nobody yet", Approval{AnyOf: []string{"manager", "platform-leads"}, Count: 1}, nil, []string{"the requester's manager or one of platform-leads"}, "Still needed: the requester's manager or one of platform-leads."},
		{"one", Approval{AnyOf: []string{"manager", "platform-leads"}, Count: 1}, []Person{lead}, nil, "Approved by User lead."},
		{"the manager", Approval{AnyOf: []string{"manager"}, Count: 1}, []Person{somebody("boss")}, nil, "Approved by User boss."},
		{"one who left the group since", Approval{AnyOf: []string{"platform-leads"}, Count: 1}, []Person{left}, []string{"one of platform-leads"}, ""},
		{"requester", Approval{AnyOf: []string{"developers"}, Count: 1}, []Person{requester}, []string{"one of developers"}, ""},
		{"one of two", Approval{AnyOf: []string{"platform-leads", "eng-managers"}, Count: 2}, []Person{lead}, []string{"one of platform-leads or one of eng-managers"}, ""},
		{"none of two", Approval{AnyOf: []string{"platform-leads", "eng-managers"}, Count: 2}, nil, []string{"2 more people out of platform-leads and eng-managers"}, ""},
		{"one twice", Approval{AnyOf: []string{"platform-leads", "eng-managers"}, Count: 2}, []Person{both, both}, []string{"one of platform-leads or one of eng-managers"}, ""},
		{"one under two addresses", Approval{AnyOf: []string{"platform-leads", "eng-managers"}, Count: 2}, []Person{both, otherName}, []string{"one of platform-leads or one of eng-managers"}, ""},
		{"two", Approval{AnyOf: []string{"platform-leads", "eng-managers"}, Count: 2}, []Person{lead, em}, nil, "Approved by User em and User lead."},
		{"two of the same set", Approval{AnyOf: []string{"platform-leads", "eng-managers"}, Count: 2}, []Person{lead, both}, nil, ""},
		{"all, one said", Approval{AllOf: []string{"security-lead", "incident-manager"}}, []Person{incident}, []string{"one of security-lead"}, "Still needed: one of security-lead."},
		{"all", Approval{AllOf: []string{"security-lead", "incident-manager"}}, []Person{incident, security}, nil, ""},
		{"all, one person for two sets", Approval{AllOf: []string{"platform-leads", "eng-managers"}}, []Person{both}, []string{"one of eng-managers"}, ""},
		// both must give way to lead: whoever is matched first must not decide.
		{"all, by giving way", Approval{AllOf: []string{"platform-leads", "eng-managers"}}, []Person{both, lead}, nil, ""},
		{"all, by giving way the other way", Approval{AllOf: []string{"platform-leads", "eng-managers"}}, []Person{em, both}, nil, ""},
		{"an approval that Parse refuses", Approval{}, []Person{lead}, []string{}, "names nobody"},
		{"a count that Parse refuses", Approval{AnyOf: []string{"platform-leads"}}, []Person{lead}, []string{}, "names nobody"},
	}
	for _, tt := range tests {
		got := p.Approved(Scenario{Approval: tt.approval}, requester, tt.deciders)
		if got.Done != (tt.missing == nil) || !slices.Equal(got.Missing, tt.missing) || !strings.Contains(got.Why, tt.why) {
			t.Errorf("%s: %+v, want missing %q, %q", tt.name, got, tt.missing, tt.why)
		}
	}
}

func TestApprovers(t *testing.T) {
	p := example(t)
	ec2, _ := p.Scenario("ec2")
	admin, _ := p.Scenario("admin-role")
	requester := somebody("dev")
	requester.ManagerID = "boss"
	want := ApproverSets{Manager: "boss", Sets: []string{"platform-leads", "eng-managers"},
		Groups: []string{"grp-forge-platform-leads", "grp-forge-eng-managers"}, Mentions: []string{"@platform-leads", "@eng-managers"}}
	if diff := cmp.Diff(want, p.Approvers(ec2, requester)); diff != "" {
		t.Error(diff)
	}
	want.Manager, want.ManagerMissing = "", true
	if diff := cmp.Diff(want, p.Approvers(ec2, somebody("dev"))); diff != "" {
		t.Error(diff)
	}
	requester.ManagerID = requester.UserID
	if diff := cmp.Diff(want, p.Approvers(ec2, requester)); diff != "" {
		t.Error("own manager:", diff)
	}
	lead := somebody("x")
	lead.Email = "SECURITY.lead@forge.example"
	wantAdmin := ApproverSets{Sets: []string{"security-lead", "incident-manager"}, Emails: []string{"incident.manager@forge.example"}}
	if diff := cmp.Diff(wantAdmin, p.Approvers(admin, lead)); diff != "" {
		t.Error(diff)
	}
}

func TestMayRevoke(t *testing.T) {
	p := example(t)
	ec2, _ := p.Scenario("ec2")
	emergency, _ := p.Scenario("emergency")
	requester := somebody("dev", "developers")
	lead := somebody("security.lead")
	disabled := lead
	disabled.Enabled = false
	for _, tt := range []struct {
		name string
		s    Scenario
		who  Person
		ok   bool
	}{
		{"requester", ec2, requester, true},
		{"approver", ec2, somebody("a", "platform-leads"), true},
		{"lockdown", ec2, lead, true},
		{"lockdown, disabled", ec2, disabled, false},
		{"eligible where somebody approves", ec2, somebody("a", "sre-oncall"), false},
		{"eligible where nobody does", emergency, somebody("a", "sre-oncall"), true},
		{"stranger where nobody approves", emergency, somebody("a", "developers"), false},
	} {
		if got := p.MayRevoke(tt.s, requester, tt.who); got.OK != tt.ok || got.Why == "" {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	if v := p.MayLockDown(lead); !v.OK {
		t.Error(v)
	}
	if v := p.MayLockDown(requester); v.OK || !strings.Contains(v.Why, "Only security-lead and incident-manager") {
		t.Error(v)
	}
}

// crowd draws a policy of sets over a few groups and addresses, and people in them.
func crowd(t *rapid.T) (*Policy, Scenario, Person, []Person) {
	p := &Policy{People: map[string]People{}}
	var names []string
	for i := range rapid.IntRange(1, 4).Draw(t, "sets") {
		name := fmt.Sprintf("set%d", i)
		names = append(names, name)
		p.People[name] = People{
			Groups: rapid.SliceOfN(rapid.SampledFrom([]string{"g0", "g1", "g2"}), 0, 2).Draw(t, "groups"),
			Emails: rapid.SliceOfN(rapid.SampledFrom([]string{"u0@x.y", "u1@x.y", "U2@x.y"}), 0, 2).Draw(t, "emails")}
	}
	names = append(names, Manager)
	chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, len(names), rapid.ID[string]).Draw(t, "chosen")
	s := Scenario{Title: "S"}
	if rapid.Bool().Draw(t, "all") {
		s.Approval.AllOf = chosen
	} else {
		s.Approval.AnyOf, s.Approval.Count = chosen, rapid.IntRange(1, 4).Draw(t, "count")
	}
	person := rapid.Custom(func(t *rapid.T) Person {
		id := rapid.SampledFrom([]string{"u0", "u1", "u2", "u3", "u4"}).Draw(t, "id")
		who := Person{UserID: id, Email: id + "@x.y", Enabled: rapid.IntRange(0, 9).Draw(t, "enabled") > 0, Groups: map[string]bool{}}
		for _, g := range rapid.SliceOfN(rapid.SampledFrom([]string{"g0", "g1", "g2"}), 0, 2).Draw(t, "in") {
			who.Groups[g] = true
		}
		if rapid.IntRange(0, 19).Draw(t, "silent") == 0 {
			who.Groups = nil
		}
		return who
	})
	requester := person.Draw(t, "requester")
	requester.ManagerID = rapid.SampledFrom([]string{"", "u0", "u1", "u4"}).Draw(t, "manager")
	return p, s, requester, rapid.SliceOfN(person, 0, 7).Draw(t, "deciders")
}

// bruteForce answers the same question by trying everything: which of the people, each used once, can
// stand for the sets.
func bruteForce(p *Policy, s Scenario, requester Person, deciders []Person) bool {
	inSet := func(set, id string) bool {
		return slices.ContainsFunc(deciders, func(d Person) bool {
			if d.UserID != id || d.UserID == requester.UserID || !d.Enabled || d.Groups == nil {
				return false
			}
			if set == Manager {
				return requester.ManagerID == id
			}
			for _, g := range p.People[set].Groups {
				if d.Groups[g] {
					return true
				}
			}
			return slices.ContainsFunc(p.People[set].Emails, func(e string) bool { return strings.EqualFold(e, d.Email) })
		})
	}
	ids := []string{"u0", "u1", "u2", "u3", "u4"}
	if len(s.Approval.AllOf) == 0 {
		n := 0
		for _, id := range ids {
			if slices.ContainsFunc(s.Approval.AnyOf, func(set string) bool { return inSet(set, id) }) {
				n++
			}
		}
		return n >= s.Approval.Count
	}
	var try func(sets, left []string) bool
	try = func(sets, left []string) bool {
		if len(sets) == 0 {
			return true
		}
		for i, id := range left {
			if inSet(sets[0], id) && try(sets[1:], slices.Delete(slices.Clone(left), i, i+1)) {
				return true
			}
		}
		return false
	}
	return try(s.Approval.AllOf, ids)
}

func TestApprovedAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, s, requester, deciders := crowd(t)
		got := p.Approved(s, requester, deciders)
		if want := bruteForce(p, s, requester, deciders); got.Done != want {
			t.Fatalf("%+v, want %v", got, want)
		}
		if got.Done != (len(got.Missing) == 0) || got.Why == "" {
			t.Fatalf("%+v", got)
		}
	})
}

func TestApprovedLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, s, requester, deciders := crowd(t)
		all := p.Approved(s, requester, deciders)
		if len(deciders) > 0 {
			if p.Approved(s, requester, deciders[1:]).Done && !all.Done {
				t.Fatal("another decider made it less approved")
			}
			if twice := p.Approved(s, requester, append(slices.Clone(deciders), deciders[0])); !cmp.Equal(twice, all) {
				t.Fatalf("a duplicate counts: %+v, %+v", twice, all)
			}
		}
		mixed := slices.Clone(deciders)
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if other := p.Approved(s, requester, mixed); !cmp.Equal(other, all) {
			t.Fatalf("the order matters: %+v, %+v", other, all)
		}
		self := requester
		self.Enabled, self.Groups = true, map[string]bool{"g0": true, "g1": true, "g2": true}
		if with := p.Approved(s, requester, append(slices.Clone(deciders), self)); !cmp.Equal(with, all) {
			t.Fatalf("the requester counts: %+v, %+v", with, all)
		}
	})
}

// The matching serves as many sets as any assignment can.
func TestMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sets := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 5), 0, 4), 0, 6).Draw(t, "sets")
		var best func(i int, used map[int]bool) int
		best = func(i int, used map[int]bool) int {
			if i == len(sets) {
				return 0
			}
			most := best(i+1, used)
			for _, person := range sets[i] {
				if !used[person] {
					used[person] = true
					most = max(most, 1+best(i+1, used))
					used[person] = false
				}
			}
			return most
		}
		if got, want := matched(sets), best(0, map[int]bool{}); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}
