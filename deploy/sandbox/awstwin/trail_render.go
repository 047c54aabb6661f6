// The JSON of an event. Its fields are those of events seen in 2026: onBehalfOf in place of a user name wherever Identity
// Center is behind a caller.

package awstwin

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"
)

// render writes an event as CloudTrail has it (event version 1.11).
func (o *Organization) render(e *event) json.RawMessage { return encoded(o.record(e)) }

// record is the event as a tree, of which parts may still be JSON.
func (o *Organization) record(e *event) map[string]any {
	params := e.params
	if params == nil {
		params = lowered(e.input)
	}
	v := map[string]any{
		"eventVersion": "1.11", "userIdentity": o.userIdentity(e), "eventTime": e.at.Format(time.RFC3339), "eventSource": e.source, "eventName": e.name,
		"awsRegion": e.region, "sourceIPAddress": e.ip, "userAgent": e.ua, "requestParameters": orNull(params), "responseElements": orNull(e.response),
		"requestID": e.requestID, "eventID": e.id, "readOnly": e.read, "eventType": e.kind, "managementEvent": true,
		"recipientAccountId": e.account, "eventCategory": "Management",
	}
	if e.code != "" {
		v["errorCode"], v["errorMessage"] = e.code, e.message
	}
	if e.shared != "" {
		v["sharedEventID"] = e.shared
	}
	if e.details != nil {
		v["serviceEventDetails"] = e.details
	}
	if len(e.resources) > 0 {
		var list []any
		for _, r := range e.resources {
			list = append(list, map[string]any{"type": r.Type, "ARN": r.Name, "accountId": e.account})
		}
		v["resources"] = list
	}
	for k, x := range e.extra {
		v[k] = x
	}
	return v
}

func orNull(m json.RawMessage) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

// userIdentity tells who called. A session of a permission set has onBehalfOf; its MFA is "false", since the second factor
// was given to Identity Center and not to STS.
func (o *Organization) userIdentity(e *event) map[string]any {
	if e.identity != nil {
		return e.identity
	}
	who := e.who
	switch who.kind {
	case kindPortal:
		return map[string]any{"type": cmp.Or(o.trail.portal, "IdentityCenterUser"), "accountId": who.account, "credentialId": who.accessKey, "onBehalfOf": o.onBehalfOf(who.person)}
	case kindService:
		return map[string]any{"type": "AWSService", "invokedBy": who.name}
	case kindIAMUser:
		v := map[string]any{"type": "IAMUser", "principalId": who.userID, "arn": who.arn, "accountId": who.account, "accessKeyId": who.accessKey, "userName": who.name}
		if who.temporary() {
			v["sessionContext"] = map[string]any{"attributes": who.attributes()}
		}
		return v
	}
	v := map[string]any{"type": "AssumedRole", "principalId": who.userID, "arn": who.arn, "accountId": who.account, "accessKeyId": who.accessKey,
		"sessionContext": map[string]any{
			"sessionIssuer": map[string]any{"type": "Role", "principalId": who.role.id, "arn": who.role.arn, "accountId": who.role.account, "userName": who.role.name},
			"attributes":    who.attributes(),
		}}
	if who.source != "" {
		v["sessionContext"].(map[string]any)["sourceIdentity"] = who.source
	}
	if who.person != "" {
		v["onBehalfOf"] = o.onBehalfOf(who.person)
	}
	return v
}

func (o *Organization) onBehalfOf(person string) map[string]any {
	return map[string]any{"userId": person, "identityStoreArn": o.storeARN()}
}

func (id *identity) attributes() map[string]any {
	return map[string]any{"creationDate": id.issued.UTC().Format(time.RFC3339), "mfaAuthenticated": strconv.FormatBool(id.mfa)}
}
