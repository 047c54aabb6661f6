package aws

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"breakglass/store"
)

func TestWhoseEventItIs(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	q := store.Query{Account: store.Account{ID: wealth}, UserID: "u-alice", UserName: "alice", Set: "Admin", From: at.Add(-time.Minute), To: at.Add(time.Minute)}
	role := "arn:aws:iam::" + wealth + ":role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef"
	session := func(behalf, name, role, created string) string {
		of := ""
		if behalf != "" {
			of = fmt.Sprintf(`"onBehalfOf":{"userId":%q,"identityStoreArn":"arn:aws:identitystore::1:identitystore/d-1"},`, behalf)
		}
		return fmt.Sprintf(`{"eventName":"X","eventTime":"2026-11-21T10:00:00Z","userIdentity":{"type":"AssumedRole","principalId":"AROA1:%s",%s
			"sessionContext":{"sessionIssuer":{"arn":%q},"attributes":{"creationDate":%q}}}}`, name, of, role, created)
	}
	now := at.Format(time.RFC3339)
	later := func(s string) string { return strings.Replace(s, "T10:00:00Z", "T10:30:00Z", 1) }
	for name, c := range map[string]struct {
		event string
		want  bool
	}{
		"on her behalf":                      {session("u-alice", "alice", role, now), true},
		"on her behalf, whatever the name":   {session("u-alice", "al", role, now), true},
		"on another's behalf, her name":      {session("u-mallory", "alice", role, now), false},
		"no word on whose, her name":         {session("", "alice", role, now), true},
		"no word on whose, a longer name":    {session("", "alice2", role, now), false},
		"another set that begins alike":      {session("u-alice", "alice", strings.Replace(role, "Admin_", "Admin_Read_", 1), now), false},
		"another account":                    {session("u-alice", "alice", strings.Replace(role, wealth, cash, 1), now), false},
		"a role of that name made by people": {session("u-alice", "alice", "arn:aws:iam::"+wealth+":role/AWSReservedSSO_Admin_0123", now), false},
		"a set without a suffix":             {session("u-alice", "alice", strings.TrimSuffix(role, "_0123456789abcdef"), now), false},
		"after the end, credentials of then": {later(session("u-alice", "alice", role, now)), true},
		"after the end, later credentials":   {later(session("u-alice", "alice", role, "2026-11-21T10:20:00Z")), false},
		"after the end, no word on when":     {strings.Replace(later(session("u-alice", "alice", role, now)), `"creationDate"`, `"x"`, 1), false},
		"long before":                        {strings.Replace(session("u-alice", "alice", role, now), "T10:00:00Z", "T09:00:00Z", 1), false},
		"the session begins": {`{"eventName":"AssumeRoleWithSAML","eventTime":"2026-11-21T10:00:00Z","userIdentity":{"type":"SAMLUser","principalId":"q:alice",
			"userName":"alice"},"requestParameters":{"roleArn":"` + role + `","roleSessionName":"alice"}}`, true},
		"another's session begins": {`{"eventName":"AssumeRoleWithSAML","eventTime":"2026-11-21T10:00:00Z","userIdentity":{"type":"SAMLUser",
			"userName":"bob"},"requestParameters":{"roleArn":"` + role + `","roleSessionName":"alice"}}`, false},
		"an IAM user called the same": {`{"eventName":"X","eventTime":"2026-11-21T10:00:00Z","userIdentity":{"type":"IAMUser","userName":"alice","principalId":"AIDA1"}}`, false},
		"received by another account": {strings.Replace(session("u-alice", "alice", role, now), `"eventName"`, `"recipientAccountId":"`+cash+`","eventName"`, 1), false},
	} {
		e, err := parse(types.Event{CloudTrailEvent: sdk.String(c.event)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := e.belongs(q); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// eventOf is an event as a place hands it over.
func eventOf(text string) types.Event { return types.Event{CloudTrailEvent: &text} }

func TestEventsThatAreNone(t *testing.T) {
	for _, s := range []string{"", "{", "[]", `"x"`, `{"eventName":7}`, `{}`, `{"eventName":"X","eventTime":"yesterday"}`} {
		if _, err := parse(types.Event{CloudTrailEvent: &s}); err == nil {
			t.Errorf("%q was taken for an event", s)
		}
	}
	if got := troubles(t.Context(), nil, "", time.Time{}, 3); got != "3 events could not be understood" {
		t.Error(got)
	}
	if got := troubles(t.Context(), errors.New("x"), "", time.Time{}, 1); !strings.Contains(got, "; 1 event could") {
		t.Error(got)
	}
}

func TestWhatAnEventSays(t *testing.T) {
	for name, c := range map[string]struct {
		event     map[string]any
		resources []string
		want      store.Record
	}{
		"the list of resources":  {map[string]any{"readOnly": false, "requestParameters": map[string]any{"bucketName": "b"}}, []string{"i-1", "i-2", "i-1"}, store.Record{Resource: "i-1, i-2"}},
		"too many":               {map[string]any{"readOnly": true}, []string{"a", "b", "c", "d", "e"}, store.Record{ReadOnly: true, Resource: "a and 4 more"}},
		"an object":              {map[string]any{"requestParameters": map[string]any{"bucketName": "b", "key": "k/1"}}, nil, store.Record{Resource: "b/k/1"}},
		"instances":              {map[string]any{"requestParameters": map[string]any{"instancesSet": map[string]any{"items": []any{map[string]any{"instanceId": "i-9"}, 7}}}}, nil, store.Record{Resource: "i-9"}},
		"a name in another case": {map[string]any{"requestParameters": map[string]any{"dBInstanceIdentifier": "db"}}, nil, store.Record{Resource: "db"}},
		"a hidden one":           {map[string]any{"requestParameters": map[string]any{"name": "HIDDEN_DUE_TO_SECURITY_REASONS"}}, nil, store.Record{}},
		"not an object":          {map[string]any{"requestParameters": []any{1}}, nil, store.Record{}},
		"control characters":     {map[string]any{"requestParameters": map[string]any{"name": "a\nb\x1b[31m\u202ec"}}, nil, store.Record{Resource: "a b [31m c"}},
		"a long one":             {map[string]any{"requestParameters": map[string]any{"name": strings.Repeat("ä", 200)}}, nil, store.Record{Resource: strings.Repeat("ä", 78) + "…"}},
		"no word on reading":     {map[string]any{"eventName": "ListThings"}, nil, store.Record{ReadOnly: true}},
		"signing in":             {map[string]any{"eventName": "ConsoleLogin", "eventSource": "signin.amazonaws.com", "readOnly": false}, nil, store.Record{ReadOnly: true}},
	} {
		if c.event["eventName"] == nil {
			c.event["eventName"] = "DoIt"
		}
		b, err := json.Marshal(c.event)
		if err != nil {
			t.Fatal(err)
		}
		raw := types.Event{CloudTrailEvent: sdk.String(string(b))}
		for _, r := range c.resources {
			raw.Resources = append(raw.Resources, types.Resource{ResourceName: &r})
		}
		e, err := parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.record(raw, false); got.Resource != c.want.Resource || got.ReadOnly != c.want.ReadOnly || len(got.Resource) > maxResource {
			t.Errorf("%s: %q, read %v", name, got.Resource, got.ReadOnly)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"eventName":"X","requestParameters":{"name":"a"}}`)
	f.Fuzz(func(t *testing.T, s string) {
		raw := types.Event{CloudTrailEvent: &s}
		e, err := parse(raw)
		if err != nil {
			return
		}
		e.belongs(store.Query{})
		r := e.record(raw, false)
		for _, v := range []string{r.ID, r.Service, r.Action, r.Region, r.Resource, r.Error, r.Address, r.Agent} {
			if len(v) > maxResource || strings.ContainsAny(v, "\n\r\x00\x1b\u2028") {
				t.Errorf("%q", v)
			}
		}
	})
}
