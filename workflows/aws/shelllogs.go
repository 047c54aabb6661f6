package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"breakglass/store"
)

// Bounds of what is fetched of one session's shells, so that one who fills a terminal fills neither the disk nor the archive.
const (
	mostShellLogs = 200
	mostShellLog  = 50 << 20 // bytes of one log
)

// preferencesDocument holds an account's preferences for Session Manager in a Region (SSM user guide, Session Manager preferences).
const preferencesDocument = "SSM-SessionManagerRunShell"

// Logs hands over what Session Manager logged of the shells that were opened during the window, oldest first in each Region, where the account's preferences send it to S3 or to
// CloudWatch Logs; of each at most 50 MB, and of 200 at most. body is valid during the call; it fails where the log cannot be read on. An error of each ends it all.
//
// The sources are the Regions in which there were shells, or that could not be looked at, with how many logs there were and, in plain words, what is missing and why: a
// log that was not kept, a forwarded port or SSH, which log no content (SSM user guide, session logging), a log that was cut.
func (s *Shells) Logs(ctx context.Context, q store.Query, each func(id string, started time.Time, body io.Reader) error) []store.Source {
	whose := ownerOf(store.Shells{Account: q.Account, Set: q.Set, Role: q.Role, UserName: q.UserName, Request: q.Request})
	if whose == nil {
		return []store.Source{{Region: "shell logs", Error: "neither a permission set with a user name nor a role with a request was named"}}
	}
	var sources []store.Source
	left := mostShellLogs
	for _, region := range shellRegions(q.Account, s.c.cfg.Region) {
		l := shellLogs{s: s, q: q, region: region, missing: map[string]int{}, each: each, left: &left}
		err := l.read(ctx, whose)
		if said := l.said(); l.shells > 0 || said != "" {
			sources = append(sources, store.Source{Region: "shell logs in " + region, Events: l.given, Error: said})
		}
		if err != nil {
			break
		}
	}
	return sources
}

// shellLogs is what is fetched in one Region.
type shellLogs struct {
	s      *Shells
	q      store.Query
	region string
	each   func(string, time.Time, io.Reader) error
	left   *int

	cfg     sdk.Config
	sinks   map[string]sink // by the document that says it
	shells  int
	given   int
	fault   string         // why the Region could not be looked at
	missing map[string]int // shells without their whole log, by reason
	reasons []string       // in the order they came up
}

// sink is where a document sends logs.
type sink struct {
	bucket, prefix, group string
	silent                bool   // what is logged has no content
	fault                 string // it could not be read
}

// none notes a shell without a log, miss one of which something is missing.
func (l *shellLogs) none(why string) { l.miss("without a log: " + why) }

func (l *shellLogs) miss(why string) {
	if l.missing[why]++; l.missing[why] == 1 {
		l.reasons = append(l.reasons, why)
	}
}

// said is what is missing, "" where nothing is.
func (l *shellLogs) said() string {
	var all []string
	if l.fault != "" {
		all = append(all, l.fault)
	}
	for _, why := range l.reasons {
		all = append(all, fmt.Sprintf("%d %s", l.missing[why], why))
	}
	return strings.Join(all, "; ")
}

// read hands over the logs of the Region. Its error is that of each; what AWS refuses is said.
func (l *shellLogs) read(ctx context.Context, whose func(string) bool) error {
	var err error
	if l.cfg, err = l.s.c.member(ctx, l.q.Account.ID); err != nil {
		l.fault = inWords(err, "")
		return nil
	}
	l.cfg.Region = l.region
	client := ssm.NewFromConfig(l.cfg, func(o *ssm.Options) { o.Retryer = sdk.NopRetryer{} })
	var all []types.Session
	for _, state := range []types.SessionState{types.SessionStateHistory, types.SessionStateActive} {
		found, err := l.list(ctx, client, state, whose)
		all = append(all, found...)
		if err != nil {
			l.fault = inWords(err, "ssm:DescribeSessions")
		}
	}
	slices.SortStableFunc(all, func(a, b types.Session) int { return sdk.ToTime(a.StartDate).Compare(sdk.ToTime(b.StartDate)) })
	l.shells, l.sinks = len(all), map[string]sink{}
	for _, x := range all {
		if err := l.one(ctx, client, x); err != nil {
			return err
		}
	}
	return nil
}

// list finds the shells that were opened during the window, through all pages. What was found before a page failed is returned with the error.
func (l *shellLogs) list(ctx context.Context, client *ssm.Client, state types.SessionState, whose func(string) bool) (all []types.Session, err error) {
	iso := func(t time.Time) *string { return sdk.String(t.UTC().Format("2006-01-02T15:04:05Z")) }
	in := &ssm.DescribeSessionsInput{State: state, Filters: []types.SessionFilter{
		{Key: types.SessionFilterKeyInvokedAfter, Value: iso(l.q.From.Add(-clockSlack))},
		{Key: types.SessionFilterKeyInvokedBefore, Value: iso(l.q.To.Add(clockSlack))}}}
	for {
		out, err := call(ctx, l.s.c, l.s.c.ssmCalls, "DescribeSessions", collecting, func(ctx context.Context) (*ssm.DescribeSessionsOutput, error) {
			return client.DescribeSessions(ctx, in)
		})
		if err != nil {
			return all, err
		}
		for _, x := range out.Sessions {
			if whose(sdk.ToString(x.Owner)) {
				all = append(all, x)
			}
		}
		if in.NextToken = out.NextToken; sdk.ToString(in.NextToken) == "" {
			return all, nil
		}
	}
}

// one hands over the log of a shell, or notes why there is none.
func (l *shellLogs) one(ctx context.Context, client *ssm.Client, x types.Session) error {
	if sdk.ToTime(x.EndDate).IsZero() {
		l.none("still open")
		return nil
	}
	to := l.sinkOf(ctx, client, sdk.ToString(x.DocumentName))
	switch {
	case to.silent:
		l.none("a forwarded port or SSH, whose content is not logged")
		return nil
	case to.fault != "":
		l.none(to.fault)
		return nil
	case to.bucket == "" && to.group == "":
		l.none("the account's preferences keep none")
		return nil
	case *l.left == 0:
		l.none(fmt.Sprintf("no more than %d are fetched", mostShellLogs))
		return nil
	}
	id := sdk.ToString(x.SessionId)
	r, from, err := l.open(ctx, to, id)
	if err != nil {
		l.none(logWords(err, from))
		return nil
	}
	*l.left--
	err = l.each(id, sdk.ToTime(x.StartDate).UTC(), r)
	switch {
	case r.fault != nil:
		l.miss("broken off: " + logWords(r.fault, from)) // and what each made of it is no fault of its own
		return nil
	case err != nil:
		l.fault = "it was interrupted"
		return fmt.Errorf("keeping the log of a shell: %w", err)
	}
	l.given++
	if r.cut {
		l.miss(fmt.Sprintf("cut at %d MB", mostShellLog>>20))
	}
	return nil
}

// errNoLog is where a log should be and is not.
var errNoLog = errors.New("there is no log")

func logWords(err error, to sink) string {
	switch {
	case errors.Is(err, errNoLog):
		return "there is none where the preferences send it"
	case to.bucket != "":
		return inWords(err, "s3:GetObject, and kms:Decrypt where it is encrypted, for "+clean(to.bucket, maxField))
	}
	return inWords(err, "logs:GetLogEvents on "+clean(to.group, maxField))
}

// sinkOf is where the shells of a document are logged. A document of the account's own has its own preferences (SSM user guide, custom session documents), AWS's go by
// the account's.
func (l *shellLogs) sinkOf(ctx context.Context, client *ssm.Client, document string) sink {
	if strings.HasPrefix(document, "AWS-StartPortForwarding") || strings.HasPrefix(document, "AWS-StartSSH") {
		return sink{silent: true}
	}
	if document == "" || strings.HasPrefix(document, "AWS-") {
		document = preferencesDocument
	}
	if s, ok := l.sinks[document]; ok {
		return s
	}
	out, err := call(ctx, l.s.c, l.s.c.ssmCalls, "GetDocument", collecting, func(ctx context.Context) (*ssm.GetDocumentOutput, error) {
		return client.GetDocument(ctx, &ssm.GetDocumentInput{Name: &document, DocumentFormat: types.DocumentFormatJson})
	})
	var s sink
	switch {
	case err == nil:
		s = readSink(sdk.ToString(out.Content))
	case code(err) == "InvalidDocument": // nobody ever set preferences
	default:
		s.fault = inWords(err, "ssm:GetDocument on "+clean(document, maxField))
	}
	l.sinks[document] = s
	return s
}

// readSink reads a session document.
func readSink(content string) sink {
	var d struct {
		SessionType string `json:"sessionType"`
		Inputs      struct {
			Bucket string `json:"s3BucketName"`
			Prefix string `json:"s3KeyPrefix"`
			Group  string `json:"cloudWatchLogGroupName"`
		} `json:"inputs"`
	}
	if err := json.Unmarshal([]byte(content), &d); err != nil {
		return sink{fault: "the preferences are not in a form that can be read"}
	}
	return sink{bucket: d.Inputs.Bucket, prefix: strings.Trim(d.Inputs.Prefix, "/"), group: d.Inputs.Group, silent: d.SessionType == "Port"}
}
