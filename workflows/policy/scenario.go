package policy

import (
	"fmt"
	"slices"
	"time"
)

// maxScenarios is what a Slack select holds: 100 options.
const maxScenarios = 100

// maxAsk keeps the form within sight; a Slack view has at most 100 blocks.
const maxAsk = 10

func (r *reader) readScenarios(f fields) (out []Scenario) {
	entries := f.named("scenarios", "write one scenario for each way in")
	for _, k := range entries {
		r.scenarios = append(r.scenarios, k.name)
	}
	titles := map[string]string{}
	for i, k := range entries {
		path := join("scenarios", k.name)
		if i == maxScenarios {
			r.fault(k.at, path, fmt.Sprintf("is one of more than %d scenarios", maxScenarios), "Slack's list holds no more")
			break
		}
		if lower(k.name) == "help" {
			r.fault(k.at, path, "/breakglass help is a command", "give the scenario another name")
		}
		s, ok := r.open(k.value, k.at, path, scenarioKeys()...)
		if !ok {
			continue
		}
		sc := r.scenario(s, k.name)
		if first, twice := titles[sc.Title]; twice && sc.Title != "" {
			s.bad("title", "is the title of "+first+" too", "a requester must be able to tell them apart")
		}
		titles[sc.Title] = sc.Name
		out = append(out, sc)
	}
	if r.rings(out, f) {
		r.along(out, f)
	}
	r.onwards(out, f)
	return out
}

func scenarioKeys() []string {
	return []string{"title", "tier", "accounts", "eligible", "grant", "approval", "instant", "guard", "max_duration",
		"max_total", "durations", "max_extensions", "ticket", "post_mortem", "step_up", "escalate", "with", "may_assume",
		"start", "on_call", "notify", "guide", "ask"}
}

func (r *reader) scenario(s fields, name string) Scenario {
	sc := Scenario{Name: name}
	sc.Title = s.must("title", form{most: r.title.most, remedy: "say in a few words what it is for"})
	if s.need("tier", "write 0, 1, 2 or 3") {
		sc.Tier = s.number("tier", 0, 0, 3)
	}
	sc.Grant = r.grant(s)
	sc.Accounts = r.scenarioAccounts(s, sc.Grant)
	eligible := r.deciders(s.filled("eligible", r.any, "name the sets of people who may ask"), false)
	sc.Eligible = texts(eligible)
	var sound bool
	sc.Approval, sound = r.approval(s)
	if sound && len(eligible) == len(s.elements0("eligible")) {
		r.reachable(s, sc)
	}
	sc.Instant = s.flag("instant", false)
	sc.Guard = r.guard(s, sc)
	r.times(s, &sc)
	sc.MaxExtensions = s.number("max_extensions", 0, 0, 100)
	sc.Ticket = r.ticket(s)
	sc.PostMortem, sc.StepUp = s.flag("post_mortem", true), s.flag("step_up", false)
	sc.Escalate = r.escalate(s)
	sc.With = r.with(s, name)
	sc.MayAssume = texts(s.list("may_assume", r.assumable))
	sc.Start = s.choice("start", StartNow, StartNow, StartLater)
	sc.OnCall = r.onCall(s)
	sc.Notify = texts(r.setNames(s.list("notify", r.any), true))
	sc.Guide = s.choice("guide", "", guides()...)
	sc.Ask = r.ask(s)
	r.instant(s, sc)
	return sc
}

// guides are the sets of commands that a requester can be given; their words are written elsewhere.
func guides() []string {
	return []string{"ec2-ssm", "rds-iam", "eks-kubectl", "console", "assume-role"}
}

// elements0 are the items of a list, without a word when it is none.
func (f fields) elements0(key string) []*node {
	if e := f.n.get(key); e != nil {
		return e.value.items
	}
	return nil
}

func (r *reader) grant(s fields) (g Grant) {
	const remedy = "write one of {permission_set: NAME}, {group: NAME}, {iam_role: NAME} and {sealed_user: NAME}"
	kinds := []string{string(GrantPermissionSet), string(GrantGroup), string(GrantIAMRole), string(GrantSealedUser)}
	if !s.need("grant", remedy) {
		return g
	}
	e := s.n.get("grant")
	n, ok := r.open(e.value, e.at, join(s.path, "grant"), kinds...)
	if !ok {
		return g
	}
	shapes := []form{r.permissionSet, r.group, r.role, r.role}
	found := 0
	for i, k := range kinds {
		if n.has(k) {
			found++
			g = Grant{Kind: GrantKind(k), Name: n.text(k, shapes[i])}
		}
	}
	if found != 1 && found == len(n.n.keys) {
		s.bad("grant", "must grant one thing", remedy)
		return Grant{}
	}
	r.grantee(n, g)
	if g.Kind == GrantIAMRole && !r.iamUsersNamed {
		n.bad("iam_role", "can be granted to nobody: iam_users names none", "add the requesters' IAM users to iam_users")
	}
	return g
}

// grantee checks the name of what is granted against the others of the file. Whoever could be granted a
// group that the policy rests on could grant themselves a say. Names are compared without case: whether
// AWS tells two such apart is not promised anywhere, and the end of one would be the end of the other.
func (r *reader) grantee(n fields, g Grant) {
	if g.Name == "" {
		return // at fault already
	}
	key := string(g.Kind)
	if where, taken := r.reserved[lower(g.Name)]; taken && g.Kind == GrantGroup {
		n.bad(key, quote(g.Name)+" stands in "+where+" too", "a granted group must be one that nothing else rests on")
	}
	folded := Grant{g.Kind, lower(g.Name)}
	if first, known := r.granted[folded]; known && first != g.Name {
		n.bad(key, quote(g.Name)+" differs from "+quote(first)+" in case only", "write them alike, or grant another")
	} else if !known {
		r.granted[folded] = g.Name
	}
}

func (r *reader) scenarioAccounts(s fields, g Grant) []string {
	if g.Kind == GrantGroup {
		if s.has("accounts") {
			s.bad("accounts", "a group is not granted in an account", "remove the key")
		}
		return nil
	}
	if g.Kind == "" && !s.has("accounts") {
		return nil // said at grant; which of the two is meant cannot be told
	}
	var out []string
	for _, it := range s.filled("accounts", r.any, "name the accounts it opens") {
		if r.account(it) {
			out = append(out, it.text)
		}
	}
	return out
}

// guard is a property of the permission set, so that two scenarios with one set must agree.
func (r *reader) guard(s fields, sc Scenario) string {
	guard := s.choice("guard", GuardClosed, GuardClosed, GuardTimed, GuardNone)
	if sc.Grant.Kind == "" {
		return guard
	}
	if sc.Grant.Kind != GrantPermissionSet {
		if s.has("guard") {
			s.bad("guard", "only permission sets have a guard", "remove the key")
		}
		return GuardNone
	}
	sc.Guard = guard
	first, seen := r.guards[sc.Grant.Name]
	if !seen {
		r.guards[sc.Grant.Name] = sc
	} else if first.Guard != guard {
		s.bad("guard", fmt.Sprintf("is %s and %s, which grants %s as well, says %s", guard, first.Name, sc.Grant.Name, first.Guard),
			"say the same in both: the guard belongs to the permission set")
	}
	return guard
}

// times reads how long a session lasts. A sealed user may go without: only rotation ends it.
func (r *reader) times(s fields, sc *Scenario) {
	if sc.Grant.Kind != GrantSealedUser || s.has("max_duration") {
		s.need("max_duration", "say how long a session may last, as 1h")
	}
	sc.MaxDuration = s.duration("max_duration", 0, time.Minute)
	sc.MaxTotal = s.duration("max_total", sc.MaxDuration, time.Minute)
	if sc.MaxTotal < sc.MaxDuration {
		s.bad("max_total", Span(sc.MaxTotal)+" is less than max_duration, "+Span(sc.MaxDuration), "write as much or more, or remove the key")
	}
	sc.Durations = s.durations("durations", steps(sc.MaxDuration), time.Minute)
	if s.has("durations") && len(s.elements0("durations")) == 0 && s.n.get("durations").value.kind == isList {
		s.bad("durations", "is empty", "name some, or remove the key")
	}
	if e := s.n.get("durations"); e != nil && sc.MaxDuration > 0 {
		for i, n := range e.value.items {
			if d, err := time.ParseDuration(n.text); err == nil && n.kind == isText && d > sc.MaxDuration {
				r.fault(n.at, fmt.Sprintf("%s[%d]", join(s.path, "durations"), i), Span(d)+" is past max_duration, "+Span(sc.MaxDuration), "remove it, or raise max_duration")
			}
		}
	}
}

// steps are what the form offers when the file does not say: round lengths from about an eighth of the
// longest up, and the longest.
func steps(longest time.Duration) (out []time.Duration) {
	if longest < time.Minute {
		return nil
	}
	const m, h = time.Minute, time.Hour
	for _, d := range []time.Duration{5 * m, 15 * m, 30 * m, h, 2 * h, 4 * h, 8 * h, 12 * h, 24 * h, 48 * h, 72 * h, 168 * h} {
		if d < longest && d >= longest/8 {
			out = append(out, d)
		}
	}
	return append(out, longest)
}

func (r *reader) ticket(s fields) (t TicketRule) {
	e := s.n.get("ticket")
	if e == nil {
		return t
	}
	const remedy = "write required or {within: 1h}; without the key a ticket is optional"
	switch {
	case e.value.kind == isMap:
		w, _ := r.open(e.value, e.at, join(s.path, "ticket"), "within")
		if w.need("within", remedy) {
			t.Within = w.duration("within", 0, time.Minute)
		}
	case e.value.kind == isText && e.value.text == "required":
		t.Required = true
	case e.value.kind == isNull, e.value.kind == isSpoilt:
		r.is(e.value, isText, join(s.path, "ticket"))
	default:
		s.bad("ticket", "is neither required nor {within: ...}", remedy)
	}
	return t
}

func (r *reader) escalate(s fields) (out []Escalation) {
	for i, n := range s.elements("escalate") {
		e, ok := r.open(n, n.at, fmt.Sprintf("%s[%d]", join(s.path, "escalate"), i), "after", "to", "page")
		if !ok {
			continue
		}
		e.need("after", "say how long nobody has decided, as 10m")
		step := Escalation{After: e.duration("after", 0, time.Second), Page: e.flag("page", false),
			To: texts(r.setNames(e.filled("to", r.any, "name sets of people"), true))}
		if len(out) > 0 && step.After > 0 && step.After <= out[len(out)-1].After {
			e.bad("after", Span(step.After)+" does not come after the step before", "write the steps in their order")
		}
		out = append(out, step)
	}
	return out
}

func (r *reader) with(s fields, name string) (out []string) {
	for _, it := range s.list("with", r.any) {
		switch {
		case it.text == name:
			r.fault(it.at, it.path, "is the scenario itself", "remove it")
		case !slices.Contains(r.scenarios, it.text):
			r.unknown(it, "scenario", r.scenarios)
		default:
			out = append(out, it.text)
		}
	}
	return out
}

// onCall is a schedule's name; the empty text is how the format shows "none".
func (r *reader) onCall(s fields) string {
	if e := s.n.get("on_call"); e != nil && e.value.kind == isText && e.value.text == "" {
		return ""
	}
	return s.text("on_call", r.any)
}

func (r *reader) ask(s fields) (out []Ask) {
	taken := []string{"scenario", "account", "region", "duration", "reason", "ticket"} // the form's own fields
	for i, n := range s.elements("ask") {
		path := fmt.Sprintf("%s[%d]", join(s.path, "ask"), i)
		if i == maxAsk {
			r.fault(n.at, path, fmt.Sprintf("is one of more than %d fields", maxAsk), "ask for less: people fill this in during an incident")
		}
		f, ok := r.open(n, n.at, path, "name", "label", "optional")
		if !ok {
			continue
		}
		a := Ask{Name: f.must("name", r.askName), Label: f.must("label", form{most: r.label.most, remedy: "say what to fill in"}),
			Optional: f.flag("optional", false)}
		if slices.Contains(taken, a.Name) {
			f.bad("name", quote(a.Name)+" is a field already", "give it another name")
		} else if a.Name != "" {
			taken = append(taken, a.Name)
		}
		out = append(out, a)
	}
	return out
}

// instant must be possible: the button under an alert has nowhere to fill anything in.
func (r *reader) instant(s fields, sc Scenario) {
	if !sc.Instant {
		return
	}
	if sc.Ticket.Required {
		s.bad("instant", "a confirmation cannot give the ticket that is required", "write ticket: {within: 1h}, or instant: false")
	}
	for _, a := range sc.Ask {
		if !a.Optional {
			s.bad("instant", "a confirmation cannot fill in "+quote(a.Name), "make that field optional, or write instant: false")
		}
	}
}
