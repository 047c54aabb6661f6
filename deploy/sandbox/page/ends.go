package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
)

// schedule is a schedule that waits, in words.
type schedule struct{ At, What, Name string }

// schedules are those that have not fired. What one will do is read from the input of its target, which is AWS's own.
func (s *site) schedules(w writer) (out []schedule) {
	for _, x := range s.world.AWS.Schedules() {
		if x.Done || !x.Enabled {
			continue
		}
		one := schedule{At: first(x.Expression), Name: x.Name, What: x.Target[strings.LastIndexByte(x.Target, ':')+1:]}
		if !x.At.IsZero() {
			one.At = w.when(x.At, "{time}")
		}
		var in struct{ TargetId, PermissionSetArn, PrincipalId, MembershipId string }
		_ = json.Unmarshal([]byte(x.Input), &in) // what it does not say stays out of the sentence
		switch one.What {
		case "deleteAccountAssignment":
			one.What = fmt.Sprintf("takes %s in %s from %s", s.setName(in.PermissionSetArn), s.account(in.TargetId), s.awsName(in.PrincipalId))
		case "deleteGroupMembership":
			one.What = "ends the membership " + in.MembershipId
		}
		out = append(out, one)
	}
	return out
}

func (s *site) setName(arn string) string {
	for _, p := range s.world.AWS.PermissionSets() {
		if p.ARN == arn {
			return p.Name
		}
	}
	return arn
}

// guardPolicy is a guard policy that speaks of somebody, with what it says.
type guardPolicy struct {
	Account, Policy string
	Lines           []string
}

// guards reads the guards of the accounts; quiet are those that name nobody.
func (s *site) guards(w writer) (out []guardPolicy, quiet int) {
	for _, id := range []string{sandbox.ProdWealth, sandbox.ProdCash, sandbox.Prod9Squid} {
		for _, name := range s.world.AWS.Policies(id) {
			if !strings.HasPrefix(name, sandbox.GuardPrefix+"-") {
				continue
			}
			g := guardPolicy{Account: s.account(id), Policy: name}
			named := false
			for _, st := range statements(s.world.AWS.Policy(id, name)) {
				text, somebody := s.says(w, st)
				g.Lines = append(g.Lines, text)
				named = named || somebody
			}
			if !named {
				quiet++
				continue
			}
			out = append(out, g)
		}
	}
	return out, quiet
}

type statement struct {
	Effect    string
	Condition map[string]map[string]values
}

// values is a JSON text or a list of them.
type values []string

// UnmarshalJSON reads both forms.
func (v *values) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*v = values{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(v))
}

func statements(document string) []statement {
	var doc struct{ Statement []statement }
	_ = json.Unmarshal([]byte(document), &doc) // IAM has taken it, so it is one
	return doc.Statement
}

// says puts a statement into words. What this page has no words for stands as it is written.
func (s *site) says(w writer, st statement) (text string, somebody bool) {
	who, when := "everybody", ""
	for _, operator := range slices.Sorted(maps.Keys(st.Condition)) {
		for _, key := range slices.Sorted(maps.Keys(st.Condition[operator])) {
			list := st.Condition[operator][key]
			names := s.names(list)
			somebody = somebody || names != ""
			at, err := time.Parse(time.RFC3339, first(list...))
			switch known := operator + " " + strings.ToLower(key); {
			case known == "StringEquals identitystore:userid":
				who = first(names, "nobody")
			case known == "StringNotEquals identitystore:userid" && names == "":
				who = "everybody"
			case known == "StringNotEquals identitystore:userid":
				who = "everybody but " + names
			case strings.HasPrefix(known, "DateGreaterThan") && err == nil && strings.EqualFold(key, "aws:CurrentTime"):
				when += " from " + w.when(at, "{time_secs}") + " on"
			case operator == "DateLessThan" && err == nil && strings.EqualFold(key, "aws:TokenIssueTime"):
				when += " with credentials issued before " + w.when(at, "{time_secs}")
			default:
				when += " where " + key + " " + operator + " " + strings.Join(list, ", ")
			}
		}
	}
	verb := map[string]string{"Deny": "refuses ", "Allow": "allows "}[st.Effect]
	return verb + who + when, somebody
}

// names are the people of a list of user ids; an id that is nobody's is left out.
func (s *site) names(ids []string) string {
	var out []string
	for _, id := range ids {
		if u, ok := s.world.AWS.GetUser(id); ok {
			out = append(out, first(u.DisplayName, u.UserName))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// assume takes the break-glass role as the IAM user of a person, with MFA, under the session name that its trust asks for.
func (s *site) assume(p *sandbox.Person) error {
	if p.IAM == "" {
		return errors.New("there is no IAM user for " + p.Name)
	}
	name := p.Key
	for _, st := range statements(s.world.AWS.RoleTrust(sandbox.ProdWealth, sandbox.AdminRole)) {
		for _, keys := range st.Condition {
			name = first(first(keys["sts:RoleSessionName"]...), name)
		}
	}
	x, err := s.world.AWS.AssumeRole(sandbox.ProdWealth, p.IAM, awstwin.Assume{Role: sandbox.AdminRole, SessionName: name, MFA: true})
	if err != nil {
		return fmt.Errorf("AWS answered: %w", err)
	}
	x.PermissionSet = sandbox.AdminRole
	s.opened(p, x, p.Name+" assumed "+sandbox.AdminRole+" in "+s.account(x.AccountID)+" as "+name)
	return nil
}
