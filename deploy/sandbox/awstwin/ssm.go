// Session Manager and Parameter Store. A Session Manager session is a websocket that was opened once:
// neither the end of the credentials nor a Deny closes it, only TerminateSession or its own longest duration does.

package awstwin

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ssmSession is a Session Manager session. It stays open until it is terminated or its longest duration has passed,
// whatever becomes of the credentials it was opened with.
type ssmSession struct {
	id, target, owner, document, reason string
	started, ended                      time.Time
	longest                             time.Duration // 0: none
	at                                  *regional
	preferences                         *SessionPreferences // of the moment it began
	typed                               []logLine
}

type parameter struct {
	name, value, kind string
	version           int
	modified          time.Time
}

// SSMSession is a Session Manager session as tests and the page see it.
type SSMSession struct {
	ID, Target, Owner, AccountID, Region string
	Active                               bool
	Started, Ended                       time.Time
}

// SSMSessions are the Session Manager sessions of an account, open and ended, oldest first.
func (o *Organization) SSMSessions(accountID string) []SSMSession {
	o.mu.Lock()
	defer o.mu.Unlock()
	now, all := o.cfg.Now(), []SSMSession{}
	if a := o.accounts[accountID]; a != nil {
		for region, r := range a.regions {
			for _, s := range r.sessions {
				all = append(all, SSMSession{s.id, s.target, s.owner, accountID, region, s.active(now), s.started, s.end(now)})
			}
		}
	}
	return all
}

// SetParameter puts a parameter (SecureString) into Parameter Store.
func (o *Organization) SetParameter(accountID, region, name, value string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	r := o.must(accountID).in(region)
	p := &parameter{name: name, value: value, kind: "SecureString", version: 1, modified: o.cfg.Now()}
	if old := r.parameters[name]; old != nil {
		p.version = old.version + 1
	}
	r.parameters[name] = p
}

func ssmService() *service {
	return &service{name: "ssm", scope: "ssm", target: "AmazonSSM", source: "ssm.amazonaws.com", prefix: "ssm", proto: protoJSON,
		ops: map[string]*operation{
			"StartSession":     writes(startSession).on(sessionTargets),
			"DescribeSessions": reads(describeSessions),
			"TerminateSession": writes(terminateSession).on(sessionARN),
			"ResumeSession":    writes(resumeSession).on(sessionARN),
			"GetDocument":      reads(getDocument).on(documentARN),
			"GetParameter":     reads(getParameter).on(parameterARN),
			"GetParameters":    reads(getParameters),
		}}
}

func (s *ssmSession) active(now time.Time) bool { return s.end(now).IsZero() }

func (s *ssmSession) end(now time.Time) time.Time {
	if s.ended.IsZero() && s.longest > 0 && !now.Before(s.started.Add(s.longest)) {
		return s.started.Add(s.longest)
	}
	return s.ended
}

type startInput struct {
	Target, DocumentName, Reason string
	Parameters                   map[string][]string
}

func sessionTargets(c *call) []string {
	var in startInput
	_ = c.decode(&in)
	doc := in.DocumentName
	if doc == "" {
		doc = runShell
	}
	owner := c.who.account
	if strings.HasPrefix(doc, "AWS-") {
		owner = ""
	}
	return []string{"arn:aws:ec2:" + c.region + ":" + c.who.account + ":instance/" + in.Target, "arn:aws:ssm:" + c.region + ":" + owner + ":document/" + doc}
}

// startSession: the id is the session's name and a random end, the owner the caller's STS ARN.
func startSession(c *call, in *startInput) (any, error) {
	i := c.place().instances[in.Target]
	if i == nil || i.state != "running" {
		return nil, fail("TargetNotConnected", "%s is not connected.", in.Target)
	}
	doc := in.DocumentName
	if doc == "" {
		doc = runShell
	}
	s := &ssmSession{id: c.who.name + "-" + c.org.lower(26), target: in.Target, owner: c.who.arn, document: doc, reason: in.Reason, started: c.at, at: c.place()}
	r := c.place()
	if p := r.preferences; p != nil {
		mine := *p
		s.preferences, s.longest = &mine, p.Longest
	}
	r.sessions = append(r.sessions, s)
	c.org.shells = append(c.org.shells, s)
	c.trail.response = map[string]any{"sessionId": s.id, "tokenValue": "Value hidden due to security reasons.",
		"streamUrl": "wss://ssmmessages." + c.region + ".amazonaws.com/v1/data-channel/" + s.id}
	c.trail.resources = []trailResource{{"AWS::EC2::Instance", in.Target}}
	return map[string]any{"SessionId": s.id, "TokenValue": c.org.lower(40), "StreamUrl": "wss://ssmmessages." + c.region + ".amazonaws.com/v1/data-channel/" + s.id}, nil
}

type sessionsInput struct {
	paging
	State   string
	Filters []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	SessionId string
}

// describeSessions: active ones, or those that ended in the past 30 days, newest first; 200 on a page.
func describeSessions(c *call, in *sessionsInput) (any, error) {
	if in.State != "Active" && in.State != "History" {
		return nil, invalid("state", in.State, "Member must satisfy enum value set: [Active, History]")
	}
	var all []*ssmSession
	for _, s := range c.place().sessions {
		old := !s.active(c.at) && c.at.Sub(s.end(c.at)) > 30*24*time.Hour
		if s.active(c.at) != (in.State == "Active") || old {
			continue
		}
		keep := true
		for _, f := range in.Filters {
			hit, ok := s.fits(f.Key, f.Value, c.at)
			if !ok {
				return nil, fail("InvalidFilterKey", "The specified filter key %s isn't valid.", f.Key)
			}
			keep = keep && hit
		}
		if keep {
			all = append(all, s)
		}
	}
	key := func(s *ssmSession) string { return fmt.Sprintf("%020d%s", 1<<60-s.started.UnixMilli(), s.id) }
	all, next, err := page(all, key, in.paging, 200, "sessions"+in.State, func() *Error { return fail("InvalidNextToken", "The specified token isn't valid.") })
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, s := range all {
		views = append(views, s.view(c.at))
	}
	return withNext(map[string]any{"Sessions": views}, next), nil
}

func (s *ssmSession) fits(key, value string, now time.Time) (hit, ok bool) {
	switch key {
	case "InvokedAfter", "InvokedBefore":
		t, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return false, true
		}
		return (key == "InvokedAfter") == !s.started.Before(t), true
	case "Target":
		return s.target == value, true
	case "Owner":
		return s.owner == value, true // the whole ARN: a part of it finds nothing
	case "SessionId":
		return s.id == value, true
	case "Status":
		return s.active(now) == (value == "Connected"), true
	case "AccessType":
		return value == "Standard", true
	}
	return false, false
}

func (s *ssmSession) view(now time.Time) map[string]any {
	v := map[string]any{"SessionId": s.id, "Target": s.target, "Status": "Connected", "StartDate": epoch(s.started), "Owner": s.owner,
		"DocumentName": s.document, "AccessType": "Standard"}
	if s.longest > 0 {
		v["MaxSessionDuration"] = strconv.Itoa(int(s.longest.Minutes()))
	}
	if s.reason != "" {
		v["Reason"] = s.reason
	}
	if end := s.end(now); !end.IsZero() {
		v["Status"], v["EndDate"] = "Terminated", epoch(end)
	}
	return v
}

func sessionARN(c *call) []string {
	var in sessionsInput
	_ = c.decode(&in)
	return []string{c.place().arn("ssm", "session/"+in.SessionId)}
}

func (in *sessionsInput) find(c *call) *ssmSession {
	for _, s := range c.place().sessions {
		if s.id == in.SessionId {
			return s
		}
	}
	return nil
}

// terminateSession ends a session for good; ending one that has ended is no error.
func terminateSession(c *call, in *sessionsInput) (any, error) {
	s := in.find(c)
	if s == nil {
		return nil, fail("DoesNotExistException", "Session with id %s does not exist.", in.SessionId)
	}
	if s.active(c.at) {
		s.ended = c.at
		c.org.endShells(c.at)
	}
	c.trail.response = map[string]any{"sessionId": s.id}
	return map[string]any{"SessionId": s.id}, nil
}

func resumeSession(c *call, in *sessionsInput) (any, error) {
	s := in.find(c)
	if s == nil || !s.active(c.at) {
		return nil, fail("DoesNotExistException", "Session with id %s does not exist.", in.SessionId)
	}
	return map[string]any{"SessionId": s.id, "TokenValue": c.org.lower(40)}, nil
}

type parameterInput struct {
	Name           string
	Names          []string
	WithDecryption bool
}

func parameterARN(c *call) []string {
	var in parameterInput
	_ = c.decode(&in)
	return []string{c.place().arn("ssm", "parameter/"+strings.TrimPrefix(in.Name, "/"))}
}

func (p *parameter) view(r *regional, open bool) map[string]any {
	v := p.value
	if p.kind == "SecureString" && !open {
		v = "AQICAHh" + digest(p.value) // still encrypted
	}
	return map[string]any{"Name": p.name, "Type": p.kind, "Value": v, "Version": p.version, "LastModifiedDate": epoch(p.modified),
		"ARN": r.arn("ssm", "parameter/"+strings.TrimPrefix(p.name, "/")), "DataType": "text"}
}

func getParameter(c *call, in *parameterInput) (any, error) {
	p := c.place().parameters[in.Name]
	if p == nil {
		return nil, fail("ParameterNotFound", "")
	}
	return map[string]any{"Parameter": p.view(c.place(), in.WithDecryption)}, nil
}

func getParameters(c *call, in *parameterInput) (any, error) {
	found, missing := []any{}, []string{}
	for _, n := range in.Names {
		if p := c.place().parameters[n]; p != nil {
			found = append(found, p.view(c.place(), in.WithDecryption))
		} else {
			missing = append(missing, n)
		}
	}
	return map[string]any{"Parameters": found, "InvalidParameters": missing}, nil
}
