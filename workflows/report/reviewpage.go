package report

import (
	"fmt"
	"time"

	"breakglass/store"
)

// Subject is the mail's.
func (r *Review) Subject() string {
	s := "[Breakglass] Review of " + r.Month + r.until() + ": "
	if r.unknown() {
		return s + "the log begins on " + r.Begins.In(r.From.Location()).Format(dayForm)
	}
	s += count(r.Sessions, "session")
	if r.Violations > 0 {
		s += ", " + count(r.Violations, "finding")
	}
	if n := r.NoMortem.Count + r.NoTicket.Count; n > 0 {
		s += ", " + count(n, "thing") + " still owed"
	}
	return s
}

// Write is the review as a page of at most MostHTML bytes and in plain text of 76 columns, which say the same.
func (r *Review) Write(place Place) (html, text string, err error) { return written(place, r.page) }

// JSON is review.json, indented, with a newline at its end.
func (r *Review) JSON() ([]byte, error) { return indented(r) }

// Mail is the review as it goes out.
func (r *Review) Mail(to []string) (store.Mail, error) {
	html, text, err := r.Write(Mailed)
	if err != nil {
		return store.Mail{}, err
	}
	pictures, err := r.Pictures()
	if err != nil {
		return store.Mail{}, err
	}
	return store.Mail{To: to, Subject: r.Subject(), Text: text, HTML: html, Inline: pictures}, nil
}

// Lines are the figures for the requests channel: a handful, plain, each short enough for a phone.
func (r *Review) Lines() []string {
	lines := []string{r.lead()}
	if len(r.ByScenario) > 0 {
		lines = append(lines, "By scenario: "+counts(r.ByScenario, 4))
	}
	if len(r.ByPlace) > 0 {
		lines = append(lines, "Where: "+counts(r.ByPlace, 4))
	}
	if len(r.ByPerson) > 0 {
		lines = append(lines, fmt.Sprintf("By %s; most by %s", counted(len(r.ByPerson), "person", "people"), counts(r.ByPerson[:1], 1)))
	}
	if r.Approval.Count > 0 {
		lines = append(lines, fmt.Sprintf("Time to approval: half within %s, nine of ten within %s", took(r.Approval.Median), took(r.Approval.P90)))
	}
	n := 0
	for _, p := range r.remarks(room{places: 5, line: 100}) {
		if p.Tone == alarm || p.Tone == warn {
			lines = append(lines, p.Text)
			n++
		}
	}
	if n == 0 {
		lines = append(lines, "Nothing is owed, and nothing was found.")
	}
	return lines
}

func counts(rows []Row, n int) string {
	var s []string
	for _, r := range rows {
		s = append(s, fmt.Sprintf("%s (%d)", r.Name, r.Requests))
	}
	return list(s, n)
}

func took(seconds int64) string {
	if seconds <= 0 {
		return "0 seconds" // "at most less than a minute" is no English
	}
	return lasting(time.Duration(seconds) * time.Second)
}

// until is said with the month where it is not over: what stands there is not the whole of it.
func (r *Review) until() string {
	if r.Until.IsZero() {
		return ""
	}
	return " until " + when(r.Until)
}

// unknown says that nothing of the month is in the log.
func (r *Review) unknown() bool { return !r.Begins.Before(r.To) }

// begins is what there is to say of a log that is younger than the month.
func (r *Review) begins() string {
	day := r.Begins.In(r.From.Location()).Format(dayForm)
	if r.unknown() {
		return "The log begins on " + day + ": of " + r.Month + " nothing is known."
	}
	return "The log begins on " + day + ": of what was before in " + r.Month + " nothing is known."
}

// lead is the month in a sentence.
func (r *Review) lead() string {
	var s string
	switch month := r.Month + r.until(); {
	case r.unknown():
		return r.begins()
	case r.Requests == 0:
		return "The glass was not broken in " + month + ", and nobody asked."
	case r.Sessions == 0:
		s = "The glass was not broken in " + month
	default:
		s = fmt.Sprintf("The glass was broken %s in %s", times(r.Sessions), month)
	}
	s += fmt.Sprintf(", out of %s", count(r.Requests, "request"))
	if before := r.Trend[len(r.Trend)-2]; before.Sessions > 0 || r.Sessions > 0 {
		s += fmt.Sprintf("; the month before: %s", grouped(before.Sessions))
	}
	return s + "."
}

func (r *Review) page(m room) page {
	p := page{Kind: "Breakglass: access review, drawn " + when(r.DrawnAt), Title: "Review of " + r.From.Format("January 2006") + r.until(), Lead: r.lead()}
	tileTone := calm
	if r.Violations > 0 {
		tileTone = alarm
	}
	owed, owedTone := r.NoMortem.Count+r.NoTicket.Count, calm
	if owed > 0 {
		owedTone = warn
	}
	p.Tiles = []tile{{Number: number(r.Sessions), Name: noun(r.Sessions, "session")}, {Number: number(len(r.ByPerson)), Name: noun(len(r.ByPerson), "requester")},
		{Number: number(owed), Name: "owed", Tone: owedTone}, {Number: number(r.Violations), Name: noun(r.Violations, "finding"), Tone: tileTone}}
	if r.unknown() {
		p.Tiles = nil // they would say that nothing happened
	}
	p.add(part{Head: "To look at", Points: r.remarks(m)}, r.sessions(m))
	p.add(r.trend()...)
	if r.Requests > 0 {
		p.add(r.numbers())
		for _, t := range []struct {
			head string
			rows []Row
		}{{"By whom", r.ByPerson}, {"Where", r.ByPlace}, {"By scenario", r.ByScenario}, {"By tier", r.ByTier}, {"How sessions ended", named(r.ByEnd)}} {
			p.add(part{Head: t.head, Table: rowTable(t.head, t.rows, m)})
		}
	}
	p.add(r.findings(m))
	p.add(part{Head: "Questions for the reviewer", Points: asPoints(r.Questions), Notes: []string{"Whoever has gone through them presses “Reviewed” in Slack; that is recorded with their name."}})
	if r.Archive != "" {
		p.add(part{Head: "Evidence", Facts: []fact{{"Archive", oneLine(r.Archive, 300)}}})
	}
	p.Foot = []string{trust, fmt.Sprintf("This covers what was asked for from %s until %s (%s). Times are in UTC where nothing else is said.", r.From.Format(dayForm), r.covers(), r.From.Location())}
	return p
}

func asPoints(lines []string) (out []point) {
	for _, l := range lines {
		out = append(out, point{calm, l})
	}
	return out
}

// covers is where what the review covers ends.
func (r *Review) covers() string {
	if !r.Until.IsZero() {
		return when(r.Until)
	}
	return "before " + r.To.Format(dayForm)
}

// remarks are what a reviewer should begin with.
func (r *Review) remarks(m room) (out []point) {
	say := func(t tone, l List, one, more string) {
		if l.Count > 0 {
			out = append(out, point{t, counted(l.Count, "session", "sessions") + " " + map[bool]string{true: one, false: more}[l.Count == 1] + ": " + ids(l, m.places) + "."})
		}
	}
	say(warn, r.Incomplete, "could not be read in full: what it did may be missing here", "could not be read in full: what they did may be missing here")
	if r.Violations > 0 {
		out = append(out, point{alarm, count(r.Violations, "finding") + " that no request explains, or that put right what somebody had changed. They are listed below."})
	}
	say(alarm, r.Forced, "was closed on an operator's word, with nobody having verified that nothing is left", "were closed on an operator's word, with nobody having verified that nothing is left")
	say(alarm, r.NoMortem, "has no post-mortem though its time is over", "have no post-mortem though their time is over")
	say(alarm, r.NoTicket, "has no ticket though its time is over", "have no ticket though their time is over")
	say(alarm, r.Outside, "had calls outside its time", "had calls outside their time")
	say(warn, r.Sensitive, "had sensitive actions", "had sensitive actions")
	say(warn, r.Waived, "was closed without something it owed", "were closed without something they owed")
	say(warn, r.LateMortem, "has a post-mortem that came late", "have post-mortems that came late")
	say(warn, r.LateTicket, "has a ticket that came late", "have tickets that came late")
	say(warn, r.Escalated, "had something missing of which others were told", "had something missing of which others were told")
	if r.Late.Seconds > seconds(lateAfter) {
		out = append(out, point{warn, fmt.Sprintf("The longest late end: %s took %s from when it should have ended until its absence was verified.", r.Late.ID, took(r.Late.Seconds))})
	}
	if r.Unasked > 0 {
		out = append(out, point{warn, counted(r.Unasked, "session was", "sessions were") + " on nobody's word."})
	}
	switch {
	case !r.Begins.IsZero():
		out = append([]point{{warn, r.begins()}}, out...)
	case len(out) == 0 && !r.Until.IsZero():
		out = append(out, point{good, "Until " + when(r.Until) + " nothing is owed whose time is over, nothing was found, every reading is complete. The month is not over."})
	case len(out) == 0:
		out = append(out, point{good, "Nothing is owed, nothing was found, every reading is complete."})
	}
	return out
}

func ids(l List, n int) string {
	s := make([]string, 0, len(l.IDs))
	for _, id := range l.IDs {
		s = append(s, oneLine(string(id), 24))
	}
	if more := l.Count - n; more > 0 && len(s) > n {
		return list(append(s[:n:n], fmt.Sprintf("%d more", more)), n+1)
	}
	return list(s, n)
}

func (r *Review) numbers() part {
	f := []fact{
		{"Requests", fmt.Sprintf("%s: %d granted, %d denied, %d cancelled, %d expired, %d failed", grouped(r.Requests), r.Sessions, r.Denied, r.Cancelled, r.Expired, r.Failed)},
	}
	if r.Undecided > 0 {
		f[0].Value += fmt.Sprintf(", %d still open", r.Undecided)
	}
	if r.Along > 0 {
		f = append(f, fact{"Along", count(r.Along, "further session") + " granted along with these"})
	}
	if s := r.Approval; s.Count > 0 {
		f = append(f, fact{"Approval", fmt.Sprintf("half within %s, nine of ten within %s; the slowest, %s, took %s", took(s.Median), took(s.P90), s.Slowest.ID, took(s.Slowest.Seconds))})
	}
	if s := r.Open; s.Count > 0 {
		f = append(f, fact{"Open", fmt.Sprintf("half for at most %s, nine of ten for at most %s; the longest, %s, for %s", took(s.Median), took(s.P90), s.Slowest.ID, took(s.Slowest.Seconds))})
	}
	if r.Extended+r.NotLonger > 0 {
		f = append(f, fact{"Extensions", fmt.Sprintf("%d granted, %d not", r.Extended, r.NotLonger)})
	}
	if r.Late.ID != "" {
		f = append(f, fact{"Latest end", fmt.Sprintf("%s, %s after it should have ended", r.Late.ID, took(r.Late.Seconds))})
	}
	return part{Head: "In numbers", Facts: append(f, fact{"Refused", count(r.Refused, "click") + " refused by Breakglass"})}
}

// named are the ends as people say them.
func named(ends []Row) []Row {
	out := append([]Row(nil), ends...)
	for i := range out {
		switch out[i].Name {
		case store.EndExpired:
			out[i].Name = "Its time was over"
		case store.EndedEarly:
			out[i].Name = "Ended by its requester"
		case store.EndRevoked:
			out[i].Name = "Revoked by somebody else"
		case store.EndUncertain:
			out[i].Name = "Taken away because the grant was not certain"
		case store.EndVanished:
			out[i].Name = "Removed behind Breakglass's back"
		case store.EndForced:
			out[i].Name = "Closed on an operator's word"
		case store.EndLockdown:
			out[i].Name = "Ended by the lockdown"
		case store.EndLead:
			out[i].Name = "Ended with another"
		}
	}
	return out
}

func rowTable(head string, rows []Row, m room) *table {
	if len(rows) == 0 {
		return nil
	}
	t := &table{Name: head, Columns: []string{"", "Requests", "Sessions", "Open"}}
	for i, r := range rows {
		if i == m.short {
			t.More = "And " + count(len(rows)-i, "line") + " more, which are in the archive."
			break
		}
		t.Rows = append(t.Rows, row{calm, []string{oneLine(r.Name, m.line), grouped(r.Requests), grouped(r.Sessions), short(time.Duration(r.Open) * time.Second)}})
	}
	return t
}

// findings are what no request explains.
func (r *Review) findings(m room) part {
	s := part{Head: "Findings"}
	if r.unknown() {
		return part{}
	}
	if r.Violations == 0 {
		since := ""
		if !r.Begins.IsZero() {
			since = " since the log begins"
		}
		s.Points = []point{{good, "None" + since + r.until() + ": every use and every assignment had its request."}}
		return s
	}
	for i, f := range r.Findings {
		if i == m.short {
			break
		}
		text := when(f.At) + ", " + oneLine(f.What, 40)
		for _, x := range []string{f.Where, f.Granted, f.Who, f.Detail} {
			if x != "" {
				text += ", " + oneLine(x, m.line)
			}
		}
		if f.Done != "" {
			text += ". " + upper(oneLine(f.Done, m.line))
		}
		s.Points = append(s.Points, point{alarm, text + "."})
	}
	if left := r.Violations - len(s.Points); left > 0 {
		s.Notes = []string{"And " + grouped(left) + " more, which are in the log."}
	}
	return s
}
