package slacktwin_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"breakglass/deploy/sandbox/slacktwin"
)

// view is a small form with one input.
func view(title string) slack.ModalViewRequest {
	return slack.ModalViewRequest{Type: slack.VTModal, CallbackID: title, Title: plain(title), Submit: plain("Go"), Close: plain("Back"), NotifyOnClose: true,
		Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewInputBlock("reason", plain("Reason"), nil, slack.NewPlainTextInputBlockElement(nil, "reason")),
			slack.NewActionBlock("more", slack.NewButtonBlockElement("more", "", plain("More")))}}}
}

// opens makes the app open a form for every command and keep what comes.
func opens(t *testing.T, w *world, f func(trigger string) error) {
	t.Helper()
	w.commands(func(c slack.SlashCommand) any {
		if err := f(c.TriggerID); err != nil {
			t.Errorf("opening: %v", err)
		}
		return nil
	})
	if _, err := w.alice.Command(t.Context(), "/breakglass"); err != nil {
		t.Fatal(err)
	}
}

// A trigger opens one view within three seconds.
func TestTrigger(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		var errs []string
		open := func(trigger string) {
			if _, err := w.api.OpenView(trigger, view("one")); err != nil {
				errs = append(errs, err.Error())
			}
		}
		opens(t, w, func(trigger string) error {
			open(trigger)
			open(trigger)
			open("1.2.3")
			return nil
		})
		w.commands(func(c slack.SlashCommand) any {
			time.AfterFunc(3100*time.Millisecond, func() { open(c.TriggerID) })
			return nil
		})
		w.alice.Command(t.Context(), "/breakglass")
		pause(5 * time.Second)
		want(t, "errors", strings.Join(errs, " "), "exchanged_trigger_id invalid_trigger_id expired_trigger_id")
		w.refusedOnly(t, "exchanged_trigger_id", "invalid_trigger_id", "expired_trigger_id")
	})
}

// views.update keeps what was typed where block and action are the same, and takes a hash against races.
func TestViewUpdate(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		opens(t, w, func(trigger string) error {
			req := view("one")
			req.ExternalID = "form-1"
			_, err := w.api.OpenView(trigger, req)
			return err
		})
		if err := w.alice.Fill(t.Context(), "Reason", "typed"); err != nil {
			t.Fatal(err)
		}
		v := w.alice.View()
		if _, err := w.api.UpdateView(view("two"), "", v.Hash, v.ID); err != nil {
			t.Fatal(err)
		}
		want(t, "title", w.alice.View().Title, "two")
		want(t, "typed", w.alice.View().Field("Reason").Value, "typed")
		_, err := w.api.UpdateView(view("three"), "", v.Hash, v.ID)
		want(t, "an old hash", err.Error(), "hash_conflict")
		other := view("three")
		other.Blocks.BlockSet[0].(*slack.InputBlock).BlockID = "reason-2"
		if _, err = w.api.UpdateView(other, "", "", v.ID); err != nil {
			t.Fatal(err)
		}
		want(t, "typed into a block that is gone", w.alice.View().Field("Reason").Value, "")
		w.alice.CloseView(t.Context())
		_, err = w.api.UpdateView(view("four"), "", "", v.ID)
		want(t, "a closed view", err.Error(), "not_found")
		_, err = w.api.UpdateView(view("four"), "nobody", "", "")
		want(t, "an unknown external id", err.Error(), "not_found")
	})
}

// Three forms stack, no fourth; closing tells the app where it asked for that.
func TestStack(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		ctx := t.Context()
		opens(t, w, func(trigger string) error { _, err := w.api.OpenView(trigger, view("one")); return err })
		var errs []string
		var closed []slack.InteractionCallback
		w.actions(func(c slack.InteractionCallback) any {
			if c.Type == slack.InteractionTypeViewClosed {
				closed = append(closed, c)
				return nil
			}
			if _, err := w.api.PushView(c.TriggerID, view("next")); err != nil {
				errs = append(errs, err.Error())
			}
			return nil
		})
		for range 3 {
			if err := w.alice.ClickView(ctx, "More", -1); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "depth", w.alice.View().Depth, 3)
		want(t, "the fourth", strings.Join(errs, " "), "push_limit_reached")
		w.alice.CloseView(ctx)
		want(t, "depth after Back", w.alice.View().Depth, 2)
		w.alice.CloseAll(ctx)
		if w.alice.View() != nil {
			t.Error("the X left a form")
		}
		want(t, "view_closed", len(closed), 3)
		want(t, "cleared at the end", closed[2].IsCleared, true)
	})
}

// Every response_action, and answers that Slack does not understand.
func TestSubmissionAnswers(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		ctx := t.Context()
		submit := func(a any) error {
			t.Helper()
			if w.alice.View() == nil {
				opens(t, w, func(trigger string) error { _, err := w.api.OpenView(trigger, view("one")); return err })
			}
			if err := w.alice.Fill(ctx, "Reason", "x"); err != nil {
				t.Fatal(err)
			}
			w.actions(func(slack.InteractionCallback) any { return a })
			_, err := w.alice.Submit(ctx)
			return err
		}
		two := view("two")
		if err := submit(slack.NewUpdateViewSubmissionResponse(&two)); err != nil || w.alice.View().Title != "two" || w.alice.View().Depth != 1 {
			t.Errorf("update: %v, %+v", err, w.alice.View())
		}
		if err := submit(slack.NewPushViewSubmissionResponse(&two)); err != nil || w.alice.View().Depth != 2 {
			t.Errorf("push: %v, %+v", err, w.alice.View())
		}
		if err := submit(nil); err != nil || w.alice.View().Depth != 1 {
			t.Errorf("an empty answer closes one form: %v, %+v", err, w.alice.View())
		}
		submit(slack.NewPushViewSubmissionResponse(&two))
		if err := submit(slack.NewClearViewSubmissionResponse()); err != nil || w.alice.View() != nil {
			t.Errorf("clear: %v, %+v", err, w.alice.View())
		}
		w.clean(t)
		long := view(strings.Repeat("x", 25))
		for name, bad := range map[string]any{
			"an error at no input":  slack.NewErrorsViewSubmissionResponse(map[string]string{"more": "x"}),
			"an error without text": slack.NewErrorsViewSubmissionResponse(map[string]string{"reason": ""}),
			"a view past a limit":   slack.NewUpdateViewSubmissionResponse(&long),
			"silence":               noAck,
			"a payload of 20 KB":    map[string]any{"response_action": "errors", "errors": map[string]string{"reason": strings.Repeat("x", 20<<10)}},
		} {
			if err := submit(bad); !errors.Is(err, slacktwin.ErrTrouble) {
				t.Errorf("%s: %v", name, err)
			}
			if v := w.alice.View(); v == nil || v.Field("Reason").Value != "x" {
				t.Errorf("%s: the form is gone", name)
			}
		}
	})
}

// What the client itself checks before it sends a form.
func TestFormChecks(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		ctx := t.Context()
		text := slack.NewPlainTextInputBlockElement(nil, "t")
		text.MinLength, text.MaxLength = 3, 5
		people := slack.NewOptionsSelectBlockElement(slack.OptTypeUser, nil, "who")
		boxes := slack.NewCheckboxGroupsBlockElement("boxes", option("One", "1"), option("Two", "2"))
		several := slack.NewOptionsMultiSelectBlockElement(slack.MultiOptTypeStatic, nil, "several", option("Red", "r"), option("Redder", "rr"), option("Blue", "b"))
		radio := slack.NewRadioButtonsBlockElement("radio", option("Yes", "y"), option("No", "n"))
		radio.InitialOption = radio.Options[1]
		req := slack.ModalViewRequest{Type: slack.VTModal, Title: plain("All"), Submit: plain("Go"), Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewInputBlock("t", plain("Text"), nil, text), slack.NewInputBlock("who", plain("Who"), nil, people),
			slack.NewInputBlock("boxes", plain("Boxes"), nil, boxes), slack.NewInputBlock("several", plain("Several"), nil, several),
			slack.NewInputBlock("radio", plain("Radio"), nil, radio), slack.NewInputBlock("day", plain("Day"), nil, slack.NewDatePickerBlockElement("day")),
			slack.NewInputBlock("time", plain("Time"), nil, slack.NewTimePickerBlockElement("time"))}}}
		opens(t, w, func(trigger string) error { _, err := w.api.OpenView(trigger, req); return err })
		errs, err := w.alice.Submit(ctx)
		want(t, "empty and required", len(errs), 6)
		want(t, "sent", err, nil)
		for label, value := range map[string]string{"Text": "ab", "Who": "@bob", "Boxes": "One, 2", "Several": "Red,B", "Day": "2026-11-21", "Time": "09:30"} {
			if err := w.alice.Fill(ctx, label, value); err != nil {
				t.Errorf("%s: %v", label, err)
			}
		}
		errs, _ = w.alice.Submit(ctx)
		want(t, "too short", errs["Text"], "Must be at least 3 characters.")
		w.alice.Fill(ctx, "Text", "abcdef")
		errs, _ = w.alice.Submit(ctx)
		want(t, "too long", errs["Text"], "Must be at most 5 characters.")
		for label, value := range map[string]string{"Text ": "x", "Who": "@nobody", "Several": "Redd,R", "Day": "tomorrow", "Radio": "Perhaps"} {
			if w.alice.Fill(ctx, label, value) == nil {
				t.Errorf("%s took %q", label, value)
			}
		}
		w.alice.Fill(ctx, "Text", "abcd")
		var got slack.InteractionCallback
		w.actions(func(c slack.InteractionCallback) any { got = c; return nil })
		if errs, err = w.alice.Submit(ctx); err != nil || len(errs) > 0 {
			t.Fatalf("%v %v", errs, err)
		}
		v := got.View.State.Values
		want(t, "who", v["who"]["who"].SelectedUser, "UBOB")
		want(t, "boxes", len(v["boxes"]["boxes"].SelectedOptions), 2)
		want(t, "several", v["several"]["several"].SelectedOptions[0].Value, "r")
		want(t, "radio", v["radio"]["radio"].SelectedOption.Value, "n")
		want(t, "day", v["day"]["day"].SelectedDate, "2026-11-21")
		want(t, "time", v["time"]["time"].SelectedTime, "09:30")
		w.clean(t)
	})
}

// An external select asks only after min_query_length characters, and Slack takes no more than a hundred options.
func TestSuggestions(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		ctx := t.Context()
		req := view("one")
		req.Blocks.BlockSet = append(req.Blocks.BlockSet, slack.NewInputBlock("acct", plain("Account"), nil, slack.NewOptionsSelectBlockElement(slack.OptTypeExternal, nil, "acct")))
		opens(t, w, func(trigger string) error { _, err := w.api.OpenView(trigger, req); return err })
		n := 100
		w.actions(func(c slack.InteractionCallback) any {
			want(t, "the view comes along", c.View.CallbackID, "one")
			var opts []*slack.OptionBlockObject
			for range n {
				opts = append(opts, option(c.Value, c.Value))
			}
			return slack.OptionsResponse{Options: opts}
		})
		if got, err := w.alice.Options(ctx, "Account", "pr"); err != nil || got != nil {
			t.Errorf("two characters: %v, %v", got, err)
		}
		if got, err := w.alice.Options(ctx, "Account", "pro"); err != nil || len(got) != 100 {
			t.Errorf("three characters: %d, %v", len(got), err)
		}
		n = 101
		if _, err := w.alice.Options(ctx, "Account", "prod"); err == nil {
			t.Error("101 options were taken")
		}
		w.refusedOnly(t, "invalid_response")
	})
}

// The Home tab: published, looked at, pressed.
func TestHome(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		end := func(id string) slack.Block {
			return slack.NewSectionBlock(plain("Session "+id), nil, slack.NewAccessory(slack.NewButtonBlockElement("end", id, plain("End now"))))
		}
		publish := func(hash string, blocks ...slack.Block) error {
			_, err := w.api.PublishViewContext(t.Context(), slack.PublishViewContextRequest{UserID: "UALICE", Hash: &hash,
				View: slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: blocks}}})
			return err
		}
		if err := publish("", end("BG-1"), end("BG-2")); err != nil {
			t.Fatal(err)
		}
		var got slack.InteractionCallback
		w.actions(func(c slack.InteractionCallback) any { got = c; return nil })
		if err := w.alice.ClickHome(t.Context(), "End now", 1); err != nil {
			t.Fatal(err)
		}
		want(t, "value", got.ActionCallback.BlockActions[0].Value, "BG-2")
		want(t, "container", got.Container.ViewID, w.alice.Home().ID)
		if w.alice.ClickHome(t.Context(), "End now", -1) == nil {
			t.Error("two buttons of one name were no error")
		}
		want(t, "old hash", publish("1.x", end("BG-3")).Error(), "hash_conflict")
		if w.bob.Home() != nil {
			t.Error("bob sees alice's Home")
		}
	})
}
