package report

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"breakglass/store"
)

var t0 = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func event(n int, action string, change func(*store.Record)) store.Record {
	r := store.Record{ID: fmt.Sprintf("id-%06d", n), At: t0.Add(time.Duration(n) * time.Second), Service: "ec2", Action: action,
		Region: "us-east-1", ReadOnly: true, Address: "192.0.2.1"}
	if change != nil {
		change(&r)
	}
	return r
}

func writing(r *store.Record) { r.ReadOnly = false }

func gather(earlier []store.Reading, rs ...store.Record) store.Reading {
	g := NewGather(earlier)
	for _, r := range rs {
		g.Add(r)
	}
	return g.Reading(t0.Add(time.Hour), t0, t0.Add(30*time.Minute), []store.Source{{Region: "us-east-1", Events: len(rs)}})
}

func TestGroups(t *testing.T) {
	got := gather(nil,
		event(1, "DescribeInstances", nil),
		event(3, "DescribeInstances", nil),
		event(2, "DescribeInstances", func(r *store.Record) { r.Region = "us-west-2" }),
		event(4, "CreateTags", func(r *store.Record) { r.ReadOnly = false; r.Resource = "i-1" }),
		event(5, "StopInstances", func(r *store.Record) { r.ReadOnly = false; r.Resource = "i-1" }),
		event(6, "RunInstances", func(r *store.Record) { r.ReadOnly = false; r.Error = "AccessDenied" }),
		event(7, "GetParameter", func(r *store.Record) { r.Error = "AccessDenied"; r.Address = "198.51.100.7" }),
		event(8, "DescribeInstances", func(r *store.Record) { r.Address = "cloudformation.amazonaws.com" }),
	)
	want := store.Reading{
		At: t0.Add(time.Hour), From: t0, To: t0.Add(30 * time.Minute), Sources: []store.Source{{Region: "us-east-1", Events: 8}},
		Events: 8, Writes: 2, Reads: 4, Refused: 2,
		Deeds: []store.Deed{
			{Service: "ec2", Action: "StopInstances", Region: "us-east-1", Resource: "i-1", Write: true, Count: 1, First: at(5), Last: at(5)},
			{Service: "ec2", Action: "CreateTags", Region: "us-east-1", Resource: "i-1", Write: true, Count: 1, First: at(4), Last: at(4)},
			{Service: "ec2", Action: "RunInstances", Region: "us-east-1", Error: "AccessDenied", Write: true, Count: 1, First: at(6), Last: at(6)},
			{Service: "ec2", Action: "GetParameter", Region: "us-east-1", Error: "AccessDenied", Count: 1, First: at(7), Last: at(7)},
			{Service: "ec2", Action: "DescribeInstances", Region: "us-east-1", Count: 3, First: at(1), Last: at(8)},
			{Service: "ec2", Action: "DescribeInstances", Region: "us-west-2", Count: 1, First: at(2), Last: at(2)},
		},
		Addresses: []string{"192.0.2.1", "198.51.100.7"},
		Hosts:     []store.Host{{Address: "192.0.2.1", Calls: 6, First: at(1)}, {Address: "198.51.100.7", Calls: 1, First: at(7)}},
		Changed:   []string{"ec2 i-1"},
		Seen:      []string{"id-000001", "id-000002", "id-000003", "id-000004", "id-000005", "id-000006", "id-000007", "id-000008"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("reading (-want +got):\n%s", d)
	}
}

func at(n int) time.Time { return t0.Add(time.Duration(n) * time.Second) }

// One kind on many resources is one line; what it was done to is said only while that is few.
func TestManyResourcesAreOneLine(t *testing.T) {
	var rs []store.Record
	for i := range fewReads + 1 {
		rs = append(rs, event(i, "GetObject", func(r *store.Record) { r.Resource = fmt.Sprint("b/", i) }))
	}
	if got := gather(nil, rs[:fewReads]...); len(got.Deeds) != fewReads {
		t.Errorf("%d resources make %d lines", fewReads, len(got.Deeds))
	}
	got := gather(nil, rs...)
	if len(got.Deeds) != 1 || got.Deeds[0].Count != fewReads+1 || got.Deeds[0].Resource != "" {
		t.Errorf("%d resources: %+v", fewReads+1, got.Deeds)
	}
}

func TestLaterReadingHasOnlyWhatCameLate(t *testing.T) {
	first := gather(nil, event(1, "ListBuckets", nil), event(2, "StopInstances", writing))
	second := gather([]store.Reading{first}, event(1, "ListBuckets", nil), event(2, "StopInstances", writing), event(0, "RunInstances", writing))
	if second.Events != 1 || second.Deeds[0].Action != "RunInstances" {
		t.Fatalf("second reading: %+v", second)
	}
	third := gather([]store.Reading{first, second}, event(1, "ListBuckets", nil), event(2, "StopInstances", writing), event(0, "RunInstances", writing))
	if third.Events != 0 || third.Deeds != nil || third.Seen != nil {
		t.Fatalf("third reading: %+v", third)
	}
}

// A flood of reads fills the memory. The later reading must not tell all of them again, and must still tell a write that comes late,
// however old it is: a flood is how somebody would hide it.
func TestFloodHidesNoLateWrite(t *testing.T) {
	var flood []store.Record
	for i := range 3 * store.MostSeen {
		flood = append(flood, event(10+i, "DescribeInstances", nil))
	}
	first := gather(nil, flood...)
	if len(first.Seen) != store.MostSeen || first.Events != len(flood) {
		t.Fatalf("%d ids of %d events are kept", len(first.Seen), first.Events)
	}
	late := event(5, "DeleteTrail", writing)
	lateRead := event(len(flood)+20, "GetCallerIdentity", nil)
	second := gather([]store.Reading{first}, append(flood, late, lateRead)...)
	if second.Events != 2 || second.Deeds[0].Action != "DeleteTrail" || second.Deeds[1].Action != "GetCallerIdentity" {
		t.Fatalf("second reading: %d events, %+v", second.Events, second.Deeds)
	}
}

// Whatever comes, a reading stays within its bounds, counts everything once, and survives being stored.
func TestBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewGather(nil)
		n := rapid.IntRange(0, 400).Draw(t, "events")
		for i := range n {
			g.Add(store.Record{ID: fmt.Sprint(i), At: at(rapid.IntRange(0, 50).Draw(t, "at")), Service: "s",
				Action: fmt.Sprint("A", rapid.IntRange(0, 90).Draw(t, "action")), ReadOnly: rapid.Bool().Draw(t, "read"),
				Resource: fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "resource")), Error: rapid.SampledFrom([]string{"", "", "AccessDenied"}).Draw(t, "error")})
		}
		r := g.Reading(t0, t0, t0, nil)
		counted := r.LeftOut
		for i, d := range r.Deeds {
			counted += d.Count
			if i > 0 && rank(r.Deeds[i-1]) > rank(d) {
				t.Fatalf("%+v comes before %+v", r.Deeds[i-1], d)
			}
		}
		if counted != n || r.Events != n || r.Writes+r.Reads+r.Refused != n || len(r.Deeds) > store.MostDeeds {
			t.Fatalf("%d events: %d counted, %d deeds, %+v", n, counted, len(r.Deeds), r)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back store.Reading
		if err := json.Unmarshal(b, &back); err != nil || !cmp.Equal(r, back) {
			t.Fatalf("not the same after storing: %v\n%s", err, cmp.Diff(r, back))
		}
	})
}

// A session with a hundred thousand events, all different: what is held at the end is what matters.
func BenchmarkHundredThousand(b *testing.B) {
	rs := make([]store.Record, 100_000)
	for i := range rs {
		rs[i] = event(i, fmt.Sprint("Action", i%500), func(r *store.Record) {
			r.Resource, r.ReadOnly, r.Address = fmt.Sprint("r-", i), i%10 != 0, fmt.Sprintf("10.0.%d.%d", i/256%256, i%256)
		})
	}
	b.ReportAllocs()
	var held float64
	for b.Loop() {
		g := NewGather(nil, Session(at(100), at(90_000)), Sensitive("EC2:RebootInstances", "rds:*"))
		for _, r := range rs {
			g.Add(r)
		}
		r := g.Reading(t0, t0, t0, nil)
		var m0, m1 runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m0)
		runtime.KeepAlive(g)
		g = nil
		runtime.GC()
		runtime.ReadMemStats(&m1)
		held = float64(m0.HeapAlloc) - float64(m1.HeapAlloc)
		runtime.KeepAlive(r)
	}
	b.ReportMetric(held/1024, "KiB-held")
	b.ReportMetric(float64(len(rs)*b.N)/b.Elapsed().Seconds(), "events/s")
}
