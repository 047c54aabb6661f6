// EventBridge Scheduler: what it accepts. Strict where AWS is strict (times in the past, targets that read, roles that
// cannot be assumed or passed), because a schedule that is refused at its creation is a grant that must not be made.

package awstwin

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// schedulerService is EventBridge Scheduler.
func schedulerService() *service {
	return &service{name: "scheduler", scope: "scheduler", source: "scheduler.amazonaws.com", prefix: "scheduler", proto: protoREST, route: schedulerRoute,
		ops: map[string]*operation{
			"CreateSchedule":      onSchedule(writes(createSchedule)),
			"GetSchedule":         onSchedule(reads(getSchedule)),
			"UpdateSchedule":      onSchedule(writes(updateSchedule)),
			"DeleteSchedule":      onSchedule(writes(deleteSchedule)),
			"ListSchedules":       reads(listSchedules),
			"CreateScheduleGroup": onGroup(writes(createGroup)),
			"GetScheduleGroup":    onGroup(reads(getGroup)),
			"ListScheduleGroups":  reads(listScheduleGroups),
			"DeleteScheduleGroup": onGroup(writes(deleteGroup)),
		}}
}

func schedulerRoute(c *call) string {
	parts := strings.Split(strings.Trim(c.req.URL.EscapedPath(), "/"), "/")
	q := c.req.URL.Query()
	for _, k := range []string{"groupName", "ScheduleGroup", "NamePrefix", "NextToken", "MaxResults", "State", "clientToken"} {
		if v := q.Get(k); v != "" {
			c.vars[k] = v
		}
	}
	verbs := map[string]string{"POST": "Create", "GET": "Get", "PUT": "Update", "DELETE": "Delete"}
	switch {
	case len(parts) == 1 && parts[0] == "schedules":
		return "ListSchedules"
	case len(parts) == 1 && parts[0] == "schedule-groups":
		return "ListScheduleGroups"
	case len(parts) != 2:
		return ""
	}
	name, err := url.PathUnescape(parts[1])
	if err != nil {
		return ""
	}
	c.vars["Name"] = name
	switch parts[0] {
	case "schedules":
		return verbs[c.req.Method] + "Schedule"
	case "schedule-groups":
		return verbs[c.req.Method] + "ScheduleGroup"
	}
	return ""
}

// scheduleInput is the body of Create and Update.
type scheduleInput struct {
	ActionAfterCompletion      string `json:",omitempty"`
	ClientToken                string `json:",omitempty"`
	Description                string `json:",omitempty"`
	GroupName                  string `json:",omitempty"`
	ScheduleExpression         string
	ScheduleExpressionTimezone string `json:",omitempty"`
	State                      string `json:",omitempty"`
	FlexibleTimeWindow         *struct {
		Mode                   string
		MaximumWindowInMinutes int `json:",omitempty"`
	}
	Target *scheduleTarget
}

type scheduleTarget struct {
	Arn, RoleArn, Input string
	RetryPolicy         *struct {
		MaximumEventAgeInSeconds, MaximumRetryAttempts *int
	} `json:",omitempty"`
	DeadLetterConfig *struct{ Arn string } `json:",omitempty"`
}

// groupOf is the group that a call means: in the body for Create and Update, in the query else.
func (c *call) groupOf() string {
	var in struct{ GroupName string }
	_ = json.Unmarshal(c.body, &in)
	for _, g := range []string{in.GroupName, c.vars["groupName"], c.vars["ScheduleGroup"]} {
		if g != "" {
			return g
		}
	}
	return "default"
}

func onSchedule(op *operation) *operation {
	return op.on(func(c *call) []string {
		return []string{c.place().arn("scheduler", "schedule/"+c.groupOf()+"/"+c.vars["Name"])}
	})
}

func onGroup(op *operation) *operation {
	return op.on(func(c *call) []string { return []string{c.place().arn("scheduler", "schedule-group/"+c.vars["Name"])} })
}

func noSchedule(name string) *Error {
	return fail("ResourceNotFoundException", "Schedule %s does not exist.", name).status(404)
}

func (c *call) scheduleKey() scheduleKey {
	return scheduleKey{c.who.account, c.region, c.groupOf(), c.vars["Name"]}
}

// createSchedule: names are unique in their group; the same client token with the same input is the same call again.
func createSchedule(c *call, in *scheduleInput) (any, error) {
	key, t := c.scheduleKey(), &c.org.schedules
	if !t.hasGroup(key) {
		return nil, fail("ResourceNotFoundException", "Schedule group %s does not exist.", key.group).status(404)
	}
	if old := t.byKey[key]; old != nil {
		if in.ClientToken != "" && in.ClientToken == old.in.ClientToken {
			return map[string]any{"ScheduleArn": old.arn}, nil
		}
		return nil, fail("ConflictException", "Schedule %s already exists.", key.name).status(409)
	}
	due, err := c.readSchedule(in)
	if err != nil {
		return nil, err
	}
	s := &schedule{key: key, arn: c.place().arn("scheduler", "schedule/"+key.group+"/"+key.name), in: *in, due: due, created: c.at, modified: c.at}
	t.put(s, c.org.cfg.ScheduleLate)
	c.trail.response = map[string]any{"scheduleArn": s.arn}
	return map[string]any{"ScheduleArn": s.arn}, nil
}

func (s *schedule) view() map[string]any {
	var v map[string]any
	_ = json.Unmarshal(encoded(s.in), &v)
	delete(v, "ClientToken")
	v["Arn"], v["Name"], v["GroupName"] = s.arn, s.key.name, s.key.group
	v["CreationDate"], v["LastModificationDate"] = epoch(s.created), epoch(s.modified)
	return v
}

func getSchedule(c *call, _ *empty) (any, error) {
	s := c.org.schedules.byKey[c.scheduleKey()]
	if s == nil {
		return nil, noSchedule(c.vars["Name"])
	}
	return s.view(), nil
}

// updateSchedule replaces everything: what is left out of the input falls back to its default.
func updateSchedule(c *call, in *scheduleInput) (any, error) {
	s := c.org.schedules.byKey[c.scheduleKey()]
	if s == nil {
		return nil, noSchedule(c.vars["Name"])
	}
	due, err := c.readSchedule(in)
	if err != nil {
		return nil, err
	}
	s.in, s.due, s.modified, s.done = *in, due, c.at, false
	c.org.schedules.put(s, c.org.cfg.ScheduleLate)
	return map[string]any{"ScheduleArn": s.arn}, nil
}

func deleteSchedule(c *call, _ *empty) (any, error) {
	key := c.scheduleKey()
	if c.org.schedules.byKey[key] == nil {
		return nil, noSchedule(key.name)
	}
	delete(c.org.schedules.byKey, key)
	return empty{}, nil
}

// readSchedule validates what AWS validates, and says when the schedule fires.
func (c *call) readSchedule(in *scheduleInput) (time.Time, error) {
	no := func(format string, args ...any) (time.Time, error) {
		return time.Time{}, fail("ValidationException", format, args...)
	}
	name := c.vars["Name"]
	const chars = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_."
	if len(name) > 64 || !only(name, chars) {
		return time.Time{}, invalid("name", name, `Member must satisfy regular expression pattern: [0-9a-zA-Z-_.]+, length 1 to 64`)
	}
	for field, v := range map[*string][]string{&in.State: {"ENABLED", "DISABLED"}, &in.ActionAfterCompletion: {"NONE", "DELETE"}} {
		if *field == "" {
			*field = v[0]
		}
		if *field != v[0] && *field != v[1] {
			return no("Value '%s' failed to satisfy constraint: Member must satisfy enum value set: %v", *field, v)
		}
	}
	if in.FlexibleTimeWindow == nil || (in.FlexibleTimeWindow.Mode != "OFF" && in.FlexibleTimeWindow.Mode != "FLEXIBLE") {
		return no("FlexibleTimeWindow is missing or invalid")
	}
	if in.Target == nil {
		return no("Target is missing")
	}
	if err := in.Target.check(c); err != nil {
		return time.Time{}, err
	}
	pass := func(*call) []string { return []string{in.Target.RoleArn} }
	to := func(_ *call, ctx map[string]string) { ctx["iam:PassedToService"] = "scheduler.amazonaws.com" }
	if err := c.also("iam:PassRole", pass, to); err != nil {
		return time.Time{}, err
	}
	if in.ScheduleExpressionTimezone == "" {
		in.ScheduleExpressionTimezone = "UTC"
	}
	return c.readExpression(in)
}

func (c *call) readExpression(in *scheduleInput) (time.Time, error) {
	zone, err := time.LoadLocation(in.ScheduleExpressionTimezone)
	if err != nil {
		return time.Time{}, fail("ValidationException", "Invalid ScheduleExpressionTimezone %s.", in.ScheduleExpressionTimezone)
	}
	text, ok := strings.CutPrefix(in.ScheduleExpression, "at(")
	text, ok2 := strings.CutSuffix(text, ")")
	if !ok || !ok2 {
		if strings.HasPrefix(in.ScheduleExpression, "rate(") || strings.HasPrefix(in.ScheduleExpression, "cron(") {
			return time.Time{}, nil // accepted, and never fires here
		}
		return time.Time{}, fail("ValidationException", "Invalid Schedule Expression %s.", in.ScheduleExpression)
	}
	due, err := time.ParseInLocation("2006-01-02T15:04:05", text, zone)
	if err != nil {
		return time.Time{}, fail("ValidationException", "Invalid Schedule Expression %s.", in.ScheduleExpression)
	}
	if !due.After(c.at) {
		return time.Time{}, fail("ValidationException", "Invalid Schedule Expression %s. The schedule is in the past.", in.ScheduleExpression)
	}
	return due, nil
}

func (t *scheduleTarget) check(c *call) error {
	parts := strings.SplitN(t.RoleArn, ":", 6)
	if len(parts) != 6 || parts[2] != "iam" || !strings.HasPrefix(parts[5], "role/") {
		return invalid("target.roleArn", t.RoleArn, `Member must satisfy regular expression pattern: arn:aws[a-z-]*:iam::\d{12}:role/…`)
	}
	if parts[4] != c.who.account {
		return fail("ValidationException", "Cross-account pass role is not allowed.")
	}
	r := c.org.roleByARN(t.RoleArn)
	if r == nil || !c.org.lends(r, c.scheduleKey()) {
		return fail("ValidationException", "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")
	}
	if p := t.RetryPolicy; p != nil {
		if n := p.MaximumRetryAttempts; n != nil && (*n < 0 || *n > 185) {
			return fail("ValidationException", "MaximumRetryAttempts must be between 0 and 185")
		}
		if n := p.MaximumEventAgeInSeconds; n != nil && (*n < 60 || *n > 86400) {
			return fail("ValidationException", "MaximumEventAgeInSeconds must be between 60 and 86400")
		}
	}
	if !json.Valid([]byte(t.Input)) && t.Input != "" {
		return fail("ValidationException", "Target Input is not valid JSON")
	}
	return t.checkARN()
}

// checkARN: a universal target names a service and an API action that changes something; reading ones are not supported.
func (t *scheduleTarget) checkARN() error {
	rest, ok := strings.CutPrefix(t.Arn, "arn:aws:scheduler:::aws-sdk:")
	if !ok {
		if strings.HasPrefix(t.Arn, "arn:aws:") {
			return nil
		}
		return fail("ValidationException", "Provided Arn is not in correct format.")
	}
	service, action, ok := strings.Cut(rest, ":")
	if !ok || service == "" || action == "" || service != strings.ToLower(service) || action[0] < 'a' || action[0] > 'z' {
		return fail("ValidationException", "%s is not a supported service for a target.", rest)
	}
	for _, p := range []string{"get", "describe", "list", "poll", "receive", "search", "scan", "query", "select", "read", "lookup", "discover", "validate",
		"batchGet", "batchDescribe", "transactGet", "adminGet"} {
		if strings.HasPrefix(action, p) {
			return fail("ValidationException", "%s is not a supported API action for a target.", action)
		}
	}
	return nil
}
