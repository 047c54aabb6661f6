// Who may enter what: the assignments as they are now, by the two questions AWS asks of them, and what follows for a
// person. A row is there or it is not: AWS keeps no date of creation and no expiry on an assignment, so neither does this.
// Rows change here and in changes.go only, and a role comes or goes with each first and last row.

package awstwin

import (
	"slices"
	"sort"
	"time"
)

// Assignment gives a user or group a permission set in an account.
type Assignment struct {
	AccountID        string
	PermissionSetARN string
	PermissionSet    string // its name
	PrincipalType    string // USER or GROUP
	PrincipalID      string
}

// Effective is one way in that a person has now: an assignment of their own or of a group they are in.
type Effective struct {
	Assignment
	ViaGroup string // name of the group; empty: direct
}

type principal struct{ kind, id string }

type target struct{ account, set string }

// assignmentTable keeps the assignments by both of the questions that are asked: who may in this account and set, and
// where may this principal. Neither walks through all of them, since organisations have many thousands. The rows of a
// target are kept in the order in which they are listed.
type assignmentTable struct {
	byTarget    map[target][]row
	byPrincipal map[principal]map[target]bool
}

func newAssignmentTable() assignmentTable {
	return assignmentTable{map[target][]row{}, map[principal]map[target]bool{}}
}

func (t *assignmentTable) has(tg target, p principal) bool { return t.byPrincipal[p][tg] }

// place is where a row of its target stands, or would.
func (t *assignmentTable) place(r row) int {
	rows, key := t.byTarget[r.target], r.key()
	return sort.Search(len(rows), func(i int) bool { return rows[i].key() >= key })
}

func (t *assignmentTable) add(tg target, p principal) {
	if t.byPrincipal[p] == nil {
		t.byPrincipal[p] = map[target]bool{}
	}
	t.byPrincipal[p][tg] = true
	r := row{tg, p}
	t.byTarget[tg] = slices.Insert(t.byTarget[tg], t.place(r), r)
}

func (t *assignmentTable) remove(tg target, p principal) (last bool) {
	if t.has(tg, p) {
		i := t.place(row{tg, p})
		t.byTarget[tg] = slices.Delete(t.byTarget[tg], i, i+1)
	}
	delete(t.byPrincipal[p], tg)
	if len(t.byPrincipal[p]) == 0 {
		delete(t.byPrincipal, p)
	}
	if last = len(t.byTarget[tg]) == 0; last {
		delete(t.byTarget, tg)
	}
	return last
}

type row struct {
	target
	principal
}

func (t *assignmentTable) ofPrincipal(p principal) []row {
	var rows []row
	for tg := range t.byPrincipal[p] {
		rows = append(rows, row{tg, p})
	}
	return rows
}

// ofTarget is the table's own list, sorted: it is not to be changed, nor kept beyond the next change.
func (t *assignmentTable) ofTarget(tg target) []row { return t.byTarget[tg] }

func (r row) key() string {
	return r.account + " " + r.set + " " + r.principal.kind + " " + r.principal.id
}

// addRow makes an assignment; with the first of a set in an account its role appears there.
func (o *Organization) addRow(r row) {
	if o.rows.has(r.target, r.principal) {
		return
	}
	o.rows.add(r.target, r.principal)
	o.provision(r.target)
}

// removeRow takes one away; with the last its role goes.
func (o *Organization) removeRow(r row) {
	if o.rows.remove(r.target, r.principal) {
		o.unprovision(r.target)
	}
}

// Assign makes a standing assignment at once. principal is a user id, a group id or a group's name; set a name or an ARN.
func (o *Organization) Assign(principalID, accountID, set string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if r, ok := o.row(principalID, accountID, set); ok {
		o.addRow(r)
		o.changed()
	}
}

// Unassign takes an assignment away at once, as an administrator does in the console.
func (o *Organization) Unassign(principalID, accountID, set string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if r, ok := o.row(principalID, accountID, set); ok && o.rows.has(r.target, r.principal) {
		o.removeRow(r)
		o.changed()
	}
}

func (o *Organization) row(principalID, accountID, set string) (row, bool) {
	s := o.findSet(set)
	if s == nil || o.accounts[accountID] == nil {
		return row{}, false
	}
	p := principal{"USER", principalID}
	if g := o.dir.findGroup(principalID); g != nil {
		p = principal{"GROUP", g.id}
	}
	return row{target{accountID, s.arn}, p}, true
}

func (o *Organization) view(r row) Assignment {
	name := ""
	if s := o.sets[r.set]; s != nil {
		name = s.name
	}
	return Assignment{AccountID: r.account, PermissionSetARN: r.set, PermissionSet: name, PrincipalType: r.kind, PrincipalID: r.principal.id}
}

// Assignments are all assignments that exist now, sorted by account, set and principal.
func (o *Organization) Assignments() []Assignment {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	var all []Assignment
	for tg := range o.rows.byTarget {
		for _, r := range o.rows.ofTarget(tg) {
			all = append(all, o.view(r))
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].less(all[j]) })
	return all
}

func (a Assignment) less(b Assignment) bool {
	if a.AccountID != b.AccountID {
		return a.AccountID < b.AccountID
	}
	if a.PermissionSet != b.PermissionSet {
		return a.PermissionSet < b.PermissionSet
	}
	if a.PrincipalType != b.PrincipalType {
		return a.PrincipalType < b.PrincipalType
	}
	return a.PrincipalID < b.PrincipalID
}

// Access is what a person can enter now, through assignments of their own and of their groups. A disabled or deleted
// user can enter nothing.
func (o *Organization) Access(userID string) []Effective {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.cfg.Now()
	o.settle(now)
	return o.access(userID, now)
}

func (o *Organization) access(userID string, now time.Time) []Effective {
	u := o.dir.users[userID]
	if u == nil || u.Disabled {
		return nil
	}
	var all []Effective
	for _, r := range o.rows.ofPrincipal(principal{"USER", userID}) {
		all = append(all, Effective{Assignment: o.view(r)})
	}
	for _, id := range o.dir.groupsOf(userID, now, o.cfg.GroupLag) {
		for _, r := range o.rows.ofPrincipal(principal{"GROUP", id}) {
			all = append(all, Effective{Assignment: o.view(r), ViaGroup: o.dir.groups[id].name})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].less(all[j].Assignment) })
	return all
}

// enters says whether a person may take credentials of a permission set in an account.
func (o *Organization) enters(userID string, tg target, now time.Time) bool {
	for _, e := range o.access(userID, now) {
		if e.AccountID == tg.account && e.PermissionSetARN == tg.set {
			return true
		}
	}
	return false
}
