package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Parse reads a policy. name is what the file is called in its faults. The error is Faults: all of them
// at once, in the order of the file. It never panics and takes bounded time, whatever the bytes are.
func Parse(name string, data []byte) (*Policy, error) {
	sum := sha256.Sum256(data)
	r := &reader{file: name, effort: 100_000, forms: newForms(), broken: map[string]bool{}, known: map[string]bool{},
		reserved: map[string]string{}, guards: map[string]Scenario{}, granted: map[Grant]string{},
		policy: &Policy{Hash: hex.EncodeToString(sum[:]), Text: data}}
	if root := r.document(data); root != nil {
		r.root(root)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	r.policy.byName, r.policy.byID = map[string]int{}, map[string]int{}
	for i, a := range r.policy.Accounts {
		r.policy.byName[a.Name], r.policy.byID[a.ID] = i, i
	}
	return r.policy, nil
}

// root reads the sections, those that others refer to first, wherever they stand in the file.
func (r *reader) root(n *node) {
	f, _ := r.open(n, pos{1, 1}, "", "identity_center", "channels", "timezone", "slack", "accounts", "accounts_from",
		"people", "identities", "iam_users", "scenarios", "requests", "lockdown", "reconcile", "tracker", "watch",
		"trail", "report", "contacts")
	p := r.policy
	p.IdentityCenter = r.identityCenter(f)
	p.Channels = r.channels(f)
	p.Timezone = r.timezone(f)
	if s, ok := f.section("slack", "domains"); ok {
		for _, d := range s.list("domains", r.domain) {
			p.Slack.Domains = append(p.Slack.Domains, lower(d.text))
		}
	}
	p.AccountsFrom = r.accountSources(f)
	p.Accounts = r.readAccounts(f)
	p.People = r.people(f)
	p.Identities = r.identities(f)
	p.IAMUsers = r.iamUsers(f)
	p.Reconcile = r.reconcile(f)
	p.Scenarios = r.readScenarios(f)
	p.Requests = r.requests(f)
	p.Lockdown = texts(r.deciders(f.list("lockdown", r.any), false))
	p.Tracker = r.tracker(f)
	if s, ok := f.section("watch", "roles"); ok {
		p.Watch.Roles = texts(s.list("roles", r.watched))
	}
	p.Trail = r.trail(f)
	p.Report = r.report(f)
	p.Contacts = r.contacts(f)
}

// section opens an optional mapping; when it is absent its fields are too, and so have their defaults.
func (f fields) section(key string, known ...string) (fields, bool) {
	e := f.n.get(key)
	if e == nil {
		return fields{reader: f.reader, path: join(f.path, key), n: &node{kind: isMap}}, true
	}
	s, ok := f.open(e.value, e.at, join(f.path, key), known...)
	if !ok {
		s.n = &node{kind: isMap} // defaults, so that the fault stands alone
	}
	return s, ok
}

func (r *reader) identityCenter(f fields) (ic IdentityCenter) {
	if !f.need("identity_center", "say where Identity Center lives: {region: us-east-1, access_portal: https://...}") {
		return ic
	}
	if s, ok := f.section("identity_center", "region", "access_portal", "instance_arn"); ok {
		ic.Region = s.must("region", r.region)
		ic.AccessPortal = s.must("access_portal", r.portal)
		ic.InstanceARN = s.text("instance_arn", r.instance)
	}
	return ic
}

func (r *reader) channels(f fields) (c Channels) {
	if !f.need("channels", `name the two channels: {requests: "#...", incidents: "#..."}`) {
		return c
	}
	if s, ok := f.section("channels", "requests", "incidents"); ok {
		c.Requests, c.Incidents = s.must("requests", r.channel), s.must("incidents", r.channel)
	}
	return c
}

// timezone finds the zone in the system's or the program's database. "Local" would make the calendar
// depend on the machine.
func (r *reader) timezone(f fields) *time.Location {
	name := f.text("timezone", r.any)
	if name == "" {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		f.bad("timezone", quote(name)+" is not a time zone", "write it as America/New_York, or UTC")
		return time.UTC
	}
	return zone
}

func (r *reader) accountSources(f fields) (out []AccountSource) {
	for i, n := range f.elements("accounts_from") {
		s, ok := r.open(n, n.at, fmt.Sprintf("accounts_from[%d]", i), "ou", "tag")
		if !ok {
			continue
		}
		if s.has("ou") == s.has("tag") {
			r.fault(s.at, s.path, "must have one of ou and tag", "write {ou: ID} or {tag: KEY=VALUE}")
			continue
		}
		out = append(out, AccountSource{OU: s.text("ou", r.ou), Tag: s.text("tag", r.tag)})
	}
	return out
}

// elements are the items of an optional list.
func (f fields) elements(key string) []*node {
	e := f.n.get(key)
	if e == nil || !f.is(e.value, isList, join(f.path, key)) {
		return nil
	}
	return e.value.items
}

// named opens a mapping of names to something, one that must be there and must not be empty. Names that
// differ in case only are one name to those who type them.
func (f fields) named(key, remedy string) []entry {
	if !f.need(key, remedy) {
		return nil
	}
	e := f.n.get(key)
	if !f.is(e.value, isMap, join(f.path, key)) {
		return nil
	}
	if len(e.value.keys) == 0 {
		f.bad(key, "is empty", remedy)
	}
	seen := map[string]string{}
	for _, k := range e.value.keys {
		path := join(join(f.path, key), k.name)
		f.formed(item{k.name, k.at, path}, f.name)
		if len(k.name) > f.name.most {
			f.fault(k.at, path, fmt.Sprintf("the name is longer than %d characters", f.name.most), "make it shorter")
		}
		if first, twice := seen[lower(k.name)]; twice {
			f.fault(k.at, path, "differs from "+quote(first)+" in case only", "give it a name of its own")
		}
		seen[lower(k.name)] = k.name
	}
	return e.value.keys
}

func (r *reader) readAccounts(f fields) (out []Account) {
	ids := map[string]string{}
	for _, k := range f.named("accounts", `list the accounts: NAME: {id: "123456789012", regions: [us-east-1]}`) {
		r.accounts, r.known[k.name] = append(r.accounts, k.name), true
		s, ok := r.open(k.value, k.at, join("accounts", k.name), "id", "regions", "sensitive")
		if !ok {
			continue
		}
		a := Account{Name: k.name, ID: r.id(s), Sensitive: s.flag("sensitive", false),
			Regions: texts(s.filled("regions", r.region, "list the regions whose trail is read, as [us-east-1]"))}
		if first, twice := ids[a.ID]; twice && a.ID != "" {
			s.bad("id", quote(a.ID)+" is the id of "+first+" too", "one account has one name")
		}
		ids[a.ID] = a.Name
		if r.accountID.match(k.name) && a.ID != "" && k.name != a.ID {
			// Accounts are asked for by name or by id; this one would answer for another's.
			r.fault(k.at, s.path, "looks like the id of another account", "name it in words, or by its own id")
		}
		out = append(out, a)
	}
	return out
}

// id reads an account id. YAML takes twelve digits without quotes for a number and loses leading zeros.
func (r *reader) id(s fields) string {
	e := s.n.get("id")
	if e != nil && e.value.kind == isNumber {
		remedy := `write its twelve digits in quotes, as "123456789012"`
		if r.accountID.match(e.value.text) {
			remedy = `put it in quotes: id: "` + e.value.text + `"`
		}
		s.bad("id", "is a number, which loses zeros", remedy)
		return ""
	}
	return s.must("id", r.accountID)
}

func (r *reader) identities(f fields) map[string]string {
	out := map[string]string{}
	e := f.n.get("identities")
	if e == nil || !r.is(e.value, isMap, "identities") {
		return out
	}
	for _, k := range e.value.keys {
		path := join("identities", k.name)
		r.formed(item{k.name, k.at, path}, r.slackUser)
		if s, ok := r.plain(k.value, path, r.email.limit()); ok && r.formed(item{s, k.value.at, path}, r.email) {
			out[k.name] = s
		}
	}
	return out
}

func (r *reader) iamUsers(f fields) map[string]string {
	out, addresses, users := map[string]string{}, map[string]bool{}, map[string]string{}
	e := f.n.get("iam_users")
	if e == nil || !r.is(e.value, isMap, "iam_users") {
		return out
	}
	r.iamUsersNamed = len(e.value.keys) > 0
	for _, k := range e.value.keys {
		path := join("iam_users", k.name)
		r.formed(item{k.name, k.at, path}, r.email)
		if addresses[lower(k.name)] {
			r.fault(k.at, path, "the address stands twice", "keep one of them")
		}
		addresses[lower(k.name)] = true
		arn, ok := r.plain(k.value, path, r.iamUser.limit())
		if !ok || !r.formed(item{arn, k.value.at, path}, r.iamUser) {
			continue
		}
		if first, twice := users[arn]; twice {
			r.fault(k.value.at, path, "is the user of "+first+" too", "give each person a user, or nobody can tell who acted")
		}
		users[arn], out[k.name] = k.name, arn
	}
	return out
}

// people reads the sets. One with a mention only can be told things, and cannot decide any.
func (r *reader) people(f fields) map[string]People {
	out := map[string]People{}
	for _, k := range f.named("people", "name sets of people: NAME: {groups: [...]} or {emails: [...]}") {
		path := join("people", k.name)
		r.sets = append(r.sets, k.name)
		before := len(r.faults) + r.untold
		if lower(k.name) == Manager {
			r.fault(k.at, path, "is a reserved word: the requester's own manager", "give the set another name")
		}
		if s, ok := r.open(k.value, k.at, path, "groups", "emails", "mention"); ok {
			set := People{Groups: texts(s.list("groups", r.group)), Emails: texts(s.list("emails", r.email)),
				Mention: s.text("mention", r.mention)}
			if len(s.n.keys) == 0 || !s.has("mention") && len(set.Groups)+len(set.Emails) == 0 && len(r.faults)+r.untold == before {
				r.fault(k.at, path, "has nobody in it", "give it groups or emails")
			}
			out[k.name] = set
		}
		r.broken[k.name] = len(r.faults)+r.untold > before
	}
	return out
}

// sorted keys of a map of names.
func sorted[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

// setNames reads references to sets of people, with the reserved word where it means something.
func (r *reader) setNames(items []item, manager bool) []item {
	var out []item
	for _, it := range items {
		if it.text == Manager {
			if !manager {
				r.fault(it.at, it.path, quote(Manager)+" means nobody here", "name a set of people")
				continue
			}
		} else if _, ok := r.policy.People[it.text]; !ok && !r.broken[it.text] {
			known := r.sets
			if manager {
				known = append([]string{Manager}, r.sets...)
			}
			if strings.Contains(it.text, "@") {
				r.fault(it.at, it.path, quote(it.text)+" is no set of people", "addresses go into a set under people")
			} else {
				r.unknown(it, "set of people", known)
			}
			continue
		}
		out = append(out, it)
	}
	return out
}

// deciders are references to sets whose members can be told by the directory.
func (r *reader) deciders(items []item, manager bool) []item {
	var out []item
	for _, it := range r.setNames(items, manager) {
		set := r.policy.People[it.text]
		if it.text != Manager && !r.broken[it.text] && len(set.Groups)+len(set.Emails) == 0 {
			r.fault(it.at, it.path, quote(it.text)+" has neither groups nor emails, so nobody is in it",
				"give it groups or emails: a Slack user group decides nothing")
			continue
		}
		out = append(out, it)
	}
	return out
}
