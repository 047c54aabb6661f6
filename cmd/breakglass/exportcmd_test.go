package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/store"
)

// exportsForSIEM looks at a session's events of OCSF: every line is one, each has what its class requires, and access has whose, which and where.
func (o *office) exportsForSIEM(events, lines []map[string]any) {
	o.t.Helper()
	if len(events) != len(lines) {
		o.t.Errorf("%d events of %d lines", len(events), len(lines))
	}
	classes, given := map[float64]int{}, []float64{}
	for i, m := range events {
		for _, wrong := range ocsfFaults(m) {
			o.t.Errorf("%s: %v of %v", wrong, m, lines[i])
		}
		class := at(m, "class_uid").(float64)
		if classes[class]++; class != ocsfAccess {
			continue
		}
		given = append(given, m["activity_id"].(float64))
		dana := o.world.Person("dana")
		got := fmt.Sprint(at(m, "user", "uid"), at(m, "user", "email_addr"), at(m, "privileges"), at(m, "resource", "uid"), at(m, "metadata", "correlation_uid"))
		if want := fmt.Sprint(dana.AWS, "dana@forge.example", []string{"Forge-Prod-BreakGlass-EC2"}, sandbox.ProdWealth, "BG-1001"); got != want {
			o.t.Errorf("access is of %s, want %s", got, want)
		}
	}
	if !slices.Equal(given, []float64{ocsfAssign, ocsfRevoke}) || classes[ocsfEntities] == 0 || classes[ocsfLifecycle] == 0 {
		o.t.Errorf("classes of OCSF: %v, access: %v", classes, given)
	}
}

// at is what stands at a path of an object; nil where nothing does.
func at(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// ocsfFaults says what an event lacks that OCSF 1.3 requires of its class, and what it has that its class does not.
func ocsfFaults(m map[string]any) (out []string) {
	need := []string{
		"class_uid", "category_uid", "type_uid", "activity_id", "activity_name", "severity_id", "status_id", "status", "status_code", "time", "message",
		"metadata.version", "metadata.product.name", "metadata.product.vendor_name", "metadata.uid", "metadata.profiles", "actor.user.name",
	}
	of := map[float64][]string{
		ocsfEntities: {"entity", "entity.type", "entity.name"}, ocsfLifecycle: {"app", "app.name", "app.vendor_name"},
		ocsfAccess: {"user", "user.name", "privileges", "resource", "resource.type"},
	}
	class, _ := m["class_uid"].(float64)
	if of[class] == nil {
		out = append(out, fmt.Sprintf("class %v", class))
	}
	for _, path := range append(need, of[class]...) {
		if v := at(m, strings.Split(path, ".")...); v == nil || v == "" || v == 0.0 {
			out = append(out, "no "+path)
		}
	}
	for other, attributes := range of {
		if _, has := m[attributes[0]]; has && other != class {
			out = append(out, attributes[0]+" is not of this class")
		}
	}
	if p, _ := m["privileges"].([]any); slices.Contains(p, any("")) {
		out = append(out, "an empty privilege")
	}
	activity, _ := m["activity_id"].(float64)
	if m["type_uid"] != class*100+activity || m["category_uid"] != float64(int(class)/1000) {
		out = append(out, "type_uid or category_uid")
	}
	if at(m, "metadata", "version") != "1.3.0" || !slices.Contains(at(m, "metadata", "profiles").([]any), any("host")) {
		out = append(out, "metadata")
	}
	return out
}

func noon(n int) time.Time { return time.Date(2026, 11, 1, 12, 0, n, 0, time.UTC) }

func dana() store.Person {
	return store.Person{SlackID: "U1", UserID: "d-1", UserName: "dana", Email: "dana@forge.example", Name: "Dana Ruiz"}
}

// logged is a log as export reads it.
func logged(t *testing.T, events []store.Event) iter.Seq2[[]byte, error] {
	t.Helper()
	return func(yield func([]byte, error) bool) {
		for i, e := range events {
			if e.Seq, e.At = uint64(i+1), noon(i); e.Actor.Who == "" {
				e.Actor = store.Bot()
			}
			b, err := json.Marshal(e)
			if err != nil {
				t.Error(err)
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// exported is what export prints of a log; said is what it says beside.
func exported(t *testing.T, x export, events []store.Event) (lines []map[string]any, said string, err error) {
	t.Helper()
	var out, errOut bytes.Buffer
	err = x.run(logged(t, events), noon(3600), &out, &errOut)
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines = append(lines, m)
	}
	return lines, errOut.String(), err
}

// expected is a line of the log and what it is in OCSF's terms: class and activity, status, and whom or what it is about, where that is not its request.
type expected struct {
	e              store.Event
	kind, of, code string
	failed         bool
}

type data = map[string]string

type logLine = store.Event

func everyKind() []expected {
	const r, acct, theirs = store.ID("BG-1001"), "111122223333", "d-1 [Forge-EC2] AWS account 111122223333"
	by := store.Somebody(dana())
	assign := data{"effect": "assign", "user": "d-1", "granted": "Forge-EC2", "account": acct}
	return []expected{
		{e: logLine{Kind: store.EventStarted, Data: data{"version": "1.2"}}, kind: "6002 Start", of: "Breakglass 1.2"},
		{e: logLine{Kind: store.EventStarted}, kind: "6002 Start", of: "Breakglass <nil>"},
		{e: logLine{Kind: store.EventSubmitted, Request: r, Actor: by, Data: data{"state": "pending"}}, kind: "3004 Create", code: "pending"},
		{e: logLine{Kind: "asked", Request: r}, kind: "3004 Update"},
		{e: logLine{Kind: "decided", Request: r}, kind: "3004 Approve"},
		{e: logLine{Kind: store.EventMoved, Request: r, From: store.Pending, To: store.Approved}, kind: "3004 Approve", code: "approved"},
		{e: logLine{Kind: store.EventIntent, Request: r, Data: assign}, kind: "3004 Update"},
		{e: logLine{Kind: store.EventOutcome, Request: r, Data: data{"effect": "assign", "change": "c-1"}}, kind: "3004 Update", code: "assign"},
		{e: logLine{Kind: store.EventMoved, Request: r, To: store.Active}, kind: "3004 Activate", code: "active"},
		{e: logLine{Kind: store.EventOutcome, Request: r, Data: data{"effect": "assign", "verified": "present"}},
			kind: "3005 Assign Privileges", of: theirs, code: "assign"},
		{e: logLine{Kind: store.EventReminded, Request: r}, kind: "3004 Update"},
		{e: logLine{Kind: store.EventTicket, Request: r}, kind: "3004 Update"},
		{e: logLine{Kind: store.EventOwed, Request: r}, kind: "3004 Update"},
		{e: logLine{Kind: store.EventRepeated}, kind: "3004 Update", of: "repeated repeated"},
		{e: logLine{Kind: store.EventExtension, Request: r, Data: data{"asked": "1h"}}, kind: "3004 Update", code: "extension asked"},
		{e: logLine{Kind: store.EventExtension, Request: r, Data: data{"approved": "d-2"}}, kind: "3004 Approve", code: "extension approved"},
		{e: logLine{Kind: store.EventExtension, Request: r, Data: data{"granted": "true"}}, kind: "3004 Update", code: "extension granted"},
		{e: logLine{Kind: store.EventExtension, Request: r, Data: data{"denied": "true"}}, kind: "3004 Deny", code: "extension denied", failed: true},
		{e: logLine{Kind: store.EventRefused, Request: r, Data: data{"code": "twice", "click": "approve"}}, kind: "3004 Update", code: "twice", failed: true},
		{e: logLine{Kind: store.EventRefused, Data: data{"click": "lockdown"}}, kind: "3004 Update", of: "click lockdown", failed: true},
		{e: logLine{Kind: store.EventIntent, Request: r, Data: data{"effect": "unassign", "why": "expired"}}, kind: "3004 Update"},
		{e: logLine{Kind: store.EventFault, Request: r, Data: data{"error": "no answer"}}, kind: "3004 Update", failed: true},
		{e: logLine{Kind: store.EventFault, Data: data{"error": "no answer", "waiting": "3"}}, kind: "3004 Update", of: "archive archive", failed: true},
		{e: logLine{Kind: store.EventOutcome, Request: r, Data: data{"effect": "unassign", "verified": "absent", "left": "shells"}},
			kind: "3004 Update", code: "unassign"},
		{e: logLine{Kind: store.EventMoved, Request: r, To: store.Revoked}, kind: "3004 Deactivate", code: "revoked"},
		{e: logLine{Kind: store.EventOutcome, Request: r, Data: data{"effect": "unassign", "verified": "absent"}},
			kind: "3005 Revoke Privileges", of: theirs, code: "unassign"},
		{e: logLine{Kind: store.EventOutcome, Request: r, Data: data{"effect": "unassign", "forced": "I looked"}},
			kind: "3005 Revoke Privileges", of: theirs, code: "unassign"},
		{e: logLine{Kind: store.EventOutcome, Request: r, Data: data{"effect": "unassign", "shared": "BG-1002"}}, kind: "3004 Update", code: "unassign"},
		{e: logLine{Kind: store.EventArchived, Request: r, Data: data{"folder": "f"}}, kind: "3004 Create"},
		{e: logLine{Kind: store.EventArchived, Data: data{"folder": "reviews/2026-10"}}, kind: "3004 Create", of: "archive folder reviews/2026-10"},
		{e: logLine{Kind: store.EventMoved, Request: r, To: store.Closed}, kind: "3004 Update", code: "closed"},
		{e: logLine{Kind: store.EventMoved, Request: "BG-1002", To: store.Denied}, kind: "3004 Deny", code: "denied", failed: true},
		{e: logLine{Kind: store.EventMoved, Request: "BG-1003", To: store.Cancelled}, kind: "3004 Cancel", code: "cancelled"},
		{e: logLine{Kind: store.EventMoved, Request: "BG-1004", To: store.Expired}, kind: "3004 Expire", code: "expired", failed: true},
		{e: logLine{Kind: store.EventOutcome, Request: "BG-1005", Data: data{"effect": "assign", "failed": "no"}},
			kind: "3004 Update", code: "assign", failed: true},
		{e: logLine{Kind: store.EventIntent, Request: "BG-1006", Data: data{"effect": "assign", "user": "d-2", "granted": "Operators"}}, kind: "3004 Update"},
		{e: logLine{Kind: store.EventMoved, Request: "BG-1006", To: store.Failed}, kind: "3004 Fail", code: "failed", failed: true},
		{e: logLine{Kind: store.EventOutcome, Request: "BG-1006", Data: data{"effect": "assign", "failed": "AWS did not"}},
			kind: "3005 Assign Privileges", of: "d-2 [Operators] group <nil>", code: "assign", failed: true},
		{e: logLine{Kind: store.EventIntent, Data: data{"effect": "guard", "account": acct, "granted": "Forge-EC2"}},
			kind: "3004 Update", of: "guard 111122223333/Forge-EC2"},
		{e: logLine{Kind: store.EventOutcome, Data: data{"effect": "fence", "account": acct}}, kind: "3004 Update", of: "fence 111122223333", code: "fence"},
		{e: logLine{Kind: store.EventIntent, Data: data{"effect": "unschedule", "names": "end-1"}}, kind: "3004 Update", of: "schedule end-1"},
		{e: logLine{Kind: store.EventOutcome, Data: data{"effect": "read the permission sets"}},
			kind: "3004 Update", of: "effect read the permission sets", code: "read the permission sets"},
		{e: logLine{Kind: store.EventOutcome, Data: data{"effect": "remove unexplained", "account": acct, "granted": "Admin", "who": "mallory"}},
			kind: "3005 Revoke Privileges", of: "<nil> [Admin] AWS account 111122223333", code: "remove unexplained"},
		{e: logLine{Kind: store.EventPolicy, Data: data{"hash": "abc"}}, kind: "3004 Update", of: "policy policy"},
		{e: logLine{Kind: store.EventPerson, Data: data{"slack": "U1", "is": "d-1"}}, kind: "3004 Update", of: "person U1"},
		{e: logLine{Kind: store.EventPerson, Data: data{"slack": "U1", "was": "d-1", "is": "d-2", "refused": "changed"}},
			kind: "3004 Update", of: "person U1", failed: true},
		{e: logLine{Kind: store.EventChannel, Data: data{"role": "requests", "name": "help", "id": "C1"}}, kind: "3004 Update", of: "channel help"},
		{e: logLine{Kind: store.EventLockdown, Data: data{"lockdown": "in force"}}, kind: "3004 Activate", of: "lockdown lockdown"},
		{e: logLine{Kind: store.EventLockdown, Data: data{"lockdown": "lifted"}}, kind: "3004 Deactivate", of: "lockdown lockdown"},
		{e: logLine{Kind: store.EventFound, Data: data{"what": "unexplained access"}}, kind: "3004 Create", of: "finding unexplained access"},
		{e: logLine{Kind: store.EventFound, Data: data{"gone": "1"}}, kind: "3004 Update", of: "finding findings that stood"},
		{e: logLine{Kind: store.EventProof, Data: data{"seen": "guard"}}, kind: "3004 Create", of: "proof guard"},
		{e: logLine{Kind: store.EventArchive, Data: data{"archive": "file:x"}}, kind: "3004 Update", of: "archive file:x"},
		{e: logLine{Kind: store.EventKey, Data: data{"key": "k"}}, kind: "3004 Create", of: "key key that signs checkpoints"},
		{e: logLine{Kind: store.EventWitnessed, Data: data{"size": "9", "root": "r"}}, kind: "3004 Create", of: "checkpoint checkpoint of 9 lines"},
		{e: logLine{Kind: store.EventReview, Data: data{"month": "2026-10"}}, kind: "3004 Create", of: "review review 2026-10"},
		{e: logLine{Kind: store.EventReviewed, Actor: by, Data: data{"month": "2026-10"}}, kind: "3004 Update", of: "review review 2026-10"},
		{e: logLine{Kind: "of a later version", Actor: store.Officer("root")}, kind: "3004 Update", of: "of a later version of a later version"},
		{e: logLine{Kind: store.EventStopped}, kind: "6002 Stop", of: "Breakglass <nil>"},
	}
}

// TestExportOCSF has a line of every kind of the store's become an event.
func TestExportOCSF(t *testing.T) {
	t.Parallel()
	var events []store.Event
	has := map[string]bool{}
	all := everyKind()
	for _, x := range all {
		events, has[x.e.Kind] = append(events, x.e), true
	}
	for _, kind := range storeKinds(t) {
		if !has[kind] {
			t.Errorf("no line of kind %q is tried", kind)
		}
	}
	lines, said, err := exported(t, export{format: "ocsf"}, events)
	if err != nil || said != "" || len(lines) != len(all) {
		t.Fatalf("%d events of %d lines: %v %s", len(lines), len(all), err, said)
	}
	for i, m := range lines {
		x := all[i]
		for _, wrong := range ocsfFaults(m) {
			t.Errorf("%s %v: %s", x.e.Kind, x.e.Data, wrong)
		}
		of := fmt.Sprint(at(m, "entity", "type"), " ", at(m, "entity", "name"))
		switch m["class_uid"] {
		case float64(ocsfAccess):
			of = fmt.Sprint(at(m, "user", "uid"), " ", at(m, "privileges"), " ", at(m, "resource", "type"), " ", at(m, "resource", "uid"))
		case float64(ocsfLifecycle):
			of = fmt.Sprint(at(m, "app", "name"), " ", at(m, "app", "version"))
		}
		status := map[bool]string{false: "1 Success", true: "2 Failure"}[x.failed]
		got := fmt.Sprint(m["class_uid"], " ", m["activity_name"], ": ", of, ", ", m["status_id"], " ", m["status"], " ", m["status_code"])
		if want := fmt.Sprint(x.kind, ": ", cmp.Or(x.of, "request "+string(x.e.Request)), ", ", status, " ", cmp.Or(x.code, x.e.Kind)); got != want {
			t.Errorf("%s %v:\n got %s\nwant %s", x.e.Kind, x.e.Data, got, want)
		}
		if m["time"] != float64(noon(i).UnixMilli()) {
			t.Errorf("%s: time %v", x.e.Kind, m["time"])
		}
	}
}

// storeKinds are the kinds of events that the store names.
func storeKinds(t *testing.T) (out []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../store/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Names) == 1 && strings.HasPrefix(v.Names[0].Name, "Event") {
			kind, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Error(err)
			}
			out = append(out, kind)
		}
		return true
	})
	if len(out) < 25 {
		t.Errorf("the store has the kinds %v alone", out)
	}
	return out
}

// TestExportRemembers has more sessions end than are remembered, while one goes on.
func TestExportRemembers(t *testing.T) {
	t.Parallel()
	g := newGrants()
	open := func(id store.ID) {
		g.learn(store.Event{Kind: store.EventSubmitted, Request: id, Actor: store.Somebody(dana())})
		g.learn(store.Event{Kind: store.EventIntent, Request: id, Data: data{"effect": "assign", "user": "d-1", "granted": string("set of " + id), "account": "1"}})
	}
	open("BG-1")
	for n := range 5 * overKept {
		id := store.ID(fmt.Sprintf("BG-%d", n+2))
		open(id)
		g.learn(store.Event{Kind: store.EventMoved, Request: id, To: store.Closed})
	}
	if len(g.of) != overKept+1 || len(g.over) != overKept {
		t.Errorf("%d requests are remembered, %d of them over", len(g.of), len(g.over))
	}
	x := g.event(store.Event{Kind: store.EventOutcome, Request: "BG-1", Data: data{"effect": "unassign", "verified": "absent"}})
	if x.ClassUID != ocsfAccess || x.User.Email != "dana@forge.example" || x.Privileges[0] != "set of BG-1" {
		t.Errorf("%+v", x)
	}
}

// TestExportFilters asks for what is not there: nothing is printed, and it is said why.
func TestExportFilters(t *testing.T) {
	t.Parallel()
	log := []store.Event{{Kind: store.EventStarted}, {Kind: store.EventSubmitted, Request: "BG-1001", Actor: store.Somebody(dana())}}
	for name, x := range map[string]struct {
		export
		log   []store.Event
		lines int
		said  string
		usage string
	}{
		"all":         {log: log, lines: 2},
		"a session":   {export: export{session: "1001"}, log: log, lines: 1},
		"a user":      {export: export{user: "Dana@forge.example"}, log: log, lines: 1},
		"nothing yet": {said: "no line matches at all; the log has no line yet"},
		"an unknown session": {export: export{session: "BG-9999"}, log: log,
			usage: "there is no request BG-9999: no line matches; the log has 2 lines from 2026-11-01 12:00 UTC to 2026-11-01 12:00 UTC"},
		"an unknown user":      {export: export{user: "d\x1bana"}, log: log, said: "no line matches --user d?ana; the log has 2 lines from 2026-11-01 12:00 UTC to"},
		"later than the log":   {export: export{since: "30m"}, log: log, said: "no line matches --since 30m; the log has 2 lines"},
		"a session, and later": {export: export{since: "30m", session: "BG-1001"}, log: log, said: "no line matches --since 30m --session BG-1001;"},
		"a later date":         {export: export{since: "2026-11-02"}, log: log, usage: "in the future: it is 2026-11-01 13:00 UTC now"},
		"a later time":         {export: export{since: "2026-11-01T13:00:01Z"}, log: log, usage: "in the future"},
		"no time":              {export: export{since: "yesterday"}, log: log, usage: "--since is \"yesterday\""},
		"a time to come":       {export: export{since: "-1h"}, log: log, usage: "--since is \"-1h\""},
	} {
		for _, x.format = range []string{"json", "ocsf"} {
			lines, said, err := exported(t, x.export, x.log)
			if x.usage != "" {
				var usage usageError
				if !errors.As(err, &usage) || !strings.Contains(err.Error(), x.usage) {
					t.Errorf("%s: %v", name, err)
				}
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if len(lines) != x.lines || !strings.HasPrefix(said, x.said) || x.said == "" && said != "" {
				t.Errorf("%s: %d lines, said %q", name, len(lines), said)
			}
		}
	}
}
