// The Identity Center directory: people and groups, as an administrator or an identity provider keeps them. The API to
// read it is in identitystore.go.

package awstwin

import (
	"maps"
	"slices"
	"sort"
	"time"
)

// User is a person in the Identity Center directory.
type User struct {
	ID          string // made up where empty
	UserName    string
	Email       string // one at most, as in Identity Center
	DisplayName string
	GivenName   string
	FamilyName  string
	ManagerID   string // user id of the manager, in the enterprise extension; empty: the directory does not say
	Title       string
	Department  string
	Disabled    bool
}

// Group is a group of the directory with its members' user ids, sorted.
type Group struct {
	ID, Name string
	Members  []string
}

type user struct {
	User
	seq              uint64 // in the order they were added
	created, updated time.Time
}

type group struct {
	id, name string
	members  map[string]string    // user id -> membership id
	left     map[string]time.Time // user id -> when the membership ended (Config.GroupLag)
	created  time.Time
}

type membership struct {
	id, group, user string
	created         time.Time
	settled         bool // it opens sessions from the beginning, whatever Config.GroupLag
}

// reaches says whether a membership opens sessions by now: AWS takes up to an hour over changes of groups.
func (m *membership) reaches(now time.Time, lag time.Duration) bool {
	return m.settled || !now.Before(m.created.Add(lag))
}

type directory struct {
	users       map[string]*user
	groups      map[string]*group
	memberships map[string]*membership
	byName      map[string]string
	byEmail     map[string]string
	ofUser      map[string]map[string]string // user id -> group id -> membership id
}

func newDirectory() directory {
	return directory{users: map[string]*user{}, groups: map[string]*group{}, memberships: map[string]*membership{},
		byName: map[string]string{}, byEmail: map[string]string{}, ofUser: map[string]map[string]string{}}
}

// AddUser adds a person and returns the user id (a UUID, unless User.ID says another).
func (o *Organization) AddUser(u User) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if u.ID == "" {
		u.ID = o.uuid()
	}
	if u.UserName == "" {
		u.UserName = u.Email
	}
	now := o.cfg.Now()
	o.seq++
	added := &user{User: u, seq: o.seq, created: now, updated: now}
	o.dir.users[u.ID] = added
	o.dir.enter(added)
	o.changed()
	return u.ID
}

// UpdateUser replaces what the directory says of a person.
func (o *Organization) UpdateUser(u User) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	old := o.dir.users[u.ID]
	if old == nil {
		return
	}
	o.dir.users[u.ID] = &user{User: u, seq: old.seq, created: old.created, updated: o.cfg.Now()}
	o.dir.index()
	o.changed()
}

// DeleteUser removes a person with all memberships, and (unless Config.OrphanRows) what was assigned to them.
func (o *Organization) DeleteUser(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	for _, m := range o.dir.ofUser[id] {
		o.removeMembership(m, o.cfg.Now())
	}
	delete(o.dir.users, id)
	o.dir.index()
	if !o.cfg.OrphanRows {
		for _, a := range o.rows.ofPrincipal(principal{"USER", id}) {
			o.removeRow(a)
		}
	}
	o.changed()
}

// GetUser returns a person of the directory.
func (o *Organization) GetUser(id string) (User, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if u := o.dir.users[id]; u != nil {
		return u.User, true
	}
	return User{}, false
}

// Users are all people, by user name.
func (o *Organization) Users() []User {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]User, 0, len(o.dir.users))
	for _, u := range o.dir.users {
		all = append(all, u.User)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].UserName < all[j].UserName })
	return all
}

// Groups are all groups with their members, by name.
func (o *Organization) Groups() []Group {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	all := make([]Group, 0, len(o.dir.groups))
	for _, g := range o.dir.groups {
		all = append(all, Group{ID: g.id, Name: g.name, Members: slices.Sorted(maps.Keys(g.members))})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// AddGroup adds a group with members (user ids) and returns its id. A group of that name that is there already gets the members.
// They are members from the beginning: Config.GroupLag is not for them.
func (o *Organization) AddGroup(name string, members ...string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	g := o.dir.groupNamed(name)
	if g == nil {
		g = &group{id: o.uuid(), name: name, members: map[string]string{}, left: map[string]time.Time{}, created: o.cfg.Now()}
		o.dir.groups[g.id] = g
	}
	for _, m := range members {
		o.dir.memberships[o.addMember(g, m)].settled = true
	}
	o.changed()
	return g.id
}

// DeleteGroup removes a group (by id or name) with its memberships, and (unless Config.OrphanRows) what was assigned to it.
func (o *Organization) DeleteGroup(group string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	g := o.dir.findGroup(group)
	if g == nil {
		return
	}
	for _, m := range g.members {
		o.removeMembership(m, o.cfg.Now())
	}
	delete(o.dir.groups, g.id)
	if !o.cfg.OrphanRows {
		for _, r := range o.rows.ofPrincipal(principal{"GROUP", g.id}) {
			o.removeRow(r)
		}
	}
	o.changed()
}

// AddMember puts a user into a group (by id or name); being in it already is no error.
func (o *Organization) AddMember(group, user string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if g := o.dir.findGroup(group); g != nil {
		o.addMember(g, user)
	}
	o.changed()
}

// RemoveMember takes a user out of a group (by id or name).
func (o *Organization) RemoveMember(group, user string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if g := o.dir.findGroup(group); g != nil {
		o.removeMembership(g.members[user], o.cfg.Now())
	}
	o.changed()
}

func (o *Organization) addMember(g *group, userID string) string {
	if id := g.members[userID]; id != "" {
		return id
	}
	now := o.moment()
	m := &membership{id: o.uuid(), group: g.id, user: userID, created: now}
	if at, left := g.left[userID]; left && now.Before(at.Add(o.cfg.GroupLag)) {
		m.settled = true // the access portal has not seen them leave
	}
	o.dir.memberships[m.id] = m
	g.members[userID] = m.id
	delete(g.left, userID)
	if o.dir.ofUser[userID] == nil {
		o.dir.ofUser[userID] = map[string]string{}
	}
	o.dir.ofUser[userID][g.id] = m.id
	return m.id
}

func (o *Organization) removeMembership(id string, now time.Time) {
	d := &o.dir
	m := d.memberships[id]
	if m == nil {
		return
	}
	g := d.groups[m.group]
	delete(g.members, m.user)
	if m.reaches(now, o.cfg.GroupLag) {
		g.left[m.user] = now
	}
	delete(d.ofUser[m.user], m.group)
	delete(d.memberships, id)
}

// has says whether a principal is in the directory, as what it is called.
func (d *directory) has(p principal) bool {
	if p.kind == "GROUP" {
		return d.groups[p.id] != nil
	}
	return d.users[p.id] != nil
}

func (d *directory) groupNamed(name string) *group {
	for _, g := range d.groups {
		if g.name == name {
			return g
		}
	}
	return nil
}

func (d *directory) findGroup(idOrName string) *group {
	if g := d.groups[idOrName]; g != nil {
		return g
	}
	return d.groupNamed(idOrName)
}

// enter puts a user into the look-up tables. Of two with the same name or e-mail the first added is found.
func (d *directory) enter(u *user) {
	if _, taken := d.byName[u.UserName]; !taken {
		d.byName[u.UserName] = u.ID
	}
	if _, taken := d.byEmail[u.Email]; !taken && u.Email != "" {
		d.byEmail[u.Email] = u.ID
	}
}

// index makes the look-up tables anew, after a change or a departure.
func (d *directory) index() {
	clear(d.byName)
	clear(d.byEmail)
	all := slices.Collect(maps.Values(d.users))
	sort.Slice(all, func(i, j int) bool { return all[i].seq < all[j].seq })
	for _, u := range all {
		d.enter(u)
	}
}

// groupsOf are the groups through which a user has access now: those joined at least lag ago, and those left less than lag ago.
func (d *directory) groupsOf(userID string, now time.Time, lag time.Duration) []string {
	var ids []string
	for id, m := range d.ofUser[userID] {
		if d.memberships[m].reaches(now, lag) {
			ids = append(ids, id)
		}
	}
	if lag > 0 {
		for id, g := range d.groups {
			if at, ok := g.left[userID]; ok && now.Before(at.Add(lag)) {
				ids = append(ids, id)
			}
		}
	}
	sort.Strings(ids)
	return ids
}
