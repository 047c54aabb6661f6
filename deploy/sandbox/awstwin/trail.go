// CloudTrail: how events come to be. They are written the moment a call is done and shown when their delay has passed,
// each in the account and Region where AWS has it: global services in us-east-1, the portal in the owner's account.

package awstwin

import (
	"encoding/json"
	"sort"
	"time"
	"unicode"
)

// trailLimit is how many events an account keeps in each Region, and an organisation's trail of all; the oldest go first.
const trailLimit = 1_000_000

// trailKept is how long LookupEvents looks back.
const trailKept = 90 * 24 * time.Hour

type trailResource struct{ Type, Name string }

// event is one CloudTrail event, kept as its parts and written out as JSON when it is looked up.
type event struct {
	id        string
	seq       uint64
	at        time.Time
	visible   time.Time // when LookupEvents begins to show it
	late      time.Duration
	who       *identity
	account   string // recipient
	region    string
	source    string
	name      string
	kind      string // AwsApiCall, AwsServiceEvent
	read      bool
	ip, ua    string
	requestID string
	shared    string // sharedEventID of the copies in two accounts
	code      string
	message   string
	input     json.RawMessage // as it was sent; written with CloudTrail's keys when the event is read
	params    json.RawMessage // in place of it, where an operation says more
	response  json.RawMessage
	details   json.RawMessage // serviceEventDetails
	resources []trailResource
	identity  map[string]any // overrides the one that who gives
	extra     map[string]any // further fields of the event
}

type trailLog struct{ events []*event } // in the order of their times

type lateness struct {
	name    string
	account string
	by      time.Duration
	left    int // negative: for good
}

type trailSettings struct {
	delay  time.Duration
	late   []*lateness
	portal string // the type of people in events of the portal
	org    *orgTrail
}

// SetTrailDelay changes how long after a call LookupEvents begins to show its event; it holds for events from now on.
func (o *Organization) SetTrailDelay(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trail.delay = d
}

// DelayEvents makes the next n events of a name (empty: any) come by more than the usual delay; a negative n: all of them from now on.
func (o *Organization) DelayEvents(name string, by time.Duration, n int) {
	o.DelayEventsIn("", name, by, n)
}

// DelayEventsIn is DelayEvents for the events of one account.
func (o *Organization) DelayEventsIn(accountID, name string, by time.Duration, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trail.late = append(o.trail.late, &lateness{name, accountID, by, n})
}

// SetPortalIdentity changes the type of people in the access portal's events: IdentityCenterUser, or Unknown, which is documented too.
func (o *Organization) SetPortalIdentity(kind string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trail.portal = kind
}

// write puts an event into its account's trail. Lock held.
func (o *Organization) write(e *event) {
	a := o.accounts[e.account]
	if a == nil {
		return
	}
	o.seq++
	e.seq = o.seq
	if e.id == "" {
		e.id = o.uuid()
	}
	if e.kind == "" {
		e.kind = "AwsApiCall"
	}
	e.visible = e.at.Add(o.trail.delay + e.late)
	for i, l := range o.trail.late {
		if (l.name == "" || l.name == e.name) && (l.account == "" || l.account == e.account) {
			e.visible = e.visible.Add(l.by)
			if l.left > 0 {
				if l.left--; l.left == 0 {
					o.trail.late = append(o.trail.late[:i:i], o.trail.late[i+1:]...)
				}
			}
			break
		}
	}
	log := a.trail[e.region]
	if log == nil {
		log = &trailLog{}
		a.trail[e.region] = log
	}
	log.add(e)
	if o.trail.org != nil {
		o.trail.org.add(e)
	}
	o.forward(e)
}

func (l *trailLog) add(e *event) {
	if len(l.events) >= trailLimit {
		l.events = append(l.events[:0], l.events[trailLimit/10:]...)
	}
	i := len(l.events)
	for i > 0 && l.events[i-1].at.After(e.at) {
		i--
	}
	l.events = append(l.events, nil)
	copy(l.events[i+1:], l.events[i:])
	l.events[i] = e
}

// recordCall writes the event of an ordinary call. Data events (objects, messages, items) are not management events.
func (o *Organization) recordCall(c *call, err *Error) {
	op := c.svc.ops[c.op]
	if op.data || op.ownTrail || c.trail.skip {
		return
	}
	e := o.eventOf(c, err)
	e.read = op.read
	if !op.read && err == nil && c.trail.response != nil {
		e.response = encoded(c.trail.response)
	}
	o.write(e)
}

// eventOf is the part that all events of a call share.
func (o *Organization) eventOf(c *call, err *Error) *event {
	e := &event{at: c.at.UTC().Truncate(time.Second), who: c.who, account: c.who.account, region: c.trailRegion(), source: c.svc.source, name: c.op,
		ip: c.ip, ua: c.ua, requestID: c.id, resources: c.trail.resources}
	if c.trail.source != "" {
		e.source = c.trail.source
	}
	if c.trail.params != nil {
		e.params = encoded(c.trail.params)
	} else {
		e.input = c.input()
	}
	if err != nil {
		e.code, e.message = trailCode(c, err), err.Message
	}
	return e
}

func (c *call) trailRegion() string {
	if c.svc.global {
		return "us-east-1"
	}
	return c.region
}

// trailCode: CloudTrail says AccessDenied for all refusals but EC2's, which it says with EC2's prefix.
func trailCode(c *call, err *Error) string {
	switch {
	case c.svc.proto == protoEC2:
		return "Client." + err.Code
	case err.Code == "AccessDeniedException":
		return "AccessDenied"
	}
	return err.Code
}

func encoded(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

// lowered writes the keys of an input as CloudTrail does: instanceArn for InstanceArn.
func lowered(in json.RawMessage) json.RawMessage {
	var v any
	if len(in) == 0 || json.Unmarshal(in, &v) != nil {
		return nil
	}
	return encoded(lower(v))
}

func lower(v any) any {
	switch t := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for k, x := range t {
			r := []rune(k)
			if len(r) > 0 {
				r[0] = unicode.ToLower(r[0])
			}
			m[string(r)] = lower(x)
		}
		return m
	case []any:
		for i := range t {
			t[i] = lower(t[i])
		}
	}
	return v
}

// recordProvision writes what Identity Center does in a member account by its service-linked role. IAM's events are in us-east-1.
func (o *Organization) recordProvision(a *account, name string, r *role) {
	o.write(&event{at: o.moment().UTC().Truncate(time.Second), account: a.id, region: "us-east-1", source: "iam.amazonaws.com", name: name,
		ip: "sso.amazonaws.com", ua: "sso.amazonaws.com", requestID: o.uuid(),
		params:    encoded(map[string]any{"roleName": r.name, "path": r.path}),
		resources: []trailResource{{"AWS::IAM::Role", r.name}},
		identity: map[string]any{"type": "AssumedRole", "accountId": a.id, "invokedBy": "sso.amazonaws.com",
			"arn": "arn:aws:sts::" + a.id + ":assumed-role/AWSServiceRoleForSSO/AWS-SSO"}})
}

// recordAssume writes AssumeRole into the caller's account and, with the same shared id, into that of the role.
func (o *Organization) recordAssume(c *call, r *role, in assumeInput, id *identity, err *Error) {
	e := o.eventOf(c, err)
	e.read, e.shared = true, o.uuid()
	e.params = encoded(map[string]any{"roleArn": in.arn, "roleSessionName": in.session, "durationSeconds": int(in.duration.Seconds())})
	e.resources = []trailResource{{"AWS::IAM::Role", in.arn}}
	if id != nil {
		e.response = encoded(map[string]any{
			"credentials":     map[string]any{"accessKeyId": id.accessKey, "expiration": id.expires.Format("Jan 2, 2006, 3:04:05 PM"), "sessionToken": id.token[:12] + "…"},
			"assumedRoleUser": map[string]any{"assumedRoleId": id.userID, "arn": id.arn}})
	}
	o.write(e)
	if r != nil && r.account != e.account && err == nil {
		other := *e
		other.id, other.account = o.uuid(), r.account
		o.write(&other)
	}
}

// TrailEvents are all events of an account, delivered or not, oldest first, as CloudTrail's JSON.
func (o *Organization) TrailEvents(accountID string) []json.RawMessage {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	a := o.accounts[accountID]
	if a == nil {
		return nil
	}
	var all []*event
	for _, log := range a.trail {
		all = append(all, log.events...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].seq < all[j].seq })
	texts := make([]json.RawMessage, len(all))
	for i, e := range all {
		texts[i] = o.render(e)
	}
	return texts
}
