// What a service and an operation are to the twin: enough to find them, to authorise them, and to write their events.

package awstwin

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// protocol is how a service's requests and answers look on the wire.
type protocol int

const (
	protoJSON     protocol = iota // X-Amz-Target, JSON 1.0 or 1.1
	protoQuery                    // Action=… in a form, XML
	protoEC2                      // the same with EC2's own answers and errors
	protoREST                     // paths and verbs, JSON
	protoS3                       // paths and verbs, XML
	protoInternal                 // an action of Session.Do that has no door of its own
)

// service is one AWS API: how it is found, how it is named in policies and in CloudTrail, and its operations.
type service struct {
	name   string // as the fault switches name it: sso-admin, identitystore, sts, …
	scope  string // name in the credential scope of a signature
	target string // prefix of X-Amz-Target
	source string // eventSource in CloudTrail
	prefix string // of IAM actions
	proto  protocol
	global bool // its events are in us-east-1, whatever the Region called
	home   bool // answers only in the home Region of Identity Center
	open   bool // takes no signature (the access portal)
	ops    map[string]*operation
	route  func(*call) string // for REST: the operation, with path variables put into call.vars
	xmlns  string
}

// operation is one action of a service.
type operation struct {
	run       func(*call) (any, error)
	read      bool                 // readOnly in CloudTrail
	data      bool                 // a data event, which LookupEvents never has
	action    string               // IAM action where it differs from prefix:name
	actionOf  func(*call) string   // the same where it depends on the request
	resources func(*call) []string // ARNs to authorise; nil: "*"
	context   func(*call, map[string]string)
	notes     func(*call) // what the event says of the request, refused or not
	anyone    bool        // needs no permission (sts:GetCallerIdentity)
	ownTrail  bool        // writes its own events
}

// call is one request on its way through the twin.
type call struct {
	org      *Organization
	ctx      context.Context
	at       time.Time
	who      *identity
	svc      *service
	op       string
	region   string
	body     []byte     // JSON, or the payload of a REST call
	form     url.Values // query protocol
	req      *http.Request
	vars     map[string]string
	ip, ua   string
	id       string        // request id
	nr       uint64        // for the interceptor
	waited   bool          // a long poll that was told to wait has waited enough
	patience time.Duration // how long it wants to wait, by the real clock
	trail    trailNotes
	headers  http.Header // extra headers of the answer
}

// trailNotes is what an operation adds to its own event.
type trailNotes struct {
	params    any // requestParameters; nil: derived from the input
	response  any // responseElements; reads have none
	resources []trailResource
	source    string // overrides the service's
	skip      bool
}

// account is the caller's account with everything in it.
func (c *call) account() *account { return c.org.accounts[c.who.account] }

// place is the part of the caller's account that lives in the Region called.
func (c *call) place() *regional { return c.account().in(c.region) }

func (c *call) decode(v any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.body, v); err != nil {
		return fail("SerializationException", "%v", err)
	}
	return nil
}

// typed makes an operation out of a function with a typed JSON input.
func typed[T any](run func(*call, *T) (any, error)) func(*call) (any, error) {
	return func(c *call) (any, error) {
		in := new(T)
		if err := c.decode(in); err != nil {
			return nil, err
		}
		return run(c, in)
	}
}

// reads and writes are shorthands for operations with a typed input.
func reads[T any](run func(*call, *T) (any, error)) *operation {
	return &operation{run: typed(run), read: true}
}

func writes[T any](run func(*call, *T) (any, error)) *operation {
	return &operation{run: typed(run)}
}

// on names the resources that an operation is authorised for.
func (op *operation) on(f func(*call) []string) *operation { op.resources = f; return op }

// as names the IAM action where it is not the service's prefix and the operation's name.
func (op *operation) as(action string) *operation { op.action = action; return op }

type empty struct{}

func (o *Organization) allServices() map[string]*service {
	all := map[string]*service{}
	for _, s := range []*service{
		ssoAdminService(), identityStoreService(), organizationsService(), cloudTrailService(), stsService(), portalService(),
		iamService(), schedulerService(), ssmService(), secretsService(), sqsService(), s3Service(), sesService(),
		ec2Service(), athenaService(), kmsService(), logsService(), rdsService(), dynamoService(),
	} {
		all[s.name] = s
	}
	return all
}

func (o *Organization) findService(match func(*service) bool) *service {
	for _, s := range o.services {
		if match(s) {
			return s
		}
	}
	return nil
}
