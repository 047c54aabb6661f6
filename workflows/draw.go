package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"breakglass/store"
	"breakglass/workflows/report"
)

// What stands in the parts of the archive.

// drawSession draws up a part of a session. Every part has the request, the policy it was asked under, and the log's lines with their proofs; those after the
// end have the report and what it is drawn from.
func (e *Engine) drawSession(ctx context.Context, f *filing, p store.Part, d *drawing) error {
	r, err := e.DB.Request(p.Request)
	if err != nil {
		return err
	}
	text, err := e.policyText(r.Policy)
	if err != nil {
		return err
	}
	if err := errors.Join(d.json("request.json", r), d.add("policy.yaml", text), e.proofs(f, d, r.ID)); err != nil || p.Kind == store.PartOpened {
		return err
	}
	spoken, err := e.DB.SpokenOf(r.ID)
	if err != nil {
		return err
	}
	c, err := e.Case(r, p.At)
	if err != nil {
		return err
	}
	if err := errors.Join(d.json("thread.json", named(r, spoken)), drawCase(d, c)); err != nil {
		return err
	}
	if p.Kind == store.PartEnded || p.Kind == store.PartAgain {
		if err := e.drawEvents(d, r, p); err != nil {
			return err
		}
	}
	if p.Kind == store.PartEnded {
		return e.drawShells(ctx, d, r)
	}
	return nil
}

// mention is somebody's account in Slack, as messages have it.
var mention = regexp.MustCompile(`@(U[A-Z0-9]+)`)

// named has people's names beside their accounts in Slack, which an outsider cannot look up.
func named(r store.Request, said []store.Spoken) []store.Spoken {
	names := map[string]string{}
	know := func(p store.Person) { names[p.SlackID] = p.Label() }
	know(r.Requester)
	for _, p := range r.Asked {
		know(p)
	}
	for _, d := range r.Decisions {
		know(d.By)
	}
	for _, x := range r.Extensions {
		for _, d := range x.Decisions {
			know(d.By)
		}
	}
	for i := range said {
		said[i].Text = mention.ReplaceAllStringFunc(said[i].Text, func(m string) string {
			if name := names[m[1:]]; name != "" {
				return "@" + name + " (" + m[1:] + ")"
			}
			return m
		})
	}
	return said
}

// Case is what the report of a session is drawn from.
func (e *Engine) Case(r store.Request, at time.Time) (report.Case, error) {
	lines, err := e.DB.EventsOf(r.ID)
	if err != nil {
		return report.Case{}, err
	}
	c := report.Case{Request: r, Lines: lines, At: at}
	if e.Archive != nil {
		c.Archive = e.Archive.String() + "/sessions/" + string(r.ID)
	}
	if next, ok := r.At(store.ClockReport); ok && r.State == store.Reported && len(r.Readings) <= len(e.Policy().Report.Again) {
		c.Next = next
	} else if ok && r.State == store.Revoked {
		c.Settles = next
	}
	return c, nil
}

func drawCase(d *drawing, c report.Case) error {
	html, text, err := c.Write(report.Filed)
	if err != nil {
		return err
	}
	b, err := c.JSON()
	if err != nil {
		return err
	}
	if err := errors.Join(d.add("report.html", []byte(html)), d.add("report.txt", []byte(text)), d.add("report.json", b)); err != nil {
		return err
	}
	if c.Request.GrantedAt.IsZero() {
		return nil
	}
	p, err := c.Timeline()
	if err != nil {
		return err
	}
	return d.add(p.Name, p.Data)
}

// drawEvents adds what CloudTrail gave, event by event. A spool that was lost leaves only what the report says, and the archive says so.
func (e *Engine) drawEvents(d *drawing, r store.Request, p store.Part) error {
	if p.Reading < 0 {
		return nil
	}
	f, err := os.Open(e.evidenceOf(r.ID, p.Reading))
	if errors.Is(err, os.ErrNotExist) {
		return d.add("events-missing.txt", []byte("The events of this reading were not on this machine's disk any more when the archive was written. The report has what was drawn from them.\n"))
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return d.stream("events.jsonl", func(w io.Writer) error { return copyEvents(w, f) })
}

// notInName is what a name in the archive cannot have.
var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// drawShells adds the logs of SSM sessions, and a list of what could not be had.
func (e *Engine) drawShells(ctx context.Context, d *drawing, r store.Request) error {
	if e.ShellLogs == nil || r.PermissionSet == "" && r.Role == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	q := store.Query{
		Account: r.Account, UserID: r.Requester.UserID, UserName: r.Requester.UserName, Set: r.PermissionSet, Role: r.Role, Request: r.ID,
		From: r.GrantedAt.Add(-margin), To: r.EndedAt,
	}
	n := 0
	sources := e.ShellLogs.Logs(ctx, q, func(id string, started time.Time, body io.Reader) error {
		n++
		name := fmt.Sprintf("shells/%03d-%s.log", n, strings.TrimLeft(notInName.ReplaceAllString(id, "_"), ".-"))
		return d.stream(name, func(w io.Writer) error {
			_, err := io.Copy(w, body)
			return err
		})
	})
	return d.json("shells.json", sources)
}

// policyFact is under which the text of a policy is kept, for sessions that were asked for under it.
func policyFact(hash string) string { return "policy text " + hash }

// KeepPolicy keeps the text of the policy in force: the archive has it as it stood.
func (e *Engine) KeepPolicy() error {
	p := e.Policy()
	if len(p.Text) == 0 {
		return nil
	}
	if _, known, err := e.DB.Fact(policyFact(p.Hash)); err != nil || known {
		return err
	}
	return e.DB.Jot(e.by(), policyFact(p.Hash), string(p.Text))
}

func (e *Engine) policyText(hash string) ([]byte, error) {
	text, known, err := e.DB.Fact(policyFact(hash))
	if err != nil || known {
		return []byte(text), err
	}
	return []byte("# The text of the policy " + hash + " was not kept.\n"), nil
}

// drawReview draws up a month's review, or that somebody looked through it.
func (e *Engine) drawReview(p store.Part, d *drawing) error {
	month := strings.TrimPrefix(p.Base, "reviews/")
	if p.Kind == store.PartReviewed {
		text, _, err := e.DB.Fact(reviewedFact(month))
		if err != nil {
			return err
		}
		return d.json("reviewed.json", json.RawMessage(text))
	}
	r, err := e.Review(month, p.At)
	if err != nil {
		return err
	}
	html, text, err := r.Write(report.Filed)
	if err != nil {
		return err
	}
	b, err := r.JSON()
	if err != nil {
		return err
	}
	pictures, err := r.Pictures()
	if err != nil {
		return err
	}
	for _, p := range pictures {
		err = errors.Join(err, d.add(p.Name, p.Data))
	}
	return errors.Join(err, d.add("review.html", []byte(html)), d.add("review.txt", []byte(text)), d.add("review.json", b))
}
