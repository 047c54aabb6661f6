package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/store"
	"breakglass/workflows/policy"
)

// The wire: every call passes here on its way to the twins. What the product promised to have written before it acts is looked for in its store at the
// very moment the call arrives; this is also where faults and kills meet the calls they were drawn for.

// wired is a call that arrived.
type wired struct {
	at    time.Time
	op    string
	tuple store.Tuple
}

// trap is a fault that waits for its call.
type trap struct {
	op    string
	how   string
	after time.Duration // of a kill: how long nobody starts it again
	left  int
}

// The faults of a call.
const (
	trapKillBefore = "killed before it arrives"
	trapKillAfter  = "killed after it took effect"
	trapDrop       = "takes effect, connection cut"
	trapStall      = "takes effect, never answered"
	trapHang       = "neither done nor answered"
)

// pause is a stretch of time in which AWS, or the program, did not answer: what was due then may come after it.
type pause struct {
	from, to time.Time
	why      string
	guard    bool // only IAM failed: what was due in a guard comes with the next try
}

func (h *history) suspend(from, to time.Time, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pauses = append(h.pauses, pause{from: from, to: to, why: why})
}

// spring takes the trap that waits for this call. While Slack or AWS is away it is left: the twins would keep the fault for a later call.
func (h *history) spring(op string) *trap {
	if h.away.Load() > 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, t := range h.traps {
		if t.op != op && t.op != "*" {
			continue
		}
		if t.left--; t.left <= 0 {
			h.traps = slices.Delete(h.traps, i, i+1)
		}
		return t
	}
	return nil
}

func (h *history) awsWire(twin http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		run := h.cur.Load()
		op := operationOf(r, body)
		if run == nil || run.shut.Load() {
			twin.ServeHTTP(w, r) // it was on its way when its sender died
			return
		}
		h.arrived(run, op, body)
		t := h.spring(op)
		if t == nil {
			twin.ServeHTTP(w, r)
			return
		}
		h.count("faults met")
		h.say("%s: %s", op, t.how)
		service, _, _ := strings.Cut(serviceOf(r), "/")
		switch t.how {
		case trapKillBefore:
			run.after = t.after
			h.kill(run, "before "+op)
			panic(http.ErrAbortHandler)
		case trapKillAfter:
			twin.ServeHTTP(httptest.NewRecorder(), r)
			run.after = t.after
			h.kill(run, "after "+op)
			panic(http.ErrAbortHandler)
		case trapDrop:
			h.world.AWS.DropReplyNext(service, op, 1)
		case trapStall, trapHang:
			now := time.Now()
			h.suspend(now, now.Add(answerPatience), op+" "+t.how)
			if t.how == trapStall {
				h.world.AWS.StallReplyNext(service, op, 1)
			} else {
				h.world.AWS.HangNext(service, op)
			}
		default:
			if strings.Contains(op, "PolicyVersion") {
				h.mu.Lock()
				h.pauses = append(h.pauses, pause{from: time.Now(), to: time.Now().Add(time.Second), why: op + " " + t.how, guard: true})
				h.mu.Unlock()
			}
			h.world.AWS.FailNext(service, op, t.how, 1)
		}
		twin.ServeHTTP(w, r)
	})
}

// answerPatience is how long the product waits for one answer of AWS's at most.
const answerPatience = 31 * time.Second

// operationOf names a call of AWS's by its operation; for those found by path, by verb and path.
func operationOf(r *http.Request, body []byte) string {
	if t := r.Header.Get("X-Amz-Target"); t != "" {
		return t[strings.LastIndexByte(t, '.')+1:]
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
			return form.Get("Action")
		}
	}
	if strings.HasPrefix(r.URL.Path, "/schedules/") {
		return map[string]string{http.MethodPost: "CreateSchedule", http.MethodPut: "UpdateSchedule", http.MethodDelete: "DeleteSchedule", http.MethodGet: "GetSchedule"}[r.Method]
	}
	return r.Method + " " + r.URL.Path
}

// serviceOf is a service as the twin's fault switches name it.
func serviceOf(r *http.Request) string {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case strings.HasPrefix(target, "SWBExternalService"):
		return "sso-admin"
	case strings.Contains(target, "IdentityStore"):
		return "identitystore"
	}
	return ""
}

// arrived is a call of the program's that has reached AWS: nothing may be changed there that the store does not know of by now.
func (h *history) arrived(run *flight, op string, body []byte) {
	if op != "CreateAccountAssignment" && op != "DeleteAccountAssignment" {
		return
	}
	var in struct{ TargetId, PermissionSetArn, PrincipalType, PrincipalId string }
	if json.Unmarshal(body, &in) != nil || in.PrincipalType != "USER" {
		h.fault("%s of %s", op, body)
		return
	}
	t := store.Tuple{UserID: in.PrincipalId, Account: in.TargetId, Set: h.setName(in.PermissionSetArn)}
	h.mu.Lock()
	h.wires = append(h.wires, wired{time.Now(), op, t})
	h.mu.Unlock()
	h.count(op)
	db, done := h.readable(run)
	if db == nil {
		return
	}
	defer done()
	a, _, err := db.Access(t)
	if err != nil {
		h.fault("%s: %v", op, err)
		return
	}
	if op == "CreateAccountAssignment" {
		h.mayCreate(db, t, a)
		return
	}
	switch {
	case a.Standing:
		h.fault("standing access of %s is being deleted", h.name(t))
	case len(a.Live) > 0:
		h.fault("access of %s is being deleted while %v needs it", h.name(t), a.Live)
	case a.Removing == "":
		h.fault("access of %s is being deleted and the store does not say that it is", h.name(t))
	}
}

// mayCreate: the intent, the end and the words of people are in the store before the call.
func (h *history) mayCreate(db *store.DB, t store.Tuple, a store.Access) {
	if r, err := db.Request(a.Removing); err == nil && r.State == store.Revoking && r.VerifiedAt.IsZero() {
		h.count("created while ending") // it was on its way when its end began: the removal looks until nothing more can come true
		return
	}
	for _, id := range a.Live {
		r, err := db.Request(id)
		if err != nil {
			h.fault("read %s: %v", id, err)
			return
		}
		if r.State != store.Granting {
			continue
		}
		if at, set := r.At(store.ClockEnd); !set || at.After(r.ExpiresAt) {
			h.fault("%s is being granted and nothing would ever end it", id)
		}
		if r.Standing {
			h.fault("%s is being granted although %s had it before", id, h.name(t))
		}
		if why := h.judge(r); why != "" {
			h.fault("%s is being granted: %s", id, why)
		}
		if l, on, err := db.Lockdown(); err == nil && on && r.GrantedAt.After(l.At) {
			h.fault("%s is being granted in a lockdown", id)
		}
		h.endsStand(r, a)
		return
	}
	h.fault("access of %s is being created and no request in the store says so (live: %v)", h.name(t), a.Live)
}

// endsStand: the guard and the dead man's schedules are there before the access.
func (h *history) endsStand(r store.Request, a store.Access) {
	h.count("created after its ends")
	if a.Lined && r.Guard == policy.GuardClosed {
		if doc := h.world.AWS.Policy(r.Account.ID, sandbox.Guard(r.PermissionSet)); !strings.Contains(doc, r.Requester.UserID) {
			h.fault("%s is being granted and its guard has no line for it: %s", r.ID, doc)
		}
	}
	there := h.world.AWS.ScheduleNames()
	if len(a.Schedules) == 0 {
		h.fault("%s is being granted and no schedule would end it", r.ID)
	}
	for _, s := range a.Schedules {
		if s.At.After(h.clock.now()) && s.At.After(time.Now()) && !slices.ContainsFunc(there, func(n string) bool { return strings.HasSuffix(n, "/"+s.Name) }) {
			h.fault("%s is being granted and schedule %s does not stand", r.ID, s.Name)
		}
	}
}

// readable is the store of a run, also before it has met Slack.
func (h *history) readable(run *flight) (db *store.DB, done func()) {
	if p := run.p.Load(); p != nil {
		return p.db, func() {}
	}
	return nil, nil
}

func (h *history) slackWire(twin http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := strings.TrimPrefix(r.URL.Path, "/api/")
		run := h.cur.Load()
		if run == nil || run.shut.Load() || r.Header.Get("Upgrade") != "" {
			twin.ServeHTTP(w, r)
			return
		}
		if method == "chat.postMessage" || method == "chat.update" {
			h.spoken(run, method)
		}
		t := h.spring(method)
		if t == nil {
			twin.ServeHTTP(w, r)
			return
		}
		h.count("faults met")
		h.say("%s: %s", method, t.how)
		if t.how == trapKillAfter {
			twin.ServeHTTP(httptest.NewRecorder(), r)
			run.after = t.after
			h.kill(run, "after "+method)
			panic(http.ErrAbortHandler)
		}
		h.world.Slack.FailNext(method, t.how, 1)
		twin.ServeHTTP(w, r)
	})
}

// spoken: what is said stands in the outbox, and that it was begun is written. Answers to a click that was not even recorded (handlers.tell) go
// to the person alone, by chat.postEphemeral where there is a channel.
func (h *history) spoken(run *flight, method string) {
	p := run.p.Load()
	if p == nil {
		return
	}
	notices, err := p.db.Notices(0, 10_000)
	if err != nil {
		h.fault("read the outbox: %v", err)
		return
	}
	for _, n := range notices {
		if n.Attempts > 0 {
			return
		}
	}
	h.fault("%s, and nothing in the outbox was begun", method)
}
