// EventBridge, as far as a bot that is told of events through a queue sees it: CloudTrail events that match a rule's pattern
// arrive in SQS. Delivery is best effort in AWS; here it is late at most (Rule.Delay).

package awstwin

import (
	"encoding/json"
	"strings"
	"time"
)

// Rule forwards CloudTrail events to a queue, as an EventBridge rule with an SQS target does.
type Rule struct {
	Pattern  string // an event pattern, JSON
	QueueARN string // in the rule's Region, in any account: AWS takes targets across accounts, not across Regions
	// ReadOnly is the state ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS. Without it (plain ENABLED) read-only events are
	// dropped, AssumeRoleWithSAML and GetRoleCredentials among them.
	ReadOnly bool
	// Delay is how long after the call the message can be received. EventBridge gives no figure; seconds, at best effort.
	Delay time.Duration
}

type rule struct {
	Rule
	account, region string
	pattern         map[string]any
}

// AddRule puts a rule on the default bus of an account and Region. A malformed pattern, or a queue in another Region, panics:
// it is a mistake of the test's author.
func (o *Organization) AddRule(accountID, region string, r Rule) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	x := rule{Rule: r, account: accountID, region: region}
	if err := json.Unmarshal([]byte(r.Pattern), &x.pattern); err != nil {
		panic("awstwin: event pattern: " + err.Error())
	}
	if p := strings.SplitN(r.QueueARN, ":", 6); len(p) != 6 || p[3] != region {
		panic("awstwin: the target of a rule must be a queue in the rule's Region")
	}
	o.rules = append(o.rules, x)
}

// forward gives a new event to the rules of its account and Region. Lock held.
func (o *Organization) forward(e *event) {
	var text []byte
	var envelope map[string]any
	for _, r := range o.rules {
		if r.account != e.account || r.region != e.region || (e.read && !r.ReadOnly) {
			continue
		}
		if envelope == nil {
			text = encoded(o.envelope(e))
			_ = json.Unmarshal(text, &envelope)
		}
		if q := o.queueByARN(r.QueueARN); q != nil && matchPattern(r.pattern, envelope) {
			q.send(o, string(text), nil, e.at, r.Delay)
		}
	}
}

func (o *Organization) envelope(e *event) map[string]any {
	kind := map[string]string{"AwsApiCall": "AWS API Call via CloudTrail", "AwsServiceEvent": "AWS Service Event via CloudTrail",
		"AwsConsoleSignIn": "AWS Console Sign In via CloudTrail"}[e.kind]
	return map[string]any{"version": "0", "id": o.uuid(), "detail-type": kind, "source": "aws." + strings.TrimSuffix(e.source, ".amazonaws.com"),
		"account": e.account, "time": e.at.UTC().Format(time.RFC3339), "region": e.region, "resources": []any{}, "detail": o.render(e)}
}

// matchPattern: every field of a pattern must match; $or is met by one of its patterns.
func matchPattern(pattern map[string]any, event map[string]any) bool {
	for field, want := range pattern {
		if field == "$or" {
			if !anyPattern(want, event) {
				return false
			}
			continue
		}
		have, present := event[field]
		switch w := want.(type) {
		case map[string]any:
			inner, _ := have.(map[string]any) // an absent object is an empty one, so that exists:false can hold below it
			if !matchPattern(w, inner) {
				return false
			}
		case []any:
			if !matchField(w, have, present) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func anyPattern(patterns any, event map[string]any) bool {
	list, _ := patterns.([]any)
	for _, p := range list {
		if m, ok := p.(map[string]any); ok && matchPattern(m, event) {
			return true
		}
	}
	return false
}

// matchField: one of the values, or one of the conditions, for the field or one of its elements.
func matchField(wants []any, have any, present bool) bool {
	values, list := have.([]any)
	if !list {
		values = []any{have}
	}
	for _, want := range wants {
		if c, ok := want.(map[string]any); ok {
			if ex, ok := c["exists"].(bool); ok {
				if ex == present {
					return true
				}
				continue
			}
		}
		for _, v := range values {
			if present && matchValue(want, v) {
				return true
			}
		}
	}
	return false
}

func matchValue(want, v any) bool {
	c, ok := want.(map[string]any)
	if !ok {
		return want == v
	}
	text, isText := v.(string)
	for op, arg := range c {
		s, _ := arg.(string)
		switch op {
		case "prefix":
			return isText && strings.HasPrefix(text, s)
		case "suffix":
			return isText && strings.HasSuffix(text, s)
		case "equals-ignore-case":
			return isText && strings.EqualFold(text, s)
		case "wildcard":
			return isText && wildcard(s, text)
		case "anything-but":
			return !anyOf(arg, v)
		}
	}
	return false
}

// anyOf is the inside of anything-but: a value, a list of values, or a condition.
func anyOf(arg, v any) bool {
	list, ok := arg.([]any)
	if !ok {
		list = []any{arg}
	}
	for _, want := range list {
		if matchValue(want, v) {
			return true
		}
	}
	return false
}

// wildcard matches stars only, as EventBridge does.
func wildcard(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}
