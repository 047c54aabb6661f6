package slacktwin

import (
	"slices"
	"strings"
	"time"
)

// User is one account as users.info shows it.
type User struct {
	ID              string // U...; made up where empty
	Name            string // handle, without @
	RealName        string
	Email           string
	TeamID          string // default the workspace's; another one: a person of another company
	TZ              string // IANA name, default UTC
	EmailConfirmed  bool
	Restricted      bool // multi-channel guest
	UltraRestricted bool // single-channel guest
	Stranger        bool // shares no channel with the app's workspace
	Bot             bool
	Deleted         bool // deactivated
	Admin           bool
	Updated         time.Time
}

// UserGroup is a mentionable set of people, @handle.
type UserGroup struct {
	ID, Handle, Name string
	Members          []string // user ids
	Disabled         bool
}

// AddUser adds or replaces an account and returns its id.
func (w *Workspace) AddUser(u User) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u.ID == "" {
		u.ID = w.id("U")
	}
	if u.TeamID == "" {
		u.TeamID = w.cfg.TeamID
	}
	if u.TZ == "" {
		u.TZ = "UTC"
	}
	if u.RealName == "" {
		u.RealName = u.Name
	}
	u.Updated = w.cfg.Now()
	w.users.put(u.ID, &u)
	w.changed()
	return u.ID
}

// UpdateUser changes an account; the app gets user_change if it subscribed to it. An unknown id is ignored.
func (w *Workspace) UpdateUser(id string, f func(*User)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.users.get(id)
	if u == nil {
		return
	}
	f(u)
	u.Updated = w.cfg.Now()
	w.emit(obj{"type": "user_change", "user": w.userJSON(u), "event_ts": w.eventTS()})
	w.changed()
}

// Users returns every account but Slack's own bot, in the order they were added.
func (w *Workspace) Users() []User {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []User
	for _, u := range w.users.all() {
		if u.ID != "USLACKBOT" {
			all = append(all, *u)
		}
	}
	return all
}

// AddUserGroup adds or replaces a group and returns its id. Replacing one tells the app subteam_members_changed if it
// subscribed to it.
func (w *Workspace) AddUserGroup(g UserGroup) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g.ID == "" {
		g.ID = w.id("S")
	}
	old := w.groups.get(g.ID)
	g.Members = slices.Clone(g.Members)
	w.groups.put(g.ID, &g)
	if old != nil {
		w.emit(obj{"type": "subteam_members_changed", "subteam_id": g.ID, "team_id": w.cfg.TeamID,
			"added_users": missing(g.Members, old.Members), "removed_users": missing(old.Members, g.Members),
			"event_ts": w.eventTS()})
	}
	w.changed()
	return g.ID
}

// missing lists what stands in a and not in b.
func missing(a, b []string) []string {
	out := []string{}
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// userJSON is a user as the Web API shows it to this app. The caller holds mu.
func (w *Workspace) userJSON(u *User) obj {
	zone, offset := w.cfg.Now().In(location(u.TZ)).Zone()
	profile := obj{"real_name": u.RealName, "real_name_normalized": u.RealName, "display_name": u.Name,
		"display_name_normalized": u.Name, "team": u.TeamID, "status_text": "", "status_emoji": "", "avatar_hash": "twin"}
	if w.scopes["users:read.email"] && !u.Bot && !u.Stranger && u.Email != "" {
		profile["email"] = u.Email
	}
	o := obj{"id": u.ID, "team_id": u.TeamID, "name": u.Name, "deleted": u.Deleted, "profile": profile,
		"is_bot": u.Bot, "is_app_user": false, "updated": u.Updated.Unix(), "is_email_confirmed": u.EmailConfirmed}
	if u.Bot && u.ID == w.cfg.BotUserID {
		profile["api_app_id"], profile["bot_id"] = w.cfg.AppID, w.cfg.BotID
	}
	if u.Stranger {
		o["is_stranger"] = true
	}
	if u.Deleted { // a deactivated account loses its roles, its zone and its name outside the profile
		return o
	}
	for k, v := range (obj{"real_name": u.RealName, "tz": u.TZ, "tz_label": zone, "tz_offset": offset,
		"is_admin": u.Admin, "is_owner": false, "is_primary_owner": false, "is_restricted": u.Restricted,
		"is_ultra_restricted": u.UltraRestricted, "who_can_share_contact_card": "EVERYONE"}) {
		o[k] = v
	}
	return o
}

// groupJSON is a user group as usergroups.list shows it. The caller holds mu.
func (w *Workspace) groupJSON(g *UserGroup, withUsers bool) obj {
	o := obj{"id": g.ID, "team_id": w.cfg.TeamID, "is_usergroup": true, "is_subteam": true, "name": g.Name,
		"handle": g.Handle, "description": "", "is_external": false, "date_delete": 0, "user_count": len(g.Members),
		"prefs": obj{"channels": []string{}, "groups": []string{}}}
	if g.Disabled {
		o["date_delete"] = w.cfg.Now().Unix()
	}
	if withUsers {
		o["users"] = append([]string{}, g.Members...)
	}
	return o
}

// location is the zone of that name, UTC where there is none.
func location(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return loc
}

// userByHandle finds an account by @name. The caller holds mu.
func (w *Workspace) userByHandle(name string) *User {
	for _, u := range w.users.all() {
		if strings.EqualFold(u.Name, name) {
			return u
		}
	}
	return nil
}
