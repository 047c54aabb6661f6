package bot

import (
	"context"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

func TestAnswerTooLongForSlack(t *testing.T) {
	long := strings.Repeat("<", largestAck)
	h := handlerFuncs{
		command: func(context.Context, slack.SlashCommand) (any, error) { return &slack.Msg{Text: long}, nil },
		interaction: func(_ context.Context, in slack.InteractionCallback, _ string) (any, error) {
			if in.Type == slack.InteractionTypeBlockSuggestion {
				return slack.OptionsResponse{Options: []*slack.OptionBlockObject{{Value: long}}}, nil
			}
			if in.View.ID == "V1" {
				return slack.NewErrorsViewSubmissionResponse(map[string]string{"reason": long}), nil
			}
			return (*slack.ViewSubmissionResponse)(nil), nil
		},
	}
	story(t, h, nil, func(t *testing.T, w *world) {
		c := w.one()
		nothing := submission("nothing", true)
		nothing["payload"].(map[string]any)["view"].(map[string]any)["id"] = "V2"
		c.send(command("command"))
		c.send(submission("form", true))
		c.send(nothing)
		c.send(envelopeOf("search", "interactive", map[string]any{"type": "block_suggestion", "action_id": "account", "value": "pr"}))
		if got := sentenceIn(t, w.acked("command").payload); got != sentenceTooLong {
			t.Errorf("the command was answered %q", got)
		}
		if got := string(w.acked("form").payload); !strings.Contains(got, sentenceTooWrong) {
			t.Errorf("the form was answered %s", got)
		}
		if got := string(w.acked("search").payload); got != `{"options":[]}` {
			t.Errorf("the search was answered %s", got)
		}
		if got := w.acked("nothing").payload; got != nil {
			t.Errorf("a nil answer was sent as %s", got)
		}
		if n := w.metric("acks_oversize_total"); n != 3 {
			t.Errorf("%v replacements counted, want 3", n)
		}
	})
}
