package main

import (
	"context"
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/slacktwin"
)

// person is everything somebody does or sees in Slack.
func (s *story) person(ts *testscript.TestScript, p *sandbox.Person, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sp := s.world.Slack.As(p.Slack).In(s.requests())
	must := func(err error) {
		if (err == nil) == neg {
			ts.Fatalf("%s %q: %v", p.Key, args, err)
		}
		s.settle(3 * time.Second)
	}
	switch args[0] {
	case "command":
		_, err := sp.Command(ctx, args[1])
		must(err)
	case "fill":
		must(sp.Fill(ctx, args[1], args[2]))
	case "submit":
		errs, err := sp.Submit(ctx)
		must(formError(errs, err))
	case "close":
		must(sp.CloseView(ctx))
	case "request":
		s.request(ts, sp, ctx, neg, args[1:])
	case "click":
		must(s.click(ctx, sp, args[1], args[2:]))
	case "click-and-go": // does not wait for what comes of it
		go func() { _ = s.click(context.Background(), sp, args[1], args[2:]) }()
	case "click-fast": // both clicks are on their way at the same moment
		s.clickFast(ts, ctx, sp, args[1:])
	case "deny":
		ts.Check(s.click(ctx, sp, "Deny", nil))
		s.settle(time.Second)
		ts.Check(sp.Fill(ctx, "Reason", args[1]))
		errs, err := sp.Submit(ctx)
		must(formError(errs, err))
	case "ticket":
		ts.Check(s.click(ctx, sp, "Add ticket", nil))
		s.settle(time.Second)
		ts.Check(sp.Fill(ctx, "Ticket", args[1]))
		errs, err := sp.Submit(ctx)
		must(formError(errs, err))
	case "mortem":
		ts.Check(s.click(ctx, sp, "Write post-mortem", []string{"dm"}))
		s.settle(time.Second)
		ts.Check(sp.Fill(ctx, "What happened", args[1]))
		ts.Check(sp.Fill(ctx, "What was done", args[2]))
		errs, err := sp.Submit(ctx)
		must(formError(errs, err))
	case "waive":
		ts.Check(s.click(ctx, sp, "Close without it", []string{"dm"}))
		s.settle(time.Second)
		ts.Check(sp.Fill(ctx, "Reason", args[1]))
		errs, err := sp.Submit(ctx)
		must(formError(errs, err))
	case "home":
		must(sp.OpenHome(ctx))
	case "reads":
		match(ts, neg, args[2], s.sees(ts, sp, args[1]))
	default:
		ts.Fatalf("%s %s?", p.Key, args[0])
	}
}

func formError(errs map[string]string, err error) error {
	if err == nil && len(errs) > 0 {
		return fmt.Errorf("the form says %v", errs)
	}
	return err
}

// request opens the form by the bare command, fills it in and sends it, as a person would.
func (s *story) request(ts *testscript.TestScript, sp *slacktwin.Person, ctx context.Context, neg bool, args []string) {
	_, err := sp.Command(ctx, "/breakglass")
	ts.Check(err)
	s.settle(2 * time.Second)
	fields := [][2]string{{"Scenario", args[0]}, {"Account", args[1]}, {"Duration", args[2]}, {"Reason", args[3]}}
	for _, more := range args[4:] {
		if label, value, ok := strings.Cut(more, "="); ok {
			fields = append(fields, [2]string{label, value})
		} else if more != "" {
			fields = append(fields, [2]string{"Ticket", more})
		}
	}
	for _, f := range fields {
		if f[1] == "-" {
			continue
		}
		if err := sp.Fill(ctx, f[0], f[1]); err != nil {
			if neg {
				return
			}
			ts.Fatalf("fill %s with %s: %v\n%s", f[0], f[1], err, plain(sp.View()))
		}
		s.settle(time.Second)
	}
	errs, err := sp.Submit(ctx)
	if err := formError(errs, err); (err == nil) == neg {
		ts.Fatalf("submit: %v\n%s", err, plain(sp.View()))
	}
	s.settle(3 * time.Second)
}

func plain(v *slacktwin.View) string {
	if v == nil {
		return "(no form)"
	}
	out := v.PlainText()
	for _, f := range v.Fields() {
		out += fmt.Sprintf("\n%s = %q", f.Label, f.Shown)
		if f.Error != "" {
			out += " error: " + f.Error
		}
	}
	return out
}

func (s *story) requests() string  { return s.world.Slack.ChannelID(s.channel("platform-support")) }
func (s *story) incidents() string { return s.world.Slack.ChannelID("platform-incidents") }

// channel is what a channel is called now: stories rename them.
func (s *story) channel(name string) string {
	if s.world.Slack.ChannelID(name) == "" {
		return "renamed"
	}
	return name
}

// click presses a button on the newest card; "dm", "home" or "thread" say another place.
func (s *story) click(ctx context.Context, sp *slacktwin.Person, button string, where []string) error {
	place := "card"
	if len(where) > 0 {
		place = where[0]
	}
	switch place {
	case "home":
		return sp.ClickHome(ctx, button, 0)
	case "dm":
		all := sp.DM()
		for i := len(all) - 1; i >= 0; i-- {
			for _, b := range all[i].Buttons() {
				if b == button {
					return sp.Click(ctx, all[i].Channel, all[i].TS, button)
				}
			}
		}
		return fmt.Errorf("no direct message has a button %q", button)
	}
	all := sp.Messages(s.requests())
	for i := len(all) - 1; i >= 0; i-- {
		if strings.HasPrefix(place, "BG-") && !strings.Contains(all[i].PlainText(), place) {
			continue
		}
		if !all[i].Ephemeral() && all[i].User == s.world.Slack.BotUserID() {
			return sp.Click(ctx, all[i].Channel, all[i].TS, button)
		}
	}
	return fmt.Errorf("no card")
}

// clickFast makes several people click at the same moment: "Approve lee Deny pat" by name and button.
func (s *story) clickFast(ts *testscript.TestScript, ctx context.Context, sp *slacktwin.Person, args []string) {
	done := make(chan error, 8)
	n := 0
	go func() { done <- s.click(ctx, sp, args[0], nil) }()
	n++
	for i := 1; i+1 < len(args); i += 2 {
		other := s.world.Slack.As(s.who(ts, args[i]).Slack).In(s.requests())
		go func() { done <- s.click(ctx, other, args[i+1], nil) }()
		n++
	}
	for range n {
		if err := <-done; err != nil {
			ts.Logf("a click: %v", err)
		}
	}
	s.settle(3 * time.Second)
}

// sees is what a person reads in a place.
func (s *story) sees(ts *testscript.TestScript, sp *slacktwin.Person, place string) string {
	synctest.Wait()
	switch place {
	case "form":
		return plain(sp.View())
	case "home":
		return plain(sp.Home())
	case "dm":
		return texts(sp.DM())
	case "requests", "card":
		return texts(sp.Messages(s.requests()))
	case "incidents":
		out := texts(sp.Messages(s.incidents()))
		for _, m := range sp.Messages(s.incidents()) {
			out += texts(sp.Thread(m.Channel, m.TS))
		}
		return out
	case "thread":
		out := ""
		for _, m := range sp.Messages(s.requests()) {
			out += texts(sp.Thread(m.Channel, m.TS))
		}
		return out
	case "whispers", "reply":
		return texts(sp.Ephemerals(""))
	}
	ts.Fatalf("%s is no place", place)
	return ""
}

func texts(all []slacktwin.Message) string {
	var out []string
	for _, m := range all {
		out = append(out, m.PlainText())
	}
	return strings.Join(out, "\n----\n")
}
