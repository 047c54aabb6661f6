package aws

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// inVault plays a story with a bucket that has Object Lock.
func inVault(t *testing.T, story func(t *testing.T, w *world, a *Archive)) {
	bubble(t, func(t *testing.T, w *world) {
		w.AddBucket(management, "us-east-1", vault, true)
		story(t, w, w.vaulted(t, "s3://"+vault))
	})
}

func TestEvidenceIsLocked(t *testing.T) {
	inVault(t, func(t *testing.T, w *world, a *Archive) {
		for name, kind := range map[string]string{"a.json": "application/json", "a.jsonl": "application/x-ndjson", "a.html": "text/html; charset=utf-8",
			"a.note": "text/plain; charset=utf-8", "a.png": "image/png", "a.bin": "application/octet-stream"} {
			mustPut(t, a, name, "evidence")
			for _, o := range w.Objects(vault) {
				if o.Key == name && (o.Mode != "COMPLIANCE" || !o.RetainUntil.Equal(time.Now().Add(year)) || o.SHA256 == "" || o.ContentType != kind) {
					t.Errorf("%+v", o)
				}
			}
		}
	})
}

// The upload went through and its answer was lost, by a cut or in silence; or it never arrived.
func TestUploadsThatEndInDoubt(t *testing.T) {
	inVault(t, func(t *testing.T, w *world, a *Archive) {
		for i, spoil := range []func(){
			func() { w.DropReplyNext("s3", "PutObject", 1) }, func() { w.StallReplyNext("s3", "PutObject", 1) }, func() { w.HangNext("s3", "PutObject") },
			func() { w.FailNext("s3", "PutObject", "InternalError", 1) }, func() { w.FailNext("s3", "PutObject", "SlowDown", 9) },
			func() { w.FailNext("s3", "PutObject", "ConditionalRequestConflict", 9) }, func() { w.FailNext("s3", "PutObject", "ExpiredToken", 1) }} {
			name := fmt.Sprintf("log/%d.jsonl", i)
			spoil()
			begun := time.Now()
			isFault(t, put(t, a, name, name))
			if d := time.Since(begun); d > 40*time.Second {
				t.Errorf("%d: %s", i, d)
			}
			w.ClearFaults()
			time.Sleep(10 * time.Second)
			mustPut(t, a, name, name)
			holds(t, a, name, name)
		}
		if n := len(w.ObjectVersions(vault)); n != 7 {
			t.Errorf("%d versions of 7 objects", n)
		}
	})
}

// A little throttling and two who write the same name are not worth the caller's attention.
func TestUploadsThatSucceedAtTheSecondTry(t *testing.T) {
	inVault(t, func(t *testing.T, w *world, a *Archive) {
		w.FailNext("s3", "PutObject", "SlowDown", 2)
		mustPut(t, a, "a.json", "x")
		w.FailNext("s3", "PutObject", "ConditionalRequestConflict", 3)
		mustPut(t, a, "b.json", "x")
	})
}

func TestS3IsAwayForADay(t *testing.T) {
	inVault(t, func(t *testing.T, w *world, a *Archive) {
		w.Unreachable("s3", true)
		for range 24 {
			isFault(t, put(t, a, "a.json", "x"))
			_, err := a.Objects(t.Context(), "")
			isFault(t, err)
			_, err = a.Newest(t.Context(), "")
			isFault(t, err)
			time.Sleep(time.Hour)
		}
		w.Unreachable("s3", false)
		w.Outage("s3", true)
		isFault(t, put(t, a, "a.json", "x"))
		_, err := a.Open(t.Context(), "a.json")
		isFault(t, err)
		w.Outage("s3", false)
		mustPut(t, a, "a.json", "x")
	})
}

func TestBucketsThatAreNoArchive(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.AddBucket(management, "us-east-1", "unlocked", false)
		w.AddBucket(wealth, "us-east-1", "not-ours", true)
		w.AddBucket(management, "us-east-1", vault, true)
		for bucket, code := range map[string]string{"unlocked": "InvalidRequest", "not-ours": "AccessDenied", "missing": "NoSuchBucket"} {
			a := w.vaulted(t, "s3://"+bucket)
			err := put(t, a, "a.json", "x")
			isRefusal(t, err, code)
			if !strings.Contains(err.Error(), "the bucket "+bucket) && !strings.Contains(err.Error(), "bucket "+bucket) {
				t.Errorf("no plain words: %v", err)
			}
		}
		a := w.vaulted(t, "s3://"+vault)
		err := a.Put(t.Context(), "a.json", strings.NewReader("x"), 1, sha256.Sum256([]byte("x")), time.Now().Add(-time.Hour))
		isRefusal(t, err, "InvalidArgument")
		isRefusal(t, a.Put(t.Context(), "a.json", &zeros{n: largestObject + 1}, largestObject+1, [32]byte{}, time.Now().Add(year)), CodeTooLarge)
		// It may write and lock, and may not read back what is there.
		w.SetBotPolicy(map[string]string{"bot": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:PutObject","s3:PutObjectRetention"],"Resource":"*"}]}`})
		mustPut(t, a, "a.json", "x")
		isRefusal(t, put(t, a, "a.json", "x"), "AccessDenied")
		w.SetBotPolicy(map[string]string{"bot": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}`})
		isRefusal(t, put(t, a, "b.json", "x"), "AccessDenied")
	})
}

// A bucket elsewhere says where; the SDK does not follow.
func TestBucketInAnotherRegion(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.wire.to = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("X-Amz-Bucket-Region", "eu-central-1")
			rw.Header().Set("Content-Type", "application/xml")
			rw.WriteHeader(301)
			fmt.Fprint(rw, `<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>`)
		})
		err := put(t, w.vaulted(t, "s3://"+vault), "a.json", "x")
		isRefusal(t, err, "PermanentRedirect")
		if !strings.Contains(err.Error(), "?region=eu-central-1") {
			t.Error(err)
		}
	})
}

// Somebody has been at the archive: what counts is what was there first, and all else is reported.
func TestSomebodyWasAtTheBucket(t *testing.T) {
	inVault(t, func(t *testing.T, w *world, a *Archive) {
		mustPut(t, a, "hidden.json", "truth")
		mustPut(t, a, "covered.json", "truth")
		mustPut(t, a, "z.json", "truth")
		first := time.Now()
		time.Sleep(time.Hour)
		w.HideObject(vault, "hidden.json")
		for range 1500 { // more than a page
			w.CoverObject(vault, "covered.json", []byte("lies"))
		}
		w.HideObject(vault, "z.json")
		w.CoverObject(vault, "z.json", []byte("more lies"))
		for _, n := range []string{"hidden.json", "covered.json", "z.json"} {
			holds(t, a, n, "truth")
		}
		all, err := a.Objects(t.Context(), "")
		want := []Object{{"covered.json", 5, first, 1501, false}, {"hidden.json", 5, first, 1, true}, {"z.json", 5, first, 2, true}}
		if err != nil || len(all) != len(want) {
			t.Fatalf("%+v, %v", all, err)
		}
		for i, o := range all {
			o.Modified = o.Modified.Local()
			if !o.Modified.Equal(want[i].Modified.Truncate(time.Millisecond)) {
				t.Errorf("%s written at %s", o.Name, o.Modified)
			}
			if o.Modified = want[i].Modified; o != want[i] {
				t.Errorf("%+v, want %+v", o, want[i])
			}
		}
		if got, err := a.Newest(t.Context(), ""); got != "z.json" || err != nil {
			t.Error(got, err)
		}
		w.HideObject(vault, "z.json")
		if got, _ := a.Newest(t.Context(), ""); got != "z.json" {
			t.Errorf("a deleted name is the newest still, not %s", got)
		}
		// The same once more: success, where the name is taken, if the oldest is the same.
		mustPut(t, a, "covered.json", "truth")
		isRefusal(t, put(t, a, "covered.json", "lies"), CodeDiffers)
	})
}

// Somebody put the very same there before us, without a lock and without a checksum: it is locked now.
func TestWhatIsThereAlreadyIsLocked(t *testing.T) {
	inVault(t, func(t *testing.T, w *world, a *Archive) {
		w.PlaceObject(vault, "a.json", []byte("x"))
		mustPut(t, a, "a.json", "x")
		if o := w.Objects(vault)[0]; o.Mode != "COMPLIANCE" || !o.RetainUntil.Equal(time.Now().Add(year)) {
			t.Errorf("%+v", o)
		}
		w.PlaceObject(vault, "b.json", []byte("y"))
		isRefusal(t, put(t, a, "b.json", "x"), CodeDiffers)
		holds(t, a, "b.json", "y")
	})
}

func TestBucketIsReady(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.AddBucket(management, "us-east-1", "unlocked", false)
		w.AddBucket(management, "us-east-1", vault, true)
		for _, x := range []struct {
			at   string
			want string // of each row: + where it is fine, ! where it warns, - where it is not
		}{{"s3://" + vault + "/a", "++++"}, {"s3://unlocked", "+--+"}, {"s3://missing", "-"}} {
			got := ""
			for _, r := range w.vaulted(t, x.at).Ready(t.Context()) {
				switch {
				case !r.OK:
					got += "-"
				case r.Remedy != "":
					got += "!"
				default:
					got += "+"
				}
				if r.What == "" || r.Found == "" || r.Needed == "" || (!r.OK && r.Remedy == "") {
					t.Errorf("%+v", r)
				}
			}
			if got != x.want {
				t.Errorf("%s: %s, want %s", x.at, got, x.want)
			}
		}
		w.SetBotPolicy(map[string]string{"bot": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListBucket","s3:PutObject"],"Resource":"*"}]}`})
		rows := w.vaulted(t, "s3://"+vault).Ready(t.Context())
		if len(rows) != 4 || !rows[1].OK || rows[1].Remedy == "" || !rows[2].OK || rows[2].Remedy == "" || rows[3].OK {
			t.Errorf("%+v", rows)
		}
	})
}

// stream answers S3's calls without keeping anything: uploads are counted, downloads are zeros.
type stream struct{ size, got int64 }

func (s *stream) RoundTrip(r *http.Request) (*http.Response, error) {
	out := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r, ProtoMajor: 1, ProtoMinor: 1}
	switch {
	case r.Method == "PUT":
		n, err := io.Copy(io.Discard, r.Body)
		if s.got += n; err != nil {
			return nil, err
		}
	case r.URL.Query().Has("versions"):
		out.Body = io.NopCloser(strings.NewReader(`<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>events.jsonl</Key><VersionId>1</VersionId></Version></ListVersionsResult>`))
	default:
		out.Body, out.ContentLength = io.NopCloser(&zeros{n: s.size}), s.size
	}
	return out, nil
}

// An upload and a download of 100 MB go by in a few MB.
func TestLargeEvidence(t *testing.T) {
	const size = 100 << 20
	env(t)
	w := newWorld(t, twinDefaults, Config{})
	wire := &stream{size: size}
	c, err := Connect(t.Context(), Config{Region: "us-east-1", HTTP: &http.Client{Transport: wire}})
	if err != nil {
		t.Fatal(err)
	}
	w.conn = c
	sum := sumOf(t, &zeros{n: size})
	for _, at := range []string{"s3://" + vault, "file:" + t.TempDir()} {
		a := w.vaulted(t, at)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := a.Put(t.Context(), "events.jsonl", &zeros{n: size}, size, sum, time.Now().Add(year)); err != nil {
			t.Fatal(err)
		}
		r, err := a.Open(t.Context(), "events.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		if cerr := r.Close(); n != size || err != nil || cerr != nil {
			t.Fatal(n, err, cerr)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("%s: %d bytes were allocated", at, used)
		}
	}
	if wire.got != size {
		t.Errorf("%d bytes were sent", wire.got)
	}
}

// stuck is a body of which nothing comes after the first bytes.
type stuck struct{ ctx context.Context }

func (s stuck) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }
func (s stuck) Close() error             { return nil }

type stalling struct{ next http.RoundTripper }

func (s stalling) RoundTrip(r *http.Request) (*http.Response, error) {
	out, err := s.next.RoundTrip(r)
	if err == nil && r.Method == "GET" && !r.URL.Query().Has("versions") {
		out.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(out.Body, 2), stuck{r.Context()}), out.Body}
	}
	return out, err
}

// A connection that dies in silence while an object is read ends the reading a minute later; the caller's context ends it at once.
func TestReadingThatStalls(t *testing.T) {
	inVault(t, func(t *testing.T, w *world, a *Archive) {
		mustPut(t, a, "a.json", "evidence")
		c, err := Connect(t.Context(), Config{Region: "us-east-1", HTTP: &http.Client{Transport: stalling{w.wire}}})
		if err != nil {
			t.Fatal(err)
		}
		w.conn = c
		a = w.vaulted(t, "s3://"+vault)
		for limit, want := range map[time.Duration]time.Duration{time.Hour: silence, 5 * time.Second: 5 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			r, err := a.Open(ctx, "a.json")
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			b, err := io.ReadAll(r)
			if string(b) != "ev" || err == nil || time.Since(begun) != want {
				t.Errorf("%q, %v after %s", b, err, time.Since(begun))
			}
			r.Close()
			cancel()
		}
		w.HangNext("s3", "GetObject")
		if r, err := a.Open(t.Context(), "a.json"); err != nil { // the second attempt
			t.Error(err)
		} else {
			r.Close()
		}
	})
}
