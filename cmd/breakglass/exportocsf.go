package main

import (
	"cmp"
	"fmt"
	"strings"

	"breakglass/store"
)

// Classes, activities, severities and statuses of OCSF 1.3 (schema.ocsf.io) that the log's lines become.
const (
	ocsfVersion = "1.3.0"

	ocsfEntities  = 3004 // Entity Management
	ocsfAccess    = 3005 // User Access Management
	ocsfLifecycle = 6002 // Application Lifecycle

	ocsfCreate, ocsfUpdate, ocsfActivate, ocsfDeactivate = 1, 3, 10, 11 // of an entity
	ocsfAssign, ocsfRevoke                               = 1, 2         // of access
	ocsfStart, ocsfStop                                  = 3, 4         // of an application
	ocsfOther                                            = 99           // named by activity_name

	ocsfInformational, ocsfMedium, ocsfHigh = 1, 3, 4
	ocsfSuccess, ocsfFailure                = 1, 2
)

type ocsfEvent struct {
	ClassUID     int               `json:"class_uid"`
	CategoryUID  int               `json:"category_uid"`
	ActivityID   int               `json:"activity_id"`
	ActivityName string            `json:"activity_name"`
	TypeUID      int               `json:"type_uid"`
	SeverityID   int               `json:"severity_id"`
	StatusID     int               `json:"status_id"`
	Status       string            `json:"status"`
	StatusCode   string            `json:"status_code"`
	StatusDetail string            `json:"status_detail,omitempty"`
	Time         int64             `json:"time"` // milliseconds
	Message      string            `json:"message"`
	Metadata     ocsfMetadata      `json:"metadata"`
	Actor        ocsfActor         `json:"actor"`
	Entity       *ocsfThing        `json:"entity,omitempty"`
	User         *ocsfUser         `json:"user,omitempty"`
	Privileges   []string          `json:"privileges,omitempty"`
	Resource     *ocsfThing        `json:"resource,omitempty"`
	App          *ocsfProduct      `json:"app,omitempty"`
	Unmapped     map[string]string `json:"unmapped,omitempty"`
}

type ocsfMetadata struct {
	Version     string      `json:"version"`
	Product     ocsfProduct `json:"product"`
	Profiles    []string    `json:"profiles"`
	UID         string      `json:"uid"`
	Sequence    uint64      `json:"sequence"`
	Correlation string      `json:"correlation_uid,omitempty"` // the request
}

type ocsfProduct struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor_name"`
	Version string `json:"version,omitempty"`
}

type ocsfActor struct {
	User ocsfUser `json:"user"`
}

type ocsfUser struct {
	Name     string `json:"name,omitempty"`
	FullName string `json:"full_name,omitempty"`
	UID      string `json:"uid,omitempty"`
	Slack    string `json:"uid_alt,omitempty"`
	Email    string `json:"email_addr,omitempty"`
	TypeID   int    `json:"type_id"` // 1 a user, 2 an administrator, 3 the system
}

// ocsfThing is what an event is of, or what access is to.
type ocsfThing struct {
	Type string `json:"type"`
	Name string `json:"name,omitempty"`
	UID  string `json:"uid,omitempty"`
}

// meaning is what a line says in OCSF's terms.
type meaning struct {
	class, activity, severity, status int
	name                              string // of the activity, where OCSF has none
	code                              string
}

// event is a line of the log as an event of OCSF. What has no place there is under unmapped. The line was learned before.
func (g *grants) event(e store.Event) ocsfEvent {
	product := ocsfProduct{Name: "Breakglass", Vendor: "Breakglass"}
	m, access := meansOf(e), g.accessOf(e)
	if m.class == ocsfAccess && access.granted == "" { // nothing may be said of access without whose and which
		m.class, m.activity = ocsfEntities, ocsfUpdate
	}
	x := ocsfEvent{
		ClassUID: m.class, CategoryUID: m.class / 1000, ActivityID: m.activity, ActivityName: m.activityName(), TypeUID: m.class*100 + m.activity,
		SeverityID: m.severity, StatusID: m.status, Status: "Success", StatusCode: m.code, Time: e.At.UnixMilli(),
		// The actor and the device of an event are of the profile "host" in these classes.
		Metadata: ocsfMetadata{
			Version: ocsfVersion, Product: product, Profiles: []string{"host"}, UID: fmt.Sprint(e.Seq), Sequence: e.Seq, Correlation: string(e.Request),
		},
		Actor: ocsfActor{userOf(e.Actor)}, Unmapped: e.Data,
	}
	if m.status == ocsfFailure {
		x.Status, x.StatusDetail = "Failure", cmp.Or(e.Data["failed"], e.Data["why"], e.Data["error"])
	}
	of := string(e.Request)
	switch m.class {
	case ocsfEntities:
		thing := entityOf(e)
		x.Entity = &thing
		of = cmp.Or(of, thing.Name, thing.UID)
	case ocsfAccess:
		user := personOf(access.user)
		x.User, x.Privileges = &user, []string{access.granted}
		if x.Resource = (&ocsfThing{Type: "AWS account", UID: access.account}); access.account == "" {
			x.Resource = &ocsfThing{Type: "group", Name: access.granted} // a membership is of a group, and of no account
		}
	case ocsfLifecycle:
		product.Version = e.Data["version"]
		x.App, of = &product, product.Name
	}
	x.Message = strings.TrimSpace(fmt.Sprintf("%s: %s %s", of, e.Kind, e.To))
	return x
}

// meansOf says which class, activity and status a line is.
func meansOf(e store.Event) meaning {
	m := meaning{class: ocsfEntities, activity: ocsfUpdate, severity: ocsfInformational, status: ocsfSuccess, code: e.Kind}
	switch e.Kind {
	case store.EventSubmitted:
		m.activity, m.code = ocsfCreate, cmp.Or(e.Data["state"], e.Kind)
	case store.EventMoved:
		m.move(e.To)
	case "decided": // a word of several that are needed
		m.activity, m.name = ocsfOther, "Approve"
	case store.EventExtension:
		m.extend(e.Data)
	case store.EventStarted:
		m.class, m.activity = ocsfLifecycle, ocsfStart
	case store.EventStopped:
		m.class, m.activity = ocsfLifecycle, ocsfStop
	case store.EventOutcome:
		m.outcome(e.Data)
	case store.EventRefused:
		m.severity, m.status, m.code = ocsfMedium, ocsfFailure, cmp.Or(e.Data["code"], e.Kind)
	case store.EventFault:
		m.severity, m.status = ocsfMedium, ocsfFailure
	case store.EventFound:
		if e.Data["gone"] == "" {
			m.activity, m.severity = ocsfCreate, ocsfHigh
		}
	case store.EventLockdown:
		m.activity, m.severity = ocsfActivate, ocsfHigh
		if e.Data["lockdown"] == "lifted" {
			m.activity = ocsfDeactivate
		}
	case store.EventPerson:
		if e.Data["refused"] != "" {
			m.severity, m.status = ocsfMedium, ocsfFailure
		}
	case store.EventArchived, store.EventWitnessed, store.EventProof, store.EventReview:
		m.activity = ocsfCreate
	case store.EventKey:
		if e.Data["was"] == "" {
			m.activity = ocsfCreate
		}
	}
	return m
}

// move tells the steps of a request apart by activity and status: a SIEM's rule for denials must not have to read the message.
func (m *meaning) move(to store.State) {
	m.code = cmp.Or(string(to), m.code)
	switch to {
	case store.Approved:
		m.activity, m.name = ocsfOther, "Approve"
	case store.Denied:
		m.activity, m.name, m.status = ocsfOther, "Deny", ocsfFailure
	case store.Cancelled:
		m.activity, m.name = ocsfOther, "Cancel"
	case store.Expired:
		m.activity, m.name, m.status = ocsfOther, "Expire", ocsfFailure
	case store.Failed:
		m.activity, m.name, m.status, m.severity = ocsfOther, "Fail", ocsfFailure, ocsfMedium
	case store.Active:
		m.activity = ocsfActivate
	case store.Revoked:
		m.activity = ocsfDeactivate
	}
}

func (m *meaning) extend(data map[string]string) {
	switch {
	case data["denied"] != "":
		m.activity, m.name, m.status, m.code = ocsfOther, "Deny", ocsfFailure, "extension denied"
	case data["approved"] != "":
		m.activity, m.name, m.code = ocsfOther, "Approve", "extension approved"
	case data["granted"] != "":
		m.code = "extension granted"
	case data["asked"] != "":
		m.code = "extension asked"
	}
}

// outcome takes for given and taken away what a listing showed to be so, or an operator vouched for. Where something is left, the end is not yet.
func (m *meaning) outcome(data map[string]string) {
	effect := data["effect"]
	m.code = cmp.Or(effect, m.code)
	switch {
	case effect == effectAssign && data["failed"] != "":
		m.class, m.activity, m.status, m.severity = ocsfAccess, ocsfAssign, ocsfFailure, ocsfMedium
	case effect == effectAssign && data["verified"] != "":
		m.class, m.activity = ocsfAccess, ocsfAssign
	case effect == effectUnassign && data["left"] == "" && (data["verified"] != "" || data["forced"] != ""), effect == effectUnexplained:
		m.class, m.activity = ocsfAccess, ocsfRevoke
	}
}

func (m meaning) activityName() string {
	switch {
	case m.name != "":
		return m.name
	case m.class == ocsfAccess && m.activity == ocsfAssign:
		return "Assign Privileges"
	case m.class == ocsfAccess:
		return "Revoke Privileges"
	case m.class == ocsfLifecycle && m.activity == ocsfStart:
		return "Start"
	case m.class == ocsfLifecycle:
		return "Stop"
	case m.activity == ocsfCreate:
		return "Create"
	case m.activity == ocsfActivate:
		return "Activate"
	case m.activity == ocsfDeactivate:
		return "Deactivate"
	}
	return "Update"
}

// entityOf is what a line is about: its request, or else what it names.
func entityOf(e store.Event) ocsfThing {
	if e.Request != "" {
		return ocsfThing{Type: "request", Name: string(e.Request), UID: string(e.Request)}
	}
	d := e.Data
	switch e.Kind {
	case store.EventPolicy:
		return ocsfThing{Type: "policy", Name: "policy", UID: d["hash"]}
	case store.EventPerson:
		return ocsfThing{Type: "person", Name: cmp.Or(d["slack"], d["is"], "person"), UID: d["is"]}
	case store.EventChannel:
		return ocsfThing{Type: "channel", Name: cmp.Or(d["name"], d["is"], d["role"], "channel"), UID: d["id"]}
	case store.EventLockdown:
		return ocsfThing{Type: "lockdown", Name: "lockdown"}
	case store.EventKey:
		return ocsfThing{Type: "key", Name: "key that signs checkpoints", UID: d["key"]}
	case store.EventArchive:
		return ocsfThing{Type: "archive", Name: cmp.Or(d["archive"], "archive")}
	case store.EventArchived:
		return ocsfThing{Type: "archive folder", Name: cmp.Or(d["folder"], "folder"), UID: d["manifest"]}
	case store.EventWitnessed:
		return ocsfThing{Type: "checkpoint", Name: "checkpoint of " + d["size"] + " lines", UID: d["root"]}
	case store.EventReview, store.EventReviewed:
		return ocsfThing{Type: "review", Name: strings.TrimSpace("review " + d["month"]), UID: d["month"]}
	case store.EventProof:
		return ocsfThing{Type: "proof", Name: cmp.Or(d["seen"], "proof")}
	case store.EventFound:
		return ocsfThing{Type: "finding", Name: cmp.Or(d["what"], "findings that stood"), UID: strings.Join(words(d["account"], d["granted"], d["who"]), "/")}
	case store.EventRefused:
		return ocsfThing{Type: "click", Name: cmp.Or(d["click"], "click")}
	case store.EventIntent, store.EventOutcome, store.EventFault:
		return affected(d)
	}
	return ocsfThing{Type: e.Kind, Name: e.Kind}
}

// affected is what an effect of no request was on.
func affected(d map[string]string) ocsfThing {
	switch d["effect"] {
	case "guard", "fence":
		at := words(d["account"], d["granted"])
		return ocsfThing{Type: d["effect"], Name: cmp.Or(strings.Join(at, "/"), d["effect"]), UID: strings.Join(at, "/")}
	case "schedule", "unschedule":
		return ocsfThing{Type: "schedule", Name: cmp.Or(d["names"], "schedules")}
	case effectUnexplained:
		return ocsfThing{Type: "access", Name: cmp.Or(strings.Join(words(d["account"], d["granted"], d["who"]), "/"), "access")}
	case "archive", "": // the faults of no request are those of the archive
		if d["folder"] != "" {
			return ocsfThing{Type: "archive folder", Name: d["folder"]}
		}
		return ocsfThing{Type: "archive", Name: "archive"}
	}
	return ocsfThing{Type: "effect", Name: d["effect"]}
}

// words are those of some strings that are not empty.
func words(all ...string) (out []string) {
	for _, s := range all {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

func userOf(a store.Actor) ocsfUser {
	switch a.Who {
	case store.APerson:
		return personOf(a.Person)
	case store.AnOfficer:
		return ocsfUser{Name: a.Label(), TypeID: 2}
	}
	return ocsfUser{Name: a.Label(), TypeID: 3}
}

func personOf(p store.Person) ocsfUser {
	return ocsfUser{Name: cmp.Or(p.UserName, p.Label()), FullName: p.Name, UID: p.UserID, Slack: p.SlackID, Email: p.Email, TypeID: 1}
}

// Effects that give and take access, as the log names them.
const (
	effectAssign      = "assign"
	effectUnassign    = "unassign"
	effectUnexplained = "remove unexplained"
)

// overKept is how many requests that are over are remembered: what is said of one follows its last move at once.
const overKept = 1000

// granted is whose access a line is about, and to what.
type granted struct {
	user             store.Person
	granted, account string // a permission set, a role or a group; no account for a group
}

// grants remembers what each open request asked for and what its intent named: the line that says what came of it names neither. Requests that are over
// are forgotten, so a log of any length takes the room of those that were open at once.
type grants struct {
	of   map[store.ID]granted
	over []store.ID
}

func newGrants() *grants { return &grants{of: map[store.ID]granted{}} }

// learn takes up what a line says. Every line of the log goes through it, in order, whatever is printed.
func (g *grants) learn(e store.Event) {
	if e.Request == "" {
		return
	}
	a := g.of[e.Request]
	switch {
	case e.Kind == store.EventSubmitted && e.Actor.Who == store.APerson:
		a.user = e.Actor.Person
	case e.Kind == store.EventIntent && e.Data["effect"] == effectAssign:
		a.granted, a.account = e.Data["granted"], e.Data["account"]
		if uid := e.Data["user"]; uid != a.user.UserID { // somebody else asked for them
			a.user = store.Person{UserID: uid}
		}
	case e.Kind == store.EventMoved && e.To.Ended():
		g.over = append(g.over, e.Request)
		if len(g.over) > overKept {
			delete(g.of, g.over[0])
			g.over = g.over[1:]
		}
		return
	default:
		return
	}
	g.of[e.Request] = a
}

// accessOf is whose access a line is about; nothing where that is not known in full.
func (g *grants) accessOf(e store.Event) granted {
	a := g.of[e.Request]
	if e.Request == "" {
		a = granted{user: store.Person{Name: e.Data["who"]}, granted: e.Data["granted"], account: e.Data["account"]}
	}
	if a.user == (store.Person{}) || a.granted == "" {
		return granted{}
	}
	return a
}
