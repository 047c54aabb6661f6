package aws

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

const shellBucket = "forge-shells"

// ranged answers for parts of objects, as S3 does; fails is how many parts after the first it refuses.
type ranged struct {
	next  http.Handler
	fails int
}

func (h *ranged) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var from, to int
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil {
		h.next.ServeHTTP(w, r)
		return
	}
	if from > 0 && h.fails > 0 {
		h.fails--
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.Header.Del("Range")
	rec := httptest.NewRecorder()
	h.next.ServeHTTP(rec, r)
	body := rec.Body.Bytes()
	maps.Copy(w.Header(), rec.Header())
	w.Header().Del("Content-Length")
	switch {
	case rec.Code != http.StatusOK:
		w.WriteHeader(rec.Code)
	case from >= len(body):
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		body = []byte(`<Error><Code>InvalidRange</Code></Error>`)
	default:
		to = min(to+1, len(body))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(body)))
		w.WriteHeader(http.StatusPartialContent)
		body = body[from:to]
	}
	_, _ = w.Write(body)
}

// logging gives an account the member role with what reading logs needs, and preferences.
func (w *world) logging(t *testing.T, region string, p *awstwin.SessionPreferences) {
	t.Helper()
	w.connect(t, Config{MemberRole: member})
	w.SetRole(wealth, member, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`,
		map[string]string{"logs": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:DescribeSessions","ssm:GetDocument","s3:GetObject","s3:ListBucket","logs:GetLogEvents"],"Resource":"*"}]}`})
	w.SetSessionPreferences(wealth, region, p)
}

// typed opens a shell as a person, types and closes it again.
func (w *world) typed(t *testing.T, userID, region, document string, lines ...string) string {
	t.Helper()
	w.Assign(userID, wealth, set)
	w.AddInstance(wealth, region, "i-0aaa", "web")
	s, err := w.SignIn(userID, wealth, set)
	if err != nil {
		t.Fatal(err)
	}
	sh, err := s.OpenShell(t.Context(), region, "i-0aaa", document)
	if err != nil {
		t.Fatal(err)
	}
	sh.Type(lines...)
	time.Sleep(time.Minute)
	sh.Close()
	return sh.ID
}

// logs reads all of every log.
func (w *world) logs(t *testing.T, q store.Query) (map[string]string, []store.Source) {
	t.Helper()
	got := map[string]string{}
	sources := w.conn.Shells().Logs(t.Context(), q, func(id string, started time.Time, body io.Reader) error {
		b, err := io.ReadAll(body)
		if err != nil || started.Before(q.From) || started.After(q.To) {
			t.Errorf("%s of %s: %v", id, started, err)
		}
		got[id] = string(b)
		return nil
	})
	return got, sources
}

// What was typed is fetched from where the preferences send it, of this person and this time alone.
func TestLogsOfShells(t *testing.T) {
	for what, p := range map[string]awstwin.SessionPreferences{
		"S3":                   {S3Bucket: shellBucket},
		"S3 with a prefix":     {S3Bucket: shellBucket, S3Prefix: "ssm/prod/"},
		"CloudWatch Logs":      {LogGroup: "/ssm/shells"},
		"streamed":             {LogGroup: "/ssm/shells", Streaming: true},
		"S3, and is not there": {S3Bucket: "gone", LogGroup: "/ssm/shells"},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.AddBucket(wealth, "us-west-2", shellBucket, false)
				w.logging(t, "us-west-2", &p)
				bob := w.AddUser(awstwin.User{UserName: "bob", Email: "bob@forge.example"})
				w.typed(t, w.alice, "us-west-2", "", "long ago")
				time.Sleep(time.Hour)
				from := time.Now()
				time.Sleep(time.Second)
				first := w.typed(t, w.alice, "us-west-2", "", "whoami", "systemctl restart web")
				second := w.typed(t, w.alice, "us-west-2", "", "exit")
				w.typed(t, bob, "us-west-2", "", "not hers")
				got, sources := w.logs(t, w.query(from, time.Now()))
				if len(got) != 2 || !strings.Contains(got[first], "systemctl restart web") || !strings.Contains(got[second], "exit") {
					t.Errorf("%q", got)
				}
				if len(sources) != 1 || sources[0].Region != "shell logs in us-west-2" || sources[0].Events != 2 || sources[0].Error != "" {
					t.Errorf("%+v", sources)
				}
			})
		})
	}
}

// What has no log, and why, is said.
func TestShellsWithoutALog(t *testing.T) {
	open := func(w *world, t *testing.T) string { return w.typed(t, w.alice, "us-east-1", "", "whoami") }
	for what, c := range map[string]struct {
		preferences *awstwin.SessionPreferences
		happens     func(w *world, t *testing.T)
		says        string
	}{
		"a forwarded port": {&awstwin.SessionPreferences{S3Bucket: shellBucket}, func(w *world, t *testing.T) {
			w.typed(t, w.alice, "us-east-1", "AWS-StartPortForwardingSession")
		}, "1 without a log: a forwarded port or SSH"},
		"no preferences": {nil, func(w *world, t *testing.T) { open(w, t) }, "1 without a log: the account's preferences keep none"},
		"an empty form":  {&awstwin.SessionPreferences{}, func(w *world, t *testing.T) { open(w, t); open(w, t) }, "2 without a log: the account's preferences keep none"},
		"erased":         {&awstwin.SessionPreferences{S3Bucket: shellBucket}, func(w *world, t *testing.T) { w.EraseObject(shellBucket, open(w, t)+".log") }, "there is none where the preferences send it"},
		"no preferences may be read": {&awstwin.SessionPreferences{S3Bucket: shellBucket}, func(w *world, t *testing.T) {
			open(w, t)
			w.FailNext("ssm", "GetDocument", "AccessDeniedException", 10)
		}, "ssm:GetDocument on SSM-SessionManagerRunShell"},
		"no object may be read": {&awstwin.SessionPreferences{S3Bucket: shellBucket}, func(w *world, t *testing.T) {
			open(w, t)
			w.FailNext("s3", "GetObject", "AccessDenied", 10)
		}, "needs s3:GetObject"},
		"no lines may be read": {&awstwin.SessionPreferences{LogGroup: "g"}, func(w *world, t *testing.T) {
			open(w, t)
			w.FailNext("logs", "GetLogEvents", "AccessDeniedException", 10)
		}, "needs logs:GetLogEvents on g"},
		"no shells may be listed": {nil, func(w *world, t *testing.T) { w.FailNext("ssm", "DescribeSessions", "AccessDeniedException", 1) }, "ssm:DescribeSessions"},
		"no role": {nil, func(w *world, t *testing.T) {
			w.SetRole(wealth, member, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`, nil)
		}, "cannot be assumed"},
		"still open": {&awstwin.SessionPreferences{S3Bucket: shellBucket}, func(w *world, t *testing.T) { w.shell(t, w.alice, wealth, set, "us-east-1") }, "1 without a log: still open"},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.AddBucket(wealth, "us-east-1", shellBucket, false)
				w.logging(t, "us-east-1", c.preferences)
				from := time.Now()
				c.happens(w, t)
				q := w.query(from, time.Now())
				q.Account.Regions = nil
				got, sources := w.logs(t, q)
				if len(got) != 0 || len(sources) != 1 || !strings.Contains(sources[0].Error, c.says) || sources[0].Events != 0 {
					t.Errorf("%q %+v, want %q", got, sources, c.says)
				}
			})
		})
	}
}

// A log that is longer than what is kept is cut, one of several parts is whole, and of very many shells the first are fetched.
func TestLogsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.AddBucket(wealth, "us-east-1", shellBucket, false)
		w.logging(t, "us-east-1", &awstwin.SessionPreferences{S3Bucket: shellBucket})
		w.wire.to = &ranged{next: w.Organization}
		from := time.Now()
		long, parts, empty := w.typed(t, w.alice, "us-east-1", "", "x"), w.typed(t, w.alice, "us-east-1", "", "x"), w.typed(t, w.alice, "us-east-1", "", "x")
		whole := bytes.Repeat([]byte("0123456789abcde\n"), (2*shellPart+100)/16)
		w.PlaceObject(shellBucket, long+".log", bytes.Repeat([]byte("y"), mostShellLog+1))
		w.PlaceObject(shellBucket, parts+".log", whole)
		w.PlaceObject(shellBucket, empty+".log", nil)
		got, sources := w.logs(t, w.query(from, time.Now()))
		if len(got[long]) != mostShellLog || got[parts] != string(whole) || got[empty] != "" || len(got) != 3 {
			t.Errorf("%d, %d and %d bytes", len(got[long]), len(got[parts]), len(got[empty]))
		}
		if sources[0].Events != 3 || sources[0].Error != "1 cut at 50 MB" {
			t.Errorf("%+v", sources)
		}
		for range mostShellLogs {
			w.typed(t, w.alice, "us-east-1", "", "x")
		}
		got, sources = w.logs(t, w.query(from, time.Now()))
		if len(got) != mostShellLogs || !strings.Contains(sources[0].Error, "3 without a log: no more than 200 are fetched") {
			t.Errorf("%d logs, %+v", len(got), sources)
		}
	})
}

// A log of which no more comes is said to be broken off; whoever cannot keep one ends it all.
func TestLogsThatBreakOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.AddBucket(wealth, "us-east-1", shellBucket, false)
		w.logging(t, "us-east-1", &awstwin.SessionPreferences{S3Bucket: shellBucket})
		from := time.Now()
		first, second := w.typed(t, w.alice, "us-east-1", "", "x"), w.typed(t, w.alice, "us-east-1", "", "y")
		w.PlaceObject(shellBucket, first+".log", make([]byte, 2*shellPart))
		q := w.query(from, time.Now())
		broken := &ranged{next: w.Organization}
		w.wire.to = broken
		var kept []string
		sources := w.conn.Shells().Logs(t.Context(), q, func(id string, _ time.Time, body io.Reader) error {
			broken.fails = 0
			if id == first {
				broken.fails = 100 // more than it is tried
			}
			if _, err := io.Copy(io.Discard, body); err != nil {
				return fmt.Errorf("keeping it: %w", err)
			}
			kept = append(kept, id)
			return nil
		})
		if len(kept) != 1 || kept[0] != second || sources[0].Events != 1 || sources[0].Error != "1 broken off: AWS answered InternalServerError" {
			t.Errorf("%v %+v", kept, sources)
		}
		n := 0
		sources = w.conn.Shells().Logs(t.Context(), q, func(string, time.Time, io.Reader) error { n++; return errors.New("disk full") })
		if n != 1 || sources[0].Error != "it was interrupted" {
			t.Errorf("%d %+v", n, sources)
		}
	})
}

// Documents of Session Manager, as people write them.
func TestWhereADocumentSendsLogs(t *testing.T) {
	for content, want := range map[string]sink{
		`{"sessionType":"Standard_Stream","inputs":{"s3BucketName":"b","s3KeyPrefix":"/a/b/","cloudWatchLogGroupName":""}}`: {bucket: "b", prefix: "a/b"},
		`{"sessionType":"Port","parameters":{}}`: {silent: true},
		`{"schemaVersion":"1.0"}`:                {},
		`{"inputs":{"s3BucketName":7}}`:          {fault: "the preferences are not in a form that can be read"},
		``:                                       {fault: "the preferences are not in a form that can be read"},
		`{"inputs":{"cloudWatchLogGroupName":"g"}}`: {group: "g"},
	} {
		if got := readSink(content); got != want {
			t.Errorf("%s: %+v", content, got)
		}
	}
}
