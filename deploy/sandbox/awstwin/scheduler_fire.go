// EventBridge Scheduler: what happens at the time. A schedule calls its target in its own account and Region as its own role;
// "accepted" is success to it, and what an asynchronous API does afterwards it never learns.

package awstwin

import (
	"container/heap"
	"encoding/json"
	"strings"
	"time"

	"breakglass/deploy/sandbox/awstwin/iam"
)

type scheduleKey struct{ account, region, group, name string }

type schedule struct {
	key               scheduleKey
	arn               string
	in                scheduleInput
	due               time.Time // zero: a kind that never fires here
	created, modified time.Time
	done              bool
	tries             int
}

type scheduleGroup struct {
	arn     string
	created time.Time
}

// scheduleTable keeps the schedules and a queue of their times. An entry of the queue that no longer fits its schedule
// (deleted, updated) is thrown away when it comes up.
type scheduleTable struct {
	byKey  map[scheduleKey]*schedule
	groups map[scheduleKey]*scheduleGroup
	queue  scheduleQueue
	fired  []Firing
	seq    int
}

type scheduleEntry struct {
	at  time.Time
	seq int
	s   *schedule
}

type scheduleQueue []scheduleEntry

func (q scheduleQueue) Len() int { return len(q) }
func (q scheduleQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].seq < q[j].seq
	}
	return q[i].at.Before(q[j].at)
}
func (q scheduleQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push and Pop are heap.Interface's.
func (q *scheduleQueue) Push(x any) { *q = append(*q, x.(scheduleEntry)) }

// Pop takes the last element, as heap.Interface wants it.
func (q *scheduleQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

func newScheduleTable() scheduleTable {
	return scheduleTable{byKey: map[scheduleKey]*schedule{}, groups: map[scheduleKey]*scheduleGroup{}}
}

// put keeps a schedule, to be fired so much after its time.
func (t *scheduleTable) put(s *schedule, late time.Duration) {
	t.byKey[s.key] = s
	if !s.due.IsZero() {
		t.enqueue(s, s.due.Add(late))
	}
}

func (t *scheduleTable) enqueue(s *schedule, at time.Time) {
	t.seq++
	heap.Push(&t.queue, scheduleEntry{at, t.seq, s})
}

func (t *scheduleTable) hasGroup(k scheduleKey) bool {
	k.name = ""
	return k.group == "default" || t.groups[k] != nil
}

// nextDue is the schedule that fires next, if its time has come. It stays in the queue until fire takes it: something
// else may be due before it.
func (t *scheduleTable) nextDue(now time.Time) (*schedule, time.Time) {
	for len(t.queue) > 0 {
		e := t.queue[0]
		stale := t.byKey[e.s.key] != e.s || e.s.done || e.s.due.IsZero() || e.at.Before(e.s.due)
		switch {
		case stale:
			heap.Pop(&t.queue)
		case e.at.After(now):
			return nil, time.Time{}
		default:
			return e.s, e.at
		}
	}
	return nil, time.Time{}
}

// fire calls a schedule's target as the schedule's role, in the schedule's account and Region. What the API accepted counts
// as done, though Identity Center may fail it later: the trap of asynchronous calls. What it throttled or found in
// conflict is tried again within the retry policy; the rest goes to the dead-letter queue.
func (o *Organization) fire(s *schedule, at time.Time) {
	heap.Pop(&o.schedules.queue)
	if s.in.State == "DISABLED" {
		s.done = true
		return
	}
	err := o.callTarget(s, at)
	f := Firing{At: at, Name: s.key.name, Target: s.in.Target.Arn, Final: true}
	if err != nil {
		f.Error = err.Code
	}
	if retryable(err) && s.tries < s.attempts() && at.Sub(s.due) < s.maxAge() {
		s.tries++
		o.schedules.enqueue(s, at.Add(min(time.Minute*time.Duration(s.tries), 10*time.Minute)))
		f.Final = false
		o.schedules.fired = append(o.schedules.fired, f)
		return
	}
	o.schedules.fired = append(o.schedules.fired, f)
	if err != nil {
		o.deadLetter(s, err, at)
	}
	s.done = true
	if s.in.ActionAfterCompletion == "DELETE" {
		delete(o.schedules.byKey, s.key)
	}
}

func (s *schedule) attempts() int {
	if p := s.in.Target.RetryPolicy; p != nil && p.MaximumRetryAttempts != nil {
		return *p.MaximumRetryAttempts
	}
	return 185
}

func (s *schedule) maxAge() time.Duration {
	if p := s.in.Target.RetryPolicy; p != nil && p.MaximumEventAgeInSeconds != nil {
		return time.Duration(*p.MaximumEventAgeInSeconds) * time.Second
	}
	return 24 * time.Hour
}

func retryable(err *Error) bool {
	if err == nil {
		return false
	}
	return err.Status >= 500 || err.Code == "ThrottlingException" || err.Code == "ConflictException"
}

func (o *Organization) callTarget(s *schedule, at time.Time) *Error {
	rest := strings.TrimPrefix(s.in.Target.Arn, "arn:aws:scheduler:::aws-sdk:")
	svcName, action, _ := strings.Cut(rest, ":")
	name := map[string]string{"ssoadmin": "sso-admin", "identitystore": "identitystore", "iam": "iam", "sqs": "sqs"}[svcName]
	svc := o.services[name]
	if svc == nil || action == "" {
		return fail("UnsupportedTarget", "the twin cannot call %s", s.in.Target.Arn)
	}
	r := o.roleByARN(s.in.Target.RoleArn)
	if r == nil || !o.lends(r, s.key) {
		return fail("AccessDenied", "the role of the schedule cannot be assumed").status(403)
	}
	session := "scheduler-" + digest(s.arn)
	who := &identity{kind: kindAssumedRole, account: s.key.account, role: r, arn: r.sessionARN(session), userID: r.id + ":" + session, name: session,
		issued: at, token: "scheduler", accessKey: o.unique("ASIA")}
	c := &call{org: o, at: at, who: who, svc: svc, op: strings.ToUpper(action[:1]) + action[1:], region: s.key.region, id: o.uuid(),
		body: []byte(s.in.Target.Input), vars: map[string]string{}, ip: "scheduler.amazonaws.com", ua: "scheduler.amazonaws.com"}
	if svc.ops[c.op] == nil {
		return fail("UnsupportedTarget", "the twin cannot call %s", s.in.Target.Arn)
	}
	if isQuery(svc.proto) {
		var params map[string]any
		_ = json.Unmarshal(c.body, &params)
		c.form = flat(params, svc.proto)
	}
	if e := o.standing(c); e != nil {
		return e
	}
	_, err := o.perform(c)
	o.log(c, asError(err))
	return asError(err)
}

// standing lets an outage of a service hit schedules too. Faults queued for the next call are meant for the bot's.
func (o *Organization) standing(c *call) *Error {
	for _, name := range []string{"", c.svc.name} {
		if _, on := o.faults.outage[name]; on {
			return coded("ServiceUnavailable")
		}
	}
	return nil
}

// lends says whether a role lets Scheduler assume it for a schedule's group, which is what aws:SourceArn names then ("Confused deputy
// prevention", Scheduler user guide).
func (o *Organization) lends(r *role, k scheduleKey) bool {
	ctx := iam.Context{}
	ctx.Set("aws:SourceAccount", k.account)
	ctx.Set("aws:SourceArn", "arn:aws:scheduler:"+k.region+":"+k.account+":schedule-group/"+k.group)
	return iam.DecideResource(iam.Request{Action: "sts:AssumeRole", Resource: r.arn, Context: ctx,
		Principal: iam.Principal{Service: "scheduler.amazonaws.com"}}, r.trustDoc(o.moment(), o.cfg.IAMLag)).Allowed
}

// deadLetter puts what could not be delivered into the schedule's queue, where it has one.
func (o *Organization) deadLetter(s *schedule, err *Error, at time.Time) {
	d := s.in.Target.DeadLetterConfig
	if d == nil {
		return
	}
	if q := o.queueByARN(d.Arn); q != nil {
		q.send(o, s.in.Target.Input, map[string]string{"ERROR_CODE": err.Code, "ERROR_MESSAGE": err.Message, "SCHEDULE_ARN": s.arn}, at, 0)
	}
}
