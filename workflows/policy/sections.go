package policy

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

func (r *reader) requests(f fields) Requests {
	s, _ := f.section("requests", "expire", "remind")
	q := Requests{Expire: s.duration("expire", time.Hour, time.Minute)}
	var usual []time.Duration
	for _, d := range []time.Duration{5 * time.Minute, 20 * time.Minute} {
		if d < q.Expire {
			usual = append(usual, d)
		}
	}
	q.Remind = s.durations("remind", usual, time.Second)
	for _, d := range q.Remind {
		if d >= q.Expire {
			s.bad("remind", Span(d)+" is not before the request expires, after "+Span(q.Expire), "remind earlier, or expire later")
		}
	}
	return q
}

// reconcile is read before the scenarios: no scenario may grant a group that stands here.
func (r *reader) reconcile(f fields) Reconcile {
	s, _ := f.section("reconcile", "unexplained", "standing", "anchors")
	out := Reconcile{Unexplained: s.choice("unexplained", UnexplainedAnnounce, UnexplainedAnnounce, UnexplainedRevoke)}
	for i, n := range s.elements("standing") {
		e, ok := r.open(n, n.at, fmt.Sprintf("reconcile.standing[%d]", i), "account", "permission_set", "group")
		if !ok {
			continue
		}
		st := Standing{Account: e.must("account", r.any), PermissionSet: e.must("permission_set", r.permissionSet),
			Group: e.must("group", r.group)}
		if st.Account != "" {
			r.account(item{st.Account, e.where("account"), join(e.path, "account")})
		}
		out.Standing = append(out.Standing, st)
	}
	out.Anchors = texts(s.list("anchors", r.group))
	for name, set := range r.policy.People {
		for _, g := range set.Groups {
			r.reserved[lower(g)] = "people." + name
		}
	}
	for _, st := range out.Standing {
		r.reserved[lower(st.Group)] = "reconcile.standing"
	}
	for _, g := range out.Anchors {
		if where, ok := r.reserved[lower(g)]; ok {
			s.bad("anchors", quote(g)+" stands in "+where+" too", "an anchor must stay empty; use a group of its own")
		}
		r.reserved[lower(g)] = "reconcile.anchors"
	}
	return out
}

// account checks a reference to an account. Accounts that Organizations will add are not known here.
func (r *reader) account(it item) bool {
	if r.known[it.text] || len(r.policy.AccountsFrom) > 0 {
		return true
	}
	r.unknown(it, "account", r.accounts)
	return false
}

func (r *reader) tracker(f fields) (t Tracker) {
	s, _ := f.section("tracker", "pattern", "kind", "url")
	if source := s.text("pattern", form{most: 1000}); source != "" {
		re, err := regexp.Compile(source)
		if err != nil {
			s.bad("pattern", quote(source)+" is not a regular expression ("+err.Error()+")", "see the syntax of Go's regexp")
		}
		t.Pattern = re
	}
	t.Kind = s.choice("kind", "", "jira", "servicenow")
	t.URL = s.text("url", r.link)
	if s.has("kind") != s.has("url") {
		missing := "url"
		if s.has("url") {
			missing = "kind"
		}
		r.fault(s.at, join(s.path, missing), "is missing", "kind and url go together: the ticket is then looked up")
	}
	return t
}

// trail takes {source: lookup}, and the two other sources either as the value of source or in its place.
func (r *reader) trail(f fields) Trail {
	lookup := Trail{Source: TrailLookup}
	s, _ := f.section("trail", "source", "logs_insights", "athena", "workgroup")
	if e := s.n.get("source"); e != nil {
		if e.value.kind != isMap {
			s.choice("source", TrailLookup, TrailLookup)
			if len(s.n.keys) > 1 {
				r.fault(s.at, s.path, "has more than one source", "keep one of lookup, logs_insights and athena")
			}
			return lookup
		}
		if len(s.n.keys) > 1 {
			r.fault(s.at, s.path, "has more than one source", "keep one of lookup, logs_insights and athena")
		}
		s, _ = r.open(e.value, e.at, "trail.source", "logs_insights", "athena", "workgroup")
	}
	switch {
	case s.has("logs_insights") && !s.has("athena") && !s.has("workgroup"):
		return Trail{Source: TrailLogsInsights, LogGroup: s.text("logs_insights", form{most: 512})}
	case s.has("athena") && !s.has("logs_insights"):
		return Trail{Source: TrailAthena, Table: s.text("athena", r.any), Workgroup: s.must("workgroup", form{remedy: "name Athena's workgroup"})}
	case len(s.n.keys) > 0:
		r.fault(s.at, s.path, "is not one source", "write {source: lookup}, {logs_insights: LOG-GROUP} or {athena: TABLE, workgroup: NAME}")
	}
	return lookup
}

func (r *reader) report(f fields) Report {
	s, _ := f.section("report", "settle", "again", "email", "from", "archive", "retain", "monthly", "post_mortem", "sensitive_actions")
	out := Report{
		Settle:           s.duration("settle", 15*time.Minute, time.Second),
		Again:            s.durations("again", []time.Duration{2 * time.Hour}, time.Second),
		Email:            texts(s.list("email", r.email)),
		From:             s.text("from", r.email),
		Archive:          s.text("archive", r.archive),
		Retain:           s.duration("retain", 8760*time.Hour, 24*time.Hour), // Object Lock counts in days
		Monthly:          r.monthly(s),
		SensitiveActions: texts(s.list("sensitive_actions", r.action)),
	}
	for _, d := range out.Again {
		if d <= out.Settle && s.has("again") {
			s.bad("again", Span(d)+" is not after the first reading, at "+Span(out.Settle), "read again later, or settle earlier")
		}
	}
	if len(out.Email) > 0 && !s.has("from") {
		r.fault(s.at, "report.from", "is missing", "say which address the mail comes from")
	}
	pm, _ := s.section("post_mortem", "within")
	out.PostMortem.Within = pm.duration("within", 24*time.Hour, time.Minute)
	return out
}

// monthly checks the calendar with the parser that will run it. That parser would also take a zone of
// its own and intervals, and panics at "TZ=" without a space: five fields keep all of these out.
func (r *reader) monthly(s fields) string {
	line := s.text("monthly", r.any)
	if line == "" {
		return ""
	}
	const remedy = `write five fields, as "0 9 1 * *": minute, hour, day, month, weekday`
	if len(strings.Fields(line)) != 5 {
		s.bad("monthly", quote(line)+" is not a calendar line", remedy)
		return ""
	}
	schedule, err := cron.ParseStandard(line)
	if err != nil {
		s.bad("monthly", quote(line)+" is not a calendar line ("+err.Error()+")", remedy)
		return ""
	}
	if schedule.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		s.bad("monthly", quote(line)+" never comes", remedy)
		return ""
	}
	return line
}

func (r *reader) contacts(f fields) (out []Contact) {
	for i, n := range f.elements("contacts") {
		s, ok := r.open(n, n.at, fmt.Sprintf("contacts[%d]", i), "role", "who", "phone", "url")
		if !ok {
			continue
		}
		c := Contact{Role: s.must("role", form{remedy: "say what the contact is for"}), Who: s.text("who", r.email),
			Phone: s.text("phone", r.any), URL: s.text("url", r.link)}
		if !s.has("who") && !s.has("phone") && !s.has("url") {
			r.fault(s.at, s.path, "cannot be reached", "give who, phone or url")
		}
		out = append(out, c)
	}
	return out
}
