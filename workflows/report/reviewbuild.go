package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"breakglass/store"
)

// builder counts requests into a review. What it holds grows with the number of different people, places and scenarios, and by a number
// for each decision and session, and an id for each ticket that was late.
type builder struct {
	*Review
	from, to time.Time
	at       time.Time

	escalated map[store.ID]bool

	people, places, scenarios, tiers, ends map[string]*Row
	approvals, opens                       []Cited
	medians                                [months][]int64
}

func newBuilder(r *Review, m Month) *builder {
	b := &builder{Review: r, from: m.From, to: m.To, at: m.At, escalated: m.Escalated, people: map[string]*Row{}, places: map[string]*Row{}, scenarios: map[string]*Row{},
		tiers: map[string]*Row{}, ends: map[string]*Row{}}
	for i := range months {
		bar := Bar{Month: b.start(i).Format("2006-01")}
		if n := i - (months - len(m.Found)); n >= 0 && n < len(m.Found) {
			bar.Found = m.Found[n]
		}
		r.Trend = append(r.Trend, bar)
	}
	return b
}

// start is the first moment of a month of the trend. AddDate on the first of a month keeps to the calendar and its zone.
func (b *builder) start(i int) time.Time { return b.from.AddDate(0, i-months+1, 0) }

// month is a time's place in the trend, -1 for none.
func (b *builder) month(t time.Time) int {
	if !t.Before(b.to) {
		return -1
	}
	for i := months - 1; i >= 0; i-- {
		if !t.Before(b.start(i)) {
			return i
		}
	}
	return -1
}

// granted says whether there was access: what AWS refused, and what was never decided, is not a session.
func wasOpen(r *store.Request) bool { return !r.GrantedAt.IsZero() && r.State != store.Failed }

func (b *builder) add(r *store.Request) {
	i := b.month(r.SubmittedAt)
	if i < 0 {
		return
	}
	if r.Lead != "" { // somebody asked for one thing; what came along with it is looked at, and not counted as another
		if i == months-1 && wasOpen(r) {
			b.Along++
			b.remark(r)
		}
		return
	}
	bar := &b.Trend[i]
	wait, approved := approval(r)
	if approved {
		b.medians[i] = append(b.medians[i], seconds(wait))
	}
	switch {
	case wasOpen(r):
		bar.Sessions++
		if r.Tier == 0 {
			bar.TierZero++
		}
	case r.State == store.Denied || r.State == store.Cancelled || r.State == store.Expired || r.State == store.Failed:
		bar.Refused++
	}
	if i == months-1 {
		b.thisMonth(r)
	}
}

// approval is how long somebody waited for the word of others.
func approval(r *store.Request) (time.Duration, bool) {
	if r.DecidedAt.IsZero() || r.State == store.Denied || r.State == store.Expired || r.State == store.Cancelled && r.GrantedAt.IsZero() {
		return 0, false
	}
	return r.DecidedAt.Sub(r.SubmittedAt), slices.ContainsFunc(r.Decisions, func(d store.Decision) bool { return d.Approved })
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func (b *builder) thisMonth(r *store.Request) {
	b.Requests++
	var open int64
	if wasOpen(r) {
		d, _ := (Case{Request: *r, At: b.at}).open()
		open = seconds(d)
		b.Sessions++
		b.opens = append(b.opens, Cited{r.ID, open})
		if !slices.ContainsFunc(r.Decisions, func(d store.Decision) bool { return d.Approved }) {
			b.Unasked++
		}
		b.remark(r)
	}
	switch {
	case r.State == store.Denied:
		b.Denied++
	case r.State == store.Cancelled:
		b.Cancelled++
	case r.State == store.Expired:
		b.Expired++
	case r.State == store.Failed:
		b.Failed++
	case !wasOpen(r):
		b.Undecided++
	}
	if wait, ok := approval(r); ok {
		b.approvals = append(b.approvals, Cited{r.ID, seconds(wait)})
	}
	where := where(r)
	b.row(b.people, r.Requester.UserID+"\x00"+r.Requester.Label(), full(r.Requester), r, open)
	b.row(b.places, where, where, r, open)
	b.row(b.scenarios, r.Scenario, oneLine(r.Title, 80), r, open)
	b.row(b.tiers, fmt.Sprint(r.Tier), fmt.Sprintf("Tier %d", r.Tier), r, open)
	if !r.EndedAt.IsZero() && r.End.Why != "" {
		b.row(b.ends, r.End.Why, r.End.Why, r, open)
	}
	for _, x := range r.Extensions {
		switch x.State {
		case store.ExtensionGranted:
			b.Extended++
		case store.ExtensionDenied, store.ExtensionLapsed:
			b.NotLonger++
		}
	}
}

func (b *builder) row(rows map[string]*Row, key, name string, r *store.Request, open int64) {
	row := rows[key]
	if row == nil {
		row = &Row{Name: name}
		rows[key] = row
	}
	row.Requests++
	row.Open += open
	if wasOpen(r) {
		row.Sessions++
	}
}

// remark puts a session on the lists of those that want to be looked at.
func (b *builder) remark(r *store.Request) {
	before := b.named()
	defer func() { b.tell(r, b.named() > before) }()
	over := func(due time.Time) bool { return !due.IsZero() && b.at.After(due) }
	if r.Owes && r.PostMortem == nil && over(r.PostMortemBy) && !r.Waives(store.OwedPostMortem) {
		b.NoMortem.add(r.ID)
	}
	if r.Ticket == "" && over(r.TicketBy) && !r.Waives(store.OwedTicket) {
		b.NoTicket.add(r.ID)
	}
	if b.ticketIs(r) == owedLate {
		b.LateTicket.add(r.ID)
	}
	if b.mortemIs(r) == owedLate {
		b.LateMortem.add(r.ID)
	}
	if b.escalated[r.ID] || r.Counts["escalated "+store.OwedPostMortem] > 0 || r.Counts["escalated "+store.OwedTicket] > 0 {
		b.Escalated.add(r.ID)
	}
	if len(r.Waived) > 0 {
		b.Waived.add(r.ID)
	}
	if r.End.Why == store.EndForced {
		b.Forced.add(r.ID)
	} else if late, ok := overdue(r); ok && seconds(late) > b.Late.Seconds {
		b.Late = Cited{r.ID, seconds(late)}
	}
	t := (Case{Request: *r}).total()
	if t.sensitive > 0 {
		b.Sensitive.add(r.ID)
	}
	if t.outside+t.taken > 0 {
		b.Outside.add(r.ID)
	}
	if len(t.unread) > 0 || len(r.Readings) == 0 && r.Group == "" && !r.EndedAt.IsZero() {
		b.Incomplete.add(r.ID)
	}
}

// lists are those that name sessions to look at.
func (b *builder) lists() []*List {
	return []*List{&b.NoMortem, &b.NoTicket, &b.Waived, &b.LateMortem, &b.LateTicket, &b.Escalated, &b.Sensitive, &b.Outside, &b.Incomplete, &b.Forced}
}

// named is how often a session is on a list.
func (b *builder) named() (n int) {
	for _, l := range b.lists() {
		n += l.Count
	}
	return n
}

func (b *builder) finish() {
	b.fewer()
	for i, all := range b.medians {
		slices.Sort(all)
		b.Trend[i].Approval = rankOf(all, 50)
	}
	b.Approval, b.Open = spread(b.approvals), spread(b.opens)
	b.ByPerson, b.ByPlace, b.ByScenario = most(b.people), most(b.places), most(b.scenarios)
	b.ByTier, b.ByEnd = most(b.tiers), most(b.ends)
	slices.SortFunc(b.ByTier, func(a, c Row) int { return cmp.Compare(a.Name, c.Name) })
	for _, l := range b.lists() {
		slices.SortFunc(l.IDs, byNumber)
	}
}

// byNumber puts BG-999 before BG-1000.
func byNumber(a, b store.ID) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// rankOf is the nearest rank: the smallest value that at least so many of a hundred do not pass. 0 for none.
func rankOf(sorted []int64, percent int) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*percent+99)/100, 1)-1]
}

func spread(all []Cited) Spread {
	slices.SortFunc(all, func(a, b Cited) int { return cmp.Or(cmp.Compare(a.Seconds, b.Seconds), byNumber(b.ID, a.ID)) })
	var values []int64
	for _, c := range all {
		values = append(values, c.Seconds)
	}
	s := Spread{Count: len(all), Median: rankOf(values, 50), P90: rankOf(values, 90)}
	if len(all) > 0 {
		s.Slowest = all[len(all)-1]
	}
	return s
}

// most are the rows with the most requests first; those past the bound are one row together.
func most(rows map[string]*Row) []Row {
	out := make([]Row, 0, len(rows))
	for _, r := range rows {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(b.Sessions, a.Sessions), cmp.Compare(b.Open, a.Open), cmp.Compare(a.Name, b.Name))
	})
	if len(out) > mostRows {
		rest := Row{Name: count(len(out)-mostRows+1, "other")}
		for _, r := range out[mostRows-1:] {
			rest.Requests, rest.Sessions, rest.Open = rest.Requests+r.Requests, rest.Sessions+r.Sessions, rest.Open+r.Open
		}
		out = append(out[:mostRows-1], rest)
	}
	return out
}
