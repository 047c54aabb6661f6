package report

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"breakglass/store"
)

// year is what a company asks in a year, the last month of it October: the same each time it is asked.
func year() []store.Request {
	random := rand.New(rand.NewPCG(1, 2))
	people := []store.Person{alice(), bob(), carol()}
	places := []store.Account{{Name: "prod-wealth", ID: "100000000003"}, {Name: "prod-cash", ID: "100000000004"}}
	ways := []struct{ name, title string }{{"ec2", "EC2: logs, processes, env vars over SSM"}, {"rds", "RDS: IAM-authenticated SQL"}, {"console", "Console: read-only dashboards"}, {"emergency", "P1: site down"}}
	var all []store.Request
	id := 1000
	for m := range 12 {
		for range 5 + random.IntN(9) {
			id++
			way := random.IntN(4)
			asked := time.Date(2025, time.November+time.Month(m), 1+random.IntN(27), random.IntN(24), random.IntN(60), 0, 0, time.UTC)
			r := store.Request{ID: store.ID(fmt.Sprintf("BG-%d", id)), State: store.Closed, Requester: people[random.IntN(3)], Account: places[random.IntN(2)],
				Scenario: ways[way].name, Title: ways[way].title, Tier: []int{1, 1, 2, 0}[way], Duration: time.Hour, SubmittedAt: asked, Ticket: "OPS-1", PermissionSet: "Forge-" + ways[way].name}
			decided := asked.Add(time.Duration(30+random.IntN(2400)) * time.Second)
			switch {
			case random.IntN(9) == 0:
				r.State, r.DecidedAt, r.ClosedAt, r.Decisions = store.Denied, decided, decided, []store.Decision{{By: bob(), At: decided}}
			case random.IntN(9) == 0:
				r.State, r.ClosedAt = store.Expired, asked.Add(time.Hour)
			default:
				if way == 3 {
					r.NoWord, decided = true, asked
				} else {
					r.Decisions = []store.Decision{{By: bob(), Approved: true, At: decided}}
				}
				r.DecidedAt, r.GrantedAt, r.VerifiedAt, r.ExpiresAt = decided, decided.Add(2*time.Second), decided.Add(9*time.Second), decided.Add(time.Hour)
				r.EndedAt = r.ExpiresAt.Add(time.Duration(5+random.IntN(60)) * time.Second)
				r.End = store.End{Why: store.EndExpired, By: store.Bot(), At: r.ExpiresAt}
				if random.IntN(3) == 0 {
					early := r.GrantedAt.Add(20 * time.Minute)
					r.End, r.EndedAt = store.End{Why: store.EndedEarly, By: store.Somebody(r.Requester), At: early}, early.Add(7*time.Second)
				}
				r.Owes, r.PostMortemBy = way != 2, r.EndedAt.Add(24*time.Hour)
				if r.Owes && random.IntN(4) != 0 {
					r.PostMortem = &store.PostMortem{By: r.Requester, At: r.EndedAt.Add(time.Hour), Happened: "x", Done: "y"}
				}
				g := store.Reading{At: r.EndedAt.Add(15 * time.Minute), Events: 10, Reads: 10, Sources: []store.Source{{Region: "us-east-1", Events: 10}}}
				if random.IntN(6) == 0 {
					g.Sensitive, g.Writes, g.Reads = 1, 1, 9
				}
				r.Readings = []store.Reading{g}
			}
			r.Reason = []string{"Checkout returns 502 since 11:40; need the logs", "Stuck migration\nholds a lock", "", "The shop is down"}[way]
			switch r.ID {
			case "BG-1115":
				r.TicketBy = r.EndedAt.Add(time.Hour)
			case "BG-1116":
				r.Owes, r.PostMortem, r.Waived = true, nil, []store.Waiver{{What: store.OwedPostMortem, By: carol(), At: r.EndedAt.Add(30 * time.Hour), Reason: "A false alarm"}}
				r.Counts = map[string]int64{"escalated post-mortem": 1}
			case "BG-1118":
				r.PostMortem.At = r.PostMortemBy.Add(3 * time.Hour)
			case "BG-1121":
				r.Ticket, r.TicketBy = "", r.EndedAt.Add(time.Hour)
			}
			all = append(all, r)
		}
	}
	return all
}

func october() Month {
	return Month{From: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), At: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC),
		Requests: slices.Values(year()), Refused: 3, Escalated: map[store.ID]bool{"BG-1115": true}, Found: []int{0, 0, 2, 0, 1, 0, 0, 0, 3, 0, 0, 2}, Archive: "s3://forge-breakglass-archive/reviews/2026-10",
		Findings: []Finding{
			{At: time.Date(2026, 10, 20, 3, 4, 0, 0, time.UTC), What: "unexplained", Where: "prod-cash", Granted: "Forge-Prod-Emergency", Who: "mallory@forge.example", Done: "announced; the assignment was left as it was"},
			{At: time.Date(2026, 10, 7, 3, 4, 0, 0, time.UTC), What: "guard", Where: "prod-wealth", Granted: "Forge-Prod-BreakGlass-EC2", Detail: "the guard lacked a line", Done: "written anew"},
		}}
}

func review() *Review { return NewReview(october()) }

func TestGoldenReview(t *testing.T) {
	r := review()
	html, text, err := r.Write(Filed)
	if err != nil {
		t.Fatal(err)
	}
	data, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "review.html", html)
	golden(t, "review.txt", "Subject: "+r.Subject()+"\n\n"+strings.Join(r.Lines(), "\n")+"\n\n"+text)
	golden(t, "review.json", string(data))
}

// An auditor counts by hand: every request of the month is in each breakdown once, and the figures add up.
func TestReviewAddsUp(t *testing.T) {
	r := review()
	sum := func(rows []Row) (requests, sessions int) {
		for _, x := range rows {
			requests, sessions = requests+x.Requests, sessions+x.Sessions
		}
		return
	}
	for name, rows := range map[string][]Row{"person": r.ByPerson, "place": r.ByPlace, "scenario": r.ByScenario, "tier": r.ByTier} {
		if n, s := sum(rows); n != r.Requests || s != r.Sessions {
			t.Errorf("by %s: %d requests and %d sessions; there are %d and %d", name, n, s, r.Requests, r.Sessions)
		}
	}
	if n := r.Sessions + r.Denied + r.Cancelled + r.Expired + r.Failed + r.Undecided; n != r.Requests {
		t.Errorf("%d requests have an outcome, of %d", n, r.Requests)
	}
	if last := r.Trend[len(r.Trend)-1]; last.Month != "2026-10" || last.Sessions != r.Sessions || last.Found != 2 || len(r.Trend) != 12 || r.Trend[0].Month != "2025-11" {
		t.Errorf("the trend ends with %+v of %d", last, len(r.Trend))
	}
}

// Nobody asked in the whole year: that is said, and nothing divides by it.
func TestReviewOfNothing(t *testing.T) {
	m := october()
	m.Requests, m.Findings, m.Found, m.Refused = nil, nil, nil, 0
	r := NewReview(m)
	if _, err := r.Mail(nil); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(r.Lines(), "\n"); !strings.Contains(s, "not broken") || !strings.Contains(s, "Nothing is owed") {
		t.Errorf("nothing is told as:\n%s", s)
	}
}

// The order in which the store gives requests changes nothing.
func TestReviewKnowsNoOrder(t *testing.T) {
	want, err := review().JSON()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		m := october()
		m.Requests = iter.Seq[store.Request](slices.Values(rapid.Permutation(year()).Draw(t, "order")))
		got, err := NewReview(m).JSON()
		if err != nil || string(got) != string(want) {
			t.Fatalf("another order, another review: %v", err)
		}
	})
}

// A month belongs to the policy's time zone: what was asked for at its last minute there is in it.
func TestReviewGoesByItsZone(t *testing.T) {
	zone := time.FixedZone("UTC+9", 9*3600)
	m := Month{From: time.Date(2026, 10, 1, 0, 0, 0, 0, zone), To: time.Date(2026, 11, 1, 0, 0, 0, 0, zone), At: noon}
	var all []store.Request
	for i, at := range []time.Time{m.From.Add(-time.Second), m.From, m.To.Add(-time.Second), m.To} {
		all = append(all, store.Request{ID: store.ID(fmt.Sprint("BG-", 1001+i)), State: store.Denied, SubmittedAt: at.UTC(), Requester: alice()})
	}
	m.Requests = slices.Values(all)
	if r := NewReview(m); r.Requests != 2 || r.Month != "2026-10" || r.Trend[10].Refused != 1 {
		t.Errorf("%d requests are in %s, %d in the month before", r.Requests, r.Month, r.Trend[10].Refused)
	}
}
