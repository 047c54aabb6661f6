package aws

import (
	"encoding/json"
	"strings"
	"time"

	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

// trailNames are CloudTrail's own names (CloudTrail user guide, record contents) of what a table has in lower case.
var trailNames = func() map[string]string {
	m := map[string]string{}
	for name := range strings.FieldsSeq(`eventVersion userIdentity eventTime eventSource eventName awsRegion sourceIPAddress userAgent errorCode errorMessage requestParameters
		responseElements additionalEventData requestID eventID eventType apiVersion readOnly recipientAccountId serviceEventDetails sharedEventID vpcEndpointId resources
		type principalId arn accountId invokedBy accessKeyId userName onBehalfOf userId identityStoreArn credentialId sessionContext attributes mfaAuthenticated creationDate
		sessionIssuer ec2RoleDelivery webIdFederationData federatedProvider inScopeOf sourceIdentity identityProvider`) {
		m[strings.ToLower(name)] = name
	}
	return m
}()

// eventOfRow makes the event of a row again, as far as the table has it: CloudTrail's names, its structures, and nothing for what is null. The order of its fields
// and those the table does not have are lost.
func eventOfRow(columns []string, row athenatypes.Row) types.Event {
	event := map[string]any{}
	var out types.Event
	for i, cell := range row.Data {
		if i >= len(columns) || cell.VarCharValue == nil {
			continue
		}
		name, text := columns[i], *cell.VarCharValue
		switch name {
		case "useridentity":
			event["userIdentity"] = renamed(parsed(text))
		case "resources":
			event["resources"] = resourcesOf(parsed(text))
		case "requestparameters", "responseelements", "additionaleventdata", "serviceeventdetails":
			event[trailNames[name]] = parsed(text)
		case "readonly":
			event["readOnly"] = text == "true"
		case "eventid":
			out.EventId, event["eventID"] = sdk.String(text), text
		case "eventtime":
			if at, err := time.Parse(time.RFC3339, text); err == nil {
				out.EventTime = sdk.Time(at.UTC())
			}
			event["eventTime"] = text
		default:
			if known, ok := trailNames[name]; ok {
				event[known] = text
			}
		}
	}
	b, err := json.Marshal(event)
	if err != nil { // cannot be: it is made of JSON and strings
		return out
	}
	out.CloudTrailEvent = sdk.String(string(b))
	return out
}

// parsed is a value of JSON, exactly as it was written; what is none is a string.
func parsed(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return text
	}
	return v
}

// renamed gives structures CloudTrail's names back, and leaves out what is null: a table has every field for every event.
func renamed(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for k, x := range m {
		if known, ok := trailNames[strings.ToLower(k)]; ok {
			k = known
		}
		if x = renamed(x); x != nil {
			out[k] = x
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func resourcesOf(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	for i, x := range list {
		list[i] = renamed(x)
		if m, ok := list[i].(map[string]any); ok && m["arn"] != nil {
			m["ARN"] = m["arn"]
			delete(m, "arn")
		}
	}
	return list
}

// cells are the texts of a row, "" for null.
func cells(row athenatypes.Row) []string {
	out := make([]string, len(row.Data))
	for i, c := range row.Data {
		out[i] = strings.ToLower(sdk.ToString(c.VarCharValue))
	}
	return out
}
