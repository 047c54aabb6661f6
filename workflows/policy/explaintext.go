package policy

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// page writes labelled lines that wrap at a terminal's width.
type page struct{ *bufio.Writer }

const (
	pageWidth  = 100
	labelWidth = 12
)

// line writes a label and a text behind it; the text goes on under itself.
func (w page) line(label, text string) {
	if text == "" {
		return
	}
	column := labelWidth + 2
	fmt.Fprintf(w, "  %-*s", labelWidth, label)
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if i > 0 {
			if column+1+n > pageWidth {
				fmt.Fprintf(w, "\n%*s", labelWidth+2, "")
				column = labelWidth + 2
			} else {
				w.WriteByte(' ')
				column++
			}
		}
		w.WriteString(word)
		column += n
	}
	w.WriteByte('\n')
}

// WriteText writes the policy for a person to read.
func (e Explanation) WriteText(to io.Writer) error {
	w := page{bufio.NewWriter(to)}
	fmt.Fprintf(w, "Policy %.12s: %s\n", e.Hash, plural(len(e.Scenarios), "scenario"))
	for _, s := range e.Scenarios {
		fmt.Fprintf(w, "\n%s: %s (tier %d)\n", s.Name, s.Title, s.Tier)
		w.line("may ask", sets(s.MayAsk))
		w.line("grants", s.Grants+in(s.Accounts))
		w.line("approval", s.Approval)
		w.line("approvers", sets(s.Approvers))
		w.line("along", strings.Join(s.Along, " "))
		w.line("assumes", onwardWords(s.MayAssume))
		w.line("lasts", s.Lasts)
		w.line("extended", s.Extends)
		w.line("ends", strings.Join(s.Ends, " "))
		w.line("ticket", s.Ticket)
		w.line("after", strings.Join(s.After, " "))
		if s.NotYet != "" {
			w.line("not yet", "It asks for "+s.NotYet+", which is not built yet, and is not offered.")
		}
		for _, n := range s.Notes {
			w.line("note", n)
		}
	}
	if len(e.Lockdown) > 0 {
		fmt.Fprintf(w, "\nlockdown: who may end every session and refuse new ones\n")
		w.line("", sets(e.Lockdown))
	}
	return w.Flush()
}

func in(accounts []string) string {
	if len(accounts) == 0 {
		return ""
	}
	return " in " + some(accounts)
}

// sets writes who is in each of some sets.
func sets(list []SetExplanation) string {
	var out []string
	for _, s := range list {
		var who []string
		if len(s.Groups) > 0 {
			who = append(who, "members of "+listed(s.Groups, "and"))
		}
		if len(s.Emails) > 0 {
			who = append(who, listed(s.Emails, "and"))
		}
		if s.Set == Manager {
			who = []string{"the requester's own, as Identity Center has it"}
		}
		if len(who) == 0 {
			who = []string{"nobody"}
		}
		out = append(out, s.Set+" ("+strings.Join(who, "; ")+")")
	}
	return strings.Join(out, ", ")
}

// plural counts things.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// WriteText writes what somebody may ask for.
func (e PersonExplanation) WriteText(to io.Writer) error {
	w := page{bufio.NewWriter(to)}
	fmt.Fprintf(w, "%s\n", e.Person)
	if e.Why != "" {
		w.line("", e.Why)
		return w.Flush()
	}
	if len(e.In) == 0 {
		w.line("is in", "none of the policy's sets of people")
	}
	w.line("is in", strings.Join(e.In, ", "))
	if len(e.Offers) == 0 {
		fmt.Fprintf(w, "\nmay ask for nothing\n")
	}
	for _, o := range e.Offers {
		fmt.Fprintf(w, "\nmay ask for %s: %s\n", o.Scenario, o.Title)
		w.line("accounts", some(o.Accounts))
		for _, why := range o.Not {
			w.line("but", why)
		}
		w.line("along", strings.Join(o.Along, " "))
		w.line("lasts", o.Lasts)
		w.line("approval", o.Approval)
	}
	if len(e.Not) > 0 {
		fmt.Fprintf(w, "\nmay not ask for\n")
	}
	for _, n := range e.Not {
		fmt.Fprintf(w, "  %s: %s. %s\n", n.Scenario, n.Title, n.Why)
	}
	return w.Flush()
}

// WriteText writes what would become of a request.
func (e RequestExplanation) WriteText(to io.Writer) error {
	w := page{bufio.NewWriter(to)}
	what := e.Scenario
	if e.Account != "" {
		what += " in " + e.Account
	}
	if e.Duration != "" {
		what += " for " + e.Duration
	}
	answer := "no"
	if e.Verdict.OK {
		answer = "yes"
	}
	fmt.Fprintf(w, "May %s ask for %s? %s\n", e.Person, quoteless(what), answer)
	w.line("because", e.Verdict.Why)
	w.line("manager", e.ManagerOf)
	if a := e.Asked; a != nil {
		if a.Manager != "" {
			w.line("manager", "Identity Center user "+a.Manager+", told first")
		}
		asked := append([]string{}, a.Groups...)
		w.line("asked", strings.Join(append(asked, a.Emails...), ", "))
		w.line("mentioned", strings.Join(a.Mentions, ", "))
	}
	for _, d := range e.Deciders {
		word := "no: "
		if d.Verdict.OK {
			word = "yes: "
		}
		w.line("decides?", d.Person+": "+word+d.Verdict.Why)
	}
	w.line("ends", strings.Join(e.Ends, " "))
	return w.Flush()
}

// quoteless keeps what was typed on a command line from moving the cursor.
func quoteless(s string) string { return strings.Map(visible, s) }
