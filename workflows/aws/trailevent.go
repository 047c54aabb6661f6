package aws

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"breakglass/store"
)

// trailEvent is what is read of a CloudTrail event (CloudTrail user guide, record contents).
type trailEvent struct {
	EventID      string    `json:"eventID"`
	EventTime    time.Time `json:"eventTime"`
	EventSource  string    `json:"eventSource"`
	EventName    string    `json:"eventName"`
	AWSRegion    string    `json:"awsRegion"`
	ReadOnly     *bool     `json:"readOnly"`
	ErrorCode    string    `json:"errorCode"`
	SourceIP     string    `json:"sourceIPAddress"`
	UserAgent    string    `json:"userAgent"`
	UserIdentity struct {
		Type        string `json:"type"`
		PrincipalID string `json:"principalId"`
		UserName    string `json:"userName"`
		OnBehalfOf  struct {
			UserID string `json:"userId"`
		} `json:"onBehalfOf"`
		SessionContext struct {
			SessionIssuer struct {
				ARN      string `json:"arn"`
				UserName string `json:"userName"`
			} `json:"sessionIssuer"`
			Attributes struct {
				CreationDate time.Time `json:"creationDate"`
			} `json:"attributes"`
		} `json:"sessionContext"`
	} `json:"userIdentity"`
	Resources           json.RawMessage `json:"resources"`
	RequestParameters   json.RawMessage `json:"requestParameters"`
	ServiceEventDetails portalDetails   `json:"serviceEventDetails"`
	Recipient           string          `json:"recipientAccountId"`
}

// portalDetails is what the access portal says of itself. Services write into this field what they like, so that what it is not does no harm to the event.
type portalDetails struct{ RoleName, AccountID string }

// UnmarshalJSON never fails.
func (d *portalDetails) UnmarshalJSON(b []byte) error {
	var in struct {
		RoleName  string `json:"role_name"`
		AccountID string `json:"account_id"`
	}
	if json.Unmarshal(b, &in) == nil {
		*d = portalDetails{in.RoleName, in.AccountID}
	}
	return nil
}

// parse reads the event itself. What LookupEvents says beside it is a summary of the same, without the identity.
func parse(raw types.Event) (*trailEvent, error) {
	var e trailEvent
	if err := json.Unmarshal([]byte(sdk.ToString(raw.CloudTrailEvent)), &e); err != nil {
		return nil, fmt.Errorf("reading a CloudTrail event: %w", err)
	}
	if e.EventName == "" {
		return nil, errors.New("reading a CloudTrail event: it has no name")
	}
	if e.EventTime.IsZero() {
		e.EventTime = sdk.ToTime(raw.EventTime)
	}
	return &e, nil
}

// of says whether an event is the session's, and whether it is of the access portal, which is another account's.
func (e *trailEvent) of(q store.Query) (mine, portal bool) {
	if e.ofPortal(q) {
		return true, true
	}
	return e.belongs(q), false
}

// belongs says whether an event is the session's: this person, this permission set, this account, and in time.
//
// Who it is: onBehalfOf.userId where the event has one, which all calls through Identity Center have had since 2024; it names
// one person for good. Events without it (AssumeRoleWithSAML, which begins a session, and older kinds) go by the role
// session's name, the user name.
func (e *trailEvent) belongs(q store.Query) bool {
	if e.Recipient != "" && e.Recipient != q.Account.ID {
		return false
	}
	if q.Role != "" && e.begins(q) {
		return e.inTime(q)
	}
	if id := e.UserIdentity.OnBehalfOf.UserID; id != "" {
		if id != q.UserID {
			return false
		}
	} else if name := nameOfSession(q); e.session() != name || name == "" {
		return false
	}
	if q.Role != "" {
		return e.ofRole(q.Role, q.Account.ID) && e.inTime(q)
	}
	return e.ofSet(q.Set, q.Account.ID) && e.inTime(q)
}

// nameOfSession is the role session's name: for a permission set the user's, for an IAM role the request, which its trust demands.
func nameOfSession(q store.Query) string {
	if q.Role != "" {
		return string(q.Request)
	}
	if q.UserName == "" {
		return ""
	}
	return sessionName(q.UserName)
}

// ofRole says whether the event is of a session of an IAM role in an account.
func (e *trailEvent) ofRole(role, account string) bool {
	issuer := e.UserIdentity.SessionContext.SessionIssuer
	parts := strings.SplitN(issuer.ARN, ":", 6)
	if len(parts) != 6 || parts[2] != "iam" || parts[4] != account {
		return false
	}
	return roleName(parts[5]) == roleName(role)
}

// begins says whether an IAM user assumes the role for the request, or was refused it.
func (e *trailEvent) begins(q store.Query) bool {
	if e.EventSource != "sts.amazonaws.com" || e.EventName != "AssumeRole" || q.Request == "" {
		return false
	}
	var p struct {
		RoleARN     string `json:"roleArn"`
		SessionName string `json:"roleSessionName"`
	}
	if json.Unmarshal(e.RequestParameters, &p) != nil || p.SessionName != string(q.Request) {
		return false
	}
	parts := strings.SplitN(p.RoleARN, ":", 6)
	return len(parts) == 6 && parts[4] == q.Account.ID && roleName(parts[5]) == roleName(q.Role)
}

// session is the name of the role session.
func (e *trailEvent) session() string {
	if e.UserIdentity.Type == "SAMLUser" {
		return e.UserIdentity.UserName
	}
	_, name, _ := strings.Cut(e.UserIdentity.PrincipalID, ":")
	return name
}

// ofSet says whether the event is of that permission set in that account: by the role that issued the session, by the role
// that AssumeRoleWithSAML asks for, or by what the access portal says it gave credentials for.
func (e *trailEvent) ofSet(set, account string) bool {
	issuer := e.UserIdentity.SessionContext.SessionIssuer
	switch {
	case issuer.ARN != "":
		return roleOfSet(issuer.ARN, set, account)
	case issuer.UserName != "":
		return nameOfSet(issuer.UserName, set)
	case e.ServiceEventDetails.RoleName != "":
		return e.ServiceEventDetails.RoleName == set && e.ServiceEventDetails.AccountID == account
	case e.EventName == "AssumeRoleWithSAML":
		var p struct {
			RoleARN string `json:"roleArn"`
		}
		return json.Unmarshal(e.RequestParameters, &p) == nil && roleOfSet(p.RoleARN, set, account)
	}
	return false
}

// roleOfSet reads arn:aws:iam::<account>:role/aws-reserved/sso.amazonaws.com/[<region>/]AWSReservedSSO_<set>_<suffix>.
func roleOfSet(arn, set, account string) bool {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "iam" || parts[4] != account {
		return false
	}
	path, ok := strings.CutPrefix(parts[5], "role/aws-reserved/sso.amazonaws.com/")
	return ok && nameOfSet(path[strings.LastIndexByte(path, '/')+1:], set)
}

// nameOfSet takes the set's name out between the prefix and the last underscore. The suffix has none, a set's name may: looking for a
// prefix would take Admin_Read for Admin.
func nameOfSet(role, set string) bool {
	rest, ok := strings.CutPrefix(role, "AWSReservedSSO_")
	i := strings.LastIndexByte(rest, '_')
	return ok && i > 0 && rest[:i] == set && rest[i+1:] != ""
}

// inTime: within the session everything counts. After it, only what was done with credentials that were taken during it: a later
// session of the same person has later ones.
func (e *trailEvent) inTime(q store.Query) bool {
	if e.EventTime.Before(q.From.Add(-before)) {
		return false
	}
	if !e.EventTime.After(q.To) {
		return true
	}
	created := e.UserIdentity.SessionContext.Attributes.CreationDate
	return !created.IsZero() && !created.Before(q.From.Add(-before)) && !created.After(q.To)
}

// Lengths of what is kept of an event. People choose the names of their resources, so none is trusted to be short or plain.
const (
	maxField    = 80
	maxResource = 160
)

// record is what of an event is kept: enough to say what was done, nothing that was typed into it but the names of things.
func (e *trailEvent) record(raw types.Event, portal bool) store.Record {
	service := strings.TrimSuffix(e.EventSource, ".amazonaws.com")
	id := e.EventID
	if id == "" {
		id = sdk.ToString(raw.EventId)
	}
	return store.Record{
		ID: clean(id, maxField), At: e.EventTime.UTC(), Service: clean(service, maxField), Action: clean(e.EventName, maxField),
		Region: clean(e.AWSRegion, maxField), ReadOnly: e.readOnly(raw, service), Resource: e.resource(raw),
		Error: clean(e.ErrorCode, maxField), Address: clean(e.SourceIP, maxField), Agent: clean(e.UserAgent, maxResource),
		Portal: portal, Raw: json.RawMessage(sdk.ToString(raw.CloudTrailEvent)),
	}
}

// readOnly is CloudTrail's own word, in the event or beside it, else the action's first word. Signing in changes nothing in the
// account, though CloudTrail says that it is no reading.
func (e *trailEvent) readOnly(raw types.Event, service string) bool {
	switch {
	case service == "signin", service == "sso" && slices.Contains(portalActions, e.EventName):
		return true
	case e.ReadOnly != nil:
		return *e.ReadOnly
	case raw.ReadOnly != nil:
		return *raw.ReadOnly == "true"
	}
	for _, word := range []string{"Get", "List", "Describe", "Head", "Lookup"} {
		if strings.HasPrefix(e.EventName, word) {
			return true
		}
	}
	return false
}

// resource is what it was done to: CloudTrail's own list of resources, else what the request names, else the permission set that the access portal names.
func (e *trailEvent) resource(raw types.Event) string {
	var names []string
	for _, r := range raw.Resources {
		if n := sdk.ToString(r.ResourceName); n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(raw.Resources) == 0 {
		names = e.listed()
	}
	if len(names) == 0 {
		names = requested(e.RequestParameters)
	}
	if len(names) == 0 && e.ServiceEventDetails.RoleName != "" {
		names = []string{e.ServiceEventDetails.RoleName}
	}
	switch {
	case len(names) == 0:
		return ""
	case len(names) > 3:
		return clean(fmt.Sprintf("%s and %d more", names[0], len(names)-1), maxResource)
	}
	return clean(strings.Join(names, ", "), maxResource)
}

// listed are the resources in the event itself, which is all there is where it comes from a trail.
func (e *trailEvent) listed() (names []string) {
	var list []struct {
		ARN string `json:"ARN"`
	}
	if len(e.Resources) == 0 || json.Unmarshal(e.Resources, &list) != nil {
		return nil
	}
	for _, r := range list {
		if r.ARN != "" && !slices.Contains(names, r.ARN) {
			names = append(names, r.ARN)
		}
	}
	return names
}

// telling are parameters that name what a request is about, the most telling first. Services write them as they like.
var telling = []string{
	"bucketname", "instanceid", "target", "functionname", "tablename", "secretid", "dbinstanceidentifier", "dbclusteridentifier",
	"clustername", "cluster", "loggroupname", "logstreamname", "rolename", "rolearn", "policyarn", "username", "groupname", "keyid",
	"queueurl", "topicarn", "stackname", "documentname", "distributionid", "hostedzoneid", "streamname", "repositoryname", "name", "arn",
	"resourcearn",
}

// requested finds what a request names.
func requested(params json.RawMessage) []string {
	var m map[string]any
	if len(params) == 0 || json.Unmarshal(params, &m) != nil {
		return nil
	}
	low := make(map[string]any, len(m))
	for k, v := range m {
		low[strings.ToLower(k)] = v
	}
	for _, key := range telling {
		if s, ok := low[key].(string); ok && s != "" && !strings.HasPrefix(s, "HIDDEN_DUE_TO_SECURITY") {
			if object, ok := low["key"].(string); ok && key == "bucketname" && object != "" {
				s += "/" + object
			}
			return []string{s}
		}
	}
	return items(low["instancesset"])
}

// items reads EC2's {"items":[{"instanceId":"i-…"}]}.
func items(v any) []string {
	set, _ := v.(map[string]any)
	list, _ := set["items"].([]any)
	var ids []string
	for _, x := range list {
		item, _ := x.(map[string]any)
		if id, ok := item["instanceId"].(string); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
