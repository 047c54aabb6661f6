package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// shellPart is how much of an object is fetched at once: what fits into the time of one call, and what is in memory.
const shellPart = 4 << 20

// partReader reads a log part by part. Parts come by call, each with its own timeout, so that a log may be long and a connection die.
type partReader struct {
	next  func() ([]byte, error) // io.EOF after the last
	part  []byte
	size  int64
	cut   bool  // there was more than mostShellLog
	fault error // of next, as opposed to of whoever reads
	end   bool
}

func (r *partReader) Read(p []byte) (int, error) {
	for len(r.part) == 0 {
		if err := r.fetch(); err != nil {
			return 0, err
		}
	}
	if r.size == mostShellLog {
		r.cut, r.end, r.part = true, true, nil
		return 0, io.EOF
	}
	n := copy(p, r.part[:min(int64(len(r.part)), mostShellLog-r.size)])
	r.part, r.size = r.part[n:], r.size+int64(n)
	return n, nil
}

func (r *partReader) fetch() error {
	switch {
	case r.fault != nil:
		return r.fault
	case r.end:
		return io.EOF
	}
	part, err := r.next()
	r.part = part
	switch {
	case err == io.EOF:
		r.end = true
	case err != nil:
		r.fault = err
		return err
	}
	return nil
}

// open finds the log of a shell, and says where. Its first part is fetched, so that what is not there is known before anybody reads. Where the preferences send logs to
// S3 and to CloudWatch Logs, the one is as good as the other.
func (l *shellLogs) open(ctx context.Context, to sink, id string) (*partReader, sink, error) {
	var r *partReader
	from, err := sink{bucket: to.bucket}, errNoLog
	if to.bucket != "" {
		// The agent names the object by the session; the ending is its own.
		for _, name := range []string{id + ".log", id} {
			r = &partReader{next: l.object(ctx, to.bucket, strings.TrimPrefix(to.prefix+"/"+name, "/"))}
			if err = r.fetch(); !errors.Is(err, errNoLog) {
				break
			}
		}
	}
	if err != nil && to.group != "" {
		lines := &partReader{next: l.stream(ctx, to.group, id)}
		if again := lines.fetch(); again == nil || errors.Is(err, errNoLog) {
			r, from, err = lines, sink{group: to.group}, again
		}
	}
	return r, from, err
}

// object gives the parts of an object, all of the same version.
func (l *shellLogs) object(ctx context.Context, bucket, key string) func() ([]byte, error) {
	client, quota := l.objects(l.cfg.Region), l.s.c.counted("s3")
	in := &s3.GetObjectInput{Bucket: &bucket, Key: &key}
	var at int64
	elsewhere := false
	var next func() ([]byte, error)
	next = func() ([]byte, error) {
		in.Range = sdk.String(fmt.Sprintf("bytes=%d-%d", at, at+shellPart-1))
		type part struct {
			body  []byte
			etag  *string
			whole string // of the object, by Content-Range
		}
		got, err := call(ctx, l.s.c, quota, "GetObject", collecting, func(ctx context.Context) (part, error) {
			out, err := client.GetObject(ctx, in)
			if err != nil {
				return part{}, err
			}
			defer out.Body.Close()
			_, whole, _ := strings.Cut(sdk.ToString(out.ContentRange), "/")
			body, err := io.ReadAll(io.LimitReader(out.Body, mostShellLog+1)) // all of it, where ranges are not known
			return part{body, out.ETag, whole}, err
		})
		var answer *smithyhttp.ResponseError
		switch c := code(err); {
		case err == nil:
		case c == "NoSuchKey":
			return nil, errNoLog
		case c == "InvalidRange" && at == 0: // it is empty
			return nil, io.EOF
		case !elsewhere && errors.As(err, &answer) && answer.Response != nil:
			// A bucket may be in another Region than the shells; S3 says in which.
			if region := answer.Response.Header.Get("X-Amz-Bucket-Region"); region != "" && region != l.cfg.Region {
				client, elsewhere = l.objects(region), true
				return next()
			}
			return nil, err
		default:
			return nil, err
		}
		in.IfMatch = got.etag
		at += int64(len(got.body))
		if whole, err := strconv.ParseInt(got.whole, 10, 64); err != nil || at >= whole || len(got.body) == 0 {
			return got.body, io.EOF
		}
		return got.body, nil
	}
	return next
}

// objects is S3 in a Region, addressed by path where another endpoint than AWS's is set.
func (l *shellLogs) objects(region string) *s3.Client {
	cfg := l.cfg.Copy()
	cfg.Region = region
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.Retryer = sdk.NopRetryer{}
		o.UsePathStyle = o.BaseEndpoint != nil
		o.ResponseChecksumValidation = sdk.ResponseChecksumValidationWhenRequired // parts have none
	})
}

// stream gives the lines of a log stream, which is named by the session, a page at a time.
func (l *shellLogs) stream(ctx context.Context, group, id string) func() ([]byte, error) {
	client := cloudwatchlogs.NewFromConfig(l.cfg, func(o *cloudwatchlogs.Options) { o.Retryer = sdk.NopRetryer{} })
	quota := l.s.c.counted("logs")
	in := &cloudwatchlogs.GetLogEventsInput{LogGroupName: &group, LogStreamName: &id, StartFromHead: sdk.Bool(true)}
	return func() ([]byte, error) {
		out, err := call(ctx, l.s.c, quota, "GetLogEvents", collecting, func(ctx context.Context) (*cloudwatchlogs.GetLogEventsOutput, error) {
			return client.GetLogEvents(ctx, in)
		})
		if missing(err) {
			return nil, errNoLog
		}
		if err != nil {
			return nil, err
		}
		var lines bytes.Buffer
		for _, e := range out.Events {
			lines.WriteString(strings.TrimSuffix(sdk.ToString(e.Message), "\n"))
			lines.WriteByte('\n')
		}
		// The end is where the token stays the same (API reference of GetLogEvents); a page before it may be empty.
		if next := sdk.ToString(out.NextForwardToken); next == "" || next == sdk.ToString(in.NextToken) {
			return lines.Bytes(), io.EOF
		}
		in.NextToken = out.NextForwardToken
		return lines.Bytes(), nil
	}
}
