package handlers

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/slack-go/slack/slackevents"

	"breakglass/deploy/sandbox/slacktwin"
)

func TestEventsCallHooks(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		var told []string
		r.h.hooks = Hooks{
			ChannelID:     func(_ context.Context, was, is string) { told = append(told, "id "+was+" "+is) },
			ChannelName:   func(_ context.Context, id, name string) { told = append(told, "name "+id+" "+name) },
			ChannelShared: func(_ context.Context, id string) { told = append(told, "shared "+id) },
		}
		r.SetEvents(append(slacktwin.DefaultEvents(), "channel_rename"))
		r.RenameChannel(r.ops, "support")
		settle()
		r.ShareChannel(r.ops, "T0OTHERS")
		settle()
		for _, want := range []string{"name COPS support", "shared COPS"} {
			if !slices.Contains(told, want) {
				t.Errorf("told %q, not %q", told, want)
			}
		}
		told = nil
		changed := slackevents.EventsAPIEvent{
			TeamID:     "T0000TWIN",
			InnerEvent: slackevents.EventsAPIInnerEvent{Data: &slackevents.ChannelIDChangedEvent{OldChannelID: "G1", NewChannelID: "C1"}},
		}
		if err := r.h.Event(t.Context(), changed, "Ev1"); err != nil {
			t.Error(err)
		}
		changed.TeamID = "T0OTHERS"
		if err := r.h.Event(t.Context(), changed, "Ev2"); err != nil {
			t.Error(err)
		}
		settle()
		if !slices.Equal(told, []string{"id G1 C1"}) {
			t.Errorf("told %q", told)
		}
	})
}

// A form that is opened again within a minute is there whole at once; after that the directory is asked again.
func TestFormIsRememberedForAMinute(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		for i, wait := range []time.Duration{0, 30 * time.Second, time.Minute} {
			time.Sleep(wait)
			_, err := r.alice.Command(t.Context(), "/breakglass")
			must(t, err)
			if whole := r.alice.View().Field("Scenario") != nil; i == 1 && !whole {
				t.Error("the form opened empty")
			}
			settle()
			must(t, r.alice.CloseAll(t.Context()))
		}
		if r.dir.asked != 2 {
			t.Errorf("the directory was asked %d times", r.dir.asked)
		}
	})
}

// A page that is asked for while it is being drawn is drawn once more, so that the last one published is never an old one.
func TestHomeIsDrawnAgain(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		r.Delay("views.publish", time.Second)
		for range 10 {
			r.h.Refresh(t.Context(), "UALICE")
		}
		time.Sleep(10 * time.Second)
		settle()
		n := 0
		for _, c := range r.Calls() {
			if c.Method == "views.publish" {
				n++
			}
		}
		if n != 2 {
			t.Errorf("published %d times", n)
		}
	})
}
