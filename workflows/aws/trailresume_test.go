package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

// busy lets Alice do n things in two Regions, several in the same second, and returns what to ask for.
func (w *world) busy(t *testing.T, n int) store.Query {
	t.Helper()
	w.trusting(wealth)
	w.Assign(w.alice, wealth, set)
	from := time.Now()
	s, err := w.SignIn(w.alice, wealth, set)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if i%3 == 0 {
			time.Sleep(time.Second)
		}
		_ = s.Do(t.Context(), awstwin.Action{Service: "ec2", Name: "DescribeInstances", Region: []string{"us-east-1", "us-west-2"}[i%2]})
	}
	to := time.Now()
	time.Sleep(20 * time.Minute)
	return w.query(from, to)
}

// ids are the events that were kept, in order; one that was kept twice is a fault.
func (k *kept) ids(t *testing.T) (ids []string) {
	t.Helper()
	for _, l := range k.lines {
		if l.mark == nil {
			ids = append(ids, l.record.ID)
		}
	}
	slices.Sort(ids)
	if n := len(slices.Compact(slices.Clone(ids))); n != len(ids) {
		t.Errorf("%d events were kept twice", len(ids)-n)
	}
	return ids
}

// A reading that dies anywhere and is resumed, as often as it dies, keeps each event once and counts as one that never died.
func TestResumedAfterACrashAnywhere(t *testing.T) {
	for what, trail := range map[string]func(w *world) *Trail{
		"lookup":   func(w *world) *Trail { return w.conn.Trail() },
		"insights": func(w *world) *Trail { return w.conn.TrailFrom(orgGroup, "", "") },
		"athena":   func(w *world) *Trail { return w.conn.TrailFrom("", "trail", "breakglass") },
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.connect(t, Config{MemberRole: member})
				if what != "lookup" {
					w.orgTrail(t)
				}
				q := w.busy(t, 230)
				var whole kept
				want := trail(w).Collect(t.Context(), q, store.Resume{}, whole.each, whole.mark)
				if len(whole.ids(t)) < 231 || len(want) < 3 {
					t.Fatalf("%d events, %+v", len(whole.ids(t)), want)
				}
				for _, step := range []int{1, 7, 60} { // how many lines each life keeps
					var k kept
					died := errors.New("died")
					for lives := 0; ; lives++ {
						until := len(k.lines) + step
						k.fails = func(n int) error {
							if n > until {
								return died
							}
							return nil
						}
						got := trail(w).Collect(t.Context(), q, k.progress(), k.each, k.mark)
						if len(k.lines) == until && lives < 200 {
							if step == 1 && lives == 40 {
								step = 50
							}
							continue
						}
						if d := cmp.Diff(want, got); d != "" {
							t.Errorf("sources of a reading in %d lives (-want +got):\n%s", lives+1, d)
						}
						break
					}
					if d := cmp.Diff(whole.ids(t), k.ids(t)); d != "" {
						t.Errorf("events (-want +got):\n%s", d)
					}
				}
			})
		})
	}
}

// What is done is not asked again, and a place that failed is.
func TestResumedWhereItFailed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		q := w.busy(t, 300)
		w.wire.to = failsLater{w.Organization, "us-west-2"}
		var k kept
		sources := w.conn.Trail().Collect(t.Context(), q, store.Resume{}, k.each, k.mark)
		if sources[0].Error != "" || !strings.Contains(sources[1].Error, "nothing before ") || sources[2].Error != "" {
			t.Fatalf("%+v", sources)
		}
		w.wire.to = w.Organization
		calls := len(w.Calls())
		sources = w.conn.Trail().Collect(t.Context(), q, k.progress(), k.each, k.mark)
		if sources[0].Error != "" || sources[1].Error != "" || sources[0].Events != 152 || sources[1].Events != 150 {
			t.Errorf("%+v", sources)
		}
		if n := len(w.Calls()) - calls; n != 3 { // three pages in us-west-2, the first of which overlaps
			t.Errorf("%d calls", n)
		}
		if n := len(k.ids(t)); n != 152+150+2 {
			t.Errorf("%d events", n)
		}
	})
}

// endless answers LookupEvents in us-east-1 with n events of Alice, ten a second, and with nothing elsewhere. It keeps none of them.
type endless struct {
	n     int
	first time.Time
}

func (e endless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	var in struct {
		EndTime   float64
		NextToken string
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	if !strings.Contains(r.Header.Get("Authorization"), "/us-east-1/cloudtrail/") {
		fmt.Fprint(w, `{"Events":[]}`)
		return
	}
	last := min(e.n-1, int(in.EndTime-float64(e.first.Unix()))*10+9)
	if in.NextToken != "" {
		_, _ = fmt.Sscan(in.NextToken, &last)
	}
	var events []string
	for ; last >= 0 && len(events) < pageSize; last-- {
		at := e.first.Add(time.Duration(last/10) * time.Second)
		text, _ := json.Marshal(fmt.Sprintf(`{"eventID":"00000000-0000-0000-0000-%012d","eventName":"DescribeInstances","eventSource":"ec2.amazonaws.com","eventTime":%q,
			"awsRegion":"us-east-1","readOnly":true,"requestParameters":{"filler":%q},"userIdentity":{"type":"AssumedRole","principalId":"AROA:alice",
			"onBehalfOf":{"userId":"u-alice"},"sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::%s:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_%s_0123456789abcdef"}}}}`,
			last, at.Format(time.RFC3339), strings.Repeat("x", 1000), wealth, set))
		events = append(events, fmt.Sprintf(`{"EventId":"00000000-0000-0000-0000-%012d","EventTime":%d,"CloudTrailEvent":%s}`, last, at.Unix(), text))
	}
	next := ""
	if last >= 0 {
		next = fmt.Sprintf(`,"NextToken":"%d"`, last)
	}
	fmt.Fprintf(w, `{"Events":[%s]%s}`, strings.Join(events, ","), next)
}

// A hundred thousand events take longer than one reading may last: it is cut, says so, and is resumed. Of each event nothing stays but its id.
func TestAHundredThousandEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 100,000 events")
	}
	bubble(t, func(t *testing.T, w *world) {
		const n, patience = 100_000, 10 * time.Minute
		from := time.Now()
		w.wire.to = endless{n, from.Truncate(time.Second)}
		w.connect(t, Config{})
		time.Sleep(5 * time.Hour)
		q := w.query(from, from.Add(4*time.Hour))
		q.UserID, q.Set = "u-alice", set
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before, most := heap(), uint64(0)
		times := make([]uint8, n)
		given, marks, cut, calls := 0, map[string]store.Mark{}, 0, 0
		number := func(id string) (i int) {
			_, _ = fmt.Sscanf(id[24:], "%d", &i)
			return i
		}
		for {
			p := store.Resume{Given: map[string]int{wealth + "/us-east-1": given}, Has: func(id string) bool { return times[number(id)] > 0 }}
			for _, m := range marks {
				p.Marks = append(p.Marks, m)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			sources := w.conn.Trail().Collect(ctx, q, p, func(_ string, r store.Record) error {
				times[number(r.ID)]++
				if given++; given%20_000 == 0 {
					most = max(most, heap())
				}
				return nil
			}, func(m store.Mark) error { marks[m.Of] = m; return nil })
			cancel()
			calls++
			if sources[0].Events != given {
				t.Errorf("%d given, %+v", given, sources[0])
			}
			if sources[0].Error == "" {
				break
			}
			cut++
			if !strings.HasPrefix(sources[0].Error, "the time for one reading was over; nothing before ") || calls > 5 {
				t.Fatalf("%+v", sources)
			}
		}
		for i, k := range times {
			if k != 1 {
				t.Fatalf("event %d was given %d times", i, k)
			}
		}
		grown := (int64(most) - int64(before)) >> 20
		t.Logf("%d events in %d readings; at most %d MB more than before", given, calls, grown)
		if cut == 0 || grown > 40 {
			t.Errorf("cut %d times, %d MB", cut, grown)
		}
	})
}
