package handlers

import (
	"fmt"
	"strings"
	"time"

	"breakglass/store"
)

// mail is an e-mail in plain text. Where the notice brings subject and text they stand; else Data "what" says what of: tier_zero,
// begin or end. Times are in UTC: the readers of one mail live in several zones.
func mail(n store.Notice, r store.Request, f setting) store.Mail {
	m := store.Mail{To: addresses(n.To), Subject: oneLine(n.Data["subject"], 150), Text: n.Data["text"]}
	if m.Subject == "" {
		m.Subject = oneLine(mailSubject(n.Data["what"], r), 150)
	}
	if m.Text == "" {
		m.Text = mailText(n.Data["what"], r, f)
	}
	return m
}

// addresses reads a list of them, comma separated.
func addresses(list string) (to []string) {
	for _, a := range strings.Split(list, ",") {
		if a = strings.TrimSpace(a); a != "" {
			to = append(to, a)
		}
	}
	return to
}

// mailSubject begins with a fixed word to filter by and the id to find the thread by.
func mailSubject(what string, r store.Request) string {
	on := r.Requester.Label() + " on " + r.Account.Name
	if r.Group != "" {
		on = r.Requester.Label() + ", group " + r.Group
	}
	switch what {
	case "tier_zero":
		return fmt.Sprintf("[Breakglass] %s: access without approval, %s", r.ID, on)
	case "begin":
		return fmt.Sprintf("[Breakglass] %s: access begins, %s", r.ID, on)
	case "end":
		return fmt.Sprintf("[Breakglass] %s: access has ended, %s", r.ID, on)
	}
	return fmt.Sprintf("[Breakglass] %s: %s, %s", r.ID, strings.ToLower(standing(r)), on)
}

// mailText is the case so far, a row for each fact. Whoever reads it may have no Slack at hand, so it leaves out nothing that the
// card has.
func mailText(what string, r store.Request, f setting) string {
	var b strings.Builder
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-15s %s\n", name+":", value)
		}
	}
	switch what {
	case "tier_zero":
		b.WriteString("Somebody opened access that needs nobody's approval.\n\n")
	case "begin":
		b.WriteString("Emergency access has begun.\n\n")
	case "end":
		b.WriteString("Emergency access has ended.\n\n")
	}
	row("Request", string(r.ID))
	row("Who", mailPerson(r.Requester))
	if r.Group == "" {
		row("Account", oneLine(r.Account.Name, limitName)+" ("+oneLine(r.Account.ID, 20)+")"+map[bool]string{true: ", sensitive"}[r.Account.Sensitive])
	}
	row("What", fmt.Sprintf("%s (tier %d), %s", oneLine(title(r), 150), r.Tier, lowerFirst(grantKind(r))))
	row("IAM user", oneLine(r.IAMUser, 150))
	row("Along with", oneLine(string(r.Lead), 40))
	row("How long", sayDuration(r.Duration))
	row("Asked", mailTime(r.SubmittedAt))
	for _, d := range r.Decisions {
		verb := "Denied by"
		if d.Approved {
			verb = "Approved by"
		}
		row(verb, mailPerson(d.By)+", "+mailTime(d.At))
	}
	row("Open since", mailTime(r.VerifiedAt))
	if r.EndedAt.IsZero() {
		row("Until", mailTime(r.ExpiresAt))
	} else {
		row("Ended", mailTime(r.EndedAt)+", "+endInWords(r.End))
	}
	for _, x := range r.Extensions {
		if x.State == store.ExtensionGranted {
			row("Extended", "by "+sayDuration(x.By)+", until "+utc(x.Until))
		}
	}
	row("Ticket", oneLine(r.Ticket, 150))
	b.WriteString("\nReason:\n")
	for line := range strings.Lines(manyLines(r.Reason, limitSection) + "\n") {
		b.WriteString("> " + line)
	}
	if s := mailReach(r, f); s != "" {
		b.WriteString("\n" + s + "\n")
	}
	return b.String()
}

// mailReach is what the ends of the session do not reach, before the end or after it.
func mailReach(r store.Request, f setting) string {
	if r.EndedAt.IsZero() {
		return reach(r, f)
	}
	return strings.TrimSpace(shellsEnded(store.Notice{}, r) + stillOpen(store.Notice{}, r))
}

// mailPerson gives the address with the name: names are not unique.
func mailPerson(p store.Person) string {
	s := oneLine(p.Label(), limitName)
	if p.Email != "" && p.Email != s {
		s += " <" + oneLine(p.Email, 200) + ">"
	}
	return s
}

// mailTime is "" for what has not happened, which leaves the row out.
func mailTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return utc(t)
}

// endInWords is ending for places without mentions.
func endInWords(e store.End) string {
	by := oneLine(e.By.Label(), limitName)
	switch e.Why {
	case store.EndExpired:
		return "its time was over"
	case store.EndedEarly:
		return "ended early by " + by
	case store.EndRevoked:
		return "revoked by " + by
	case store.EndUncertain:
		return "it could not be confirmed that it was opened as asked"
	case store.EndVanished:
		return "somebody removed the assignment in AWS"
	case store.EndForced:
		return "vouched for by " + by
	case store.EndLockdown:
		return "lockdown by " + by
	case store.EndLead:
		return "the session it was granted along with has ended"
	}
	return "it was over"
}
