package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/slacktwin"
)

// request is everything the script sends; each verb reads its own part.
type request struct {
	As      string  `json:"as"`      // a person's key
	In      string  `json:"in"`      // the conversation that is open
	Thread  string  `json:"thread"`  // the thread that is open
	Text    string  `json:"text"`    // what was typed
	Channel string  `json:"channel"` // a message
	TS      string  `json:"ts"`
	Want    string  `json:"want"` // a button, and which of those that answer to the name
	Nth     int     `json:"nth"`
	Surface string  `json:"surface"` // message, view, home
	View    string  `json:"view"`    // a field
	Block   string  `json:"block"`
	Action  string  `json:"action"`
	Value   string  `json:"value"`
	Fields  []entry `json:"fields"` // what stands in the form, sent with its submit
	ID      string  `json:"id"`     // a shortcut
	Account string  `json:"account"`
	Set     string  `json:"set"`
	N       int     `json:"n"` // a session
	Name    string  `json:"name"`
	By      string  `json:"by"` // a duration
	On      bool    `json:"on"`
}

type entry struct {
	Block  string `json:"block"`
	Action string `json:"action"`
	Value  string `json:"value"`
}

// answer says what a person would see at once: a sentence where something failed, options for a search. All else is in the page.
type answer struct {
	Error   string        `json:"error,omitempty"`
	Where   string        `json:"where,omitempty"` // composer, button, modal, aws
	Groups  []optionGroup `json:"groups,omitempty"`
	Errors  int           `json:"errors,omitempty"` // fields that the form does not take
	Message string        `json:"message,omitempty"`
}

// post does what somebody asked for. The body is JSON, which a page of another origin cannot send without asking first.
func (s *site) post(w http.ResponseWriter, r *http.Request) {
	var in request
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/json" {
		http.Error(w, "what is done here is sent as application/json", http.StatusUnsupportedMediaType)
		return
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in); err != nil {
		http.Error(w, "the request is no JSON of this page", http.StatusBadRequest)
		return
	}
	who := s.world.Person(in.As)
	if who == nil {
		http.Error(w, "there is nobody of that name", http.StatusBadRequest)
		return
	}
	do, known := verbs[r.PathValue("verb")]
	if !known {
		http.NotFound(w, r)
		return
	}
	// What reached the app goes on though the page is left: a click is a click.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 30*time.Second)
	defer cancel()
	out := do(s, ctx, who, &in)
	s.changed()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

type verb func(s *site, ctx context.Context, who *sandbox.Person, in *request) answer

var verbs = map[string]verb{
	"say": (*site).say, "click": (*site).click, "shortcut": (*site).shortcut, "home": (*site).openHome,
	"fill": (*site).fill, "options": (*site).options, "submit": (*site).submit, "close": (*site).closeForm,
	"signin": (*site).doSignIn, "assume": (*site).doAssume, "signout": (*site).doSignOut, "act": (*site).doAct, "skip": (*site).skip, "since": (*site).putAway, "fault": (*site).fault,
}

// say posts a message or types a command. A failed command brings Slack's own sentence.
func (s *site) say(ctx context.Context, who *sandbox.Person, in *request) answer {
	text := strings.TrimSpace(in.Text)
	p := s.world.Slack.As(who.Slack).In(in.In)
	switch {
	case text == "":
		return answer{}
	case strings.HasPrefix(text, "/") && in.Thread != "":
		return answer{Where: "thread", Error: "Slack takes no slash commands in threads. Type it in the channel."}
	case strings.HasPrefix(text, "/"):
		name, _, _ := strings.Cut(text, " ")
		_, err := p.Command(ctx, text)
		return failed("composer", err, name+" failed with the error “%s”.")
	}
	if s.isDM(who, in.In) {
		return answer{Where: first(map[bool]string{true: "thread"}[in.Thread != ""], "composer"),
			Error: s.product + " reads no messages. Type a command: it begins with a slash."}
	}
	_, err := p.Say(in.In, in.Thread, escaped(text))
	return failed("composer", err, "The message was not sent: %s.")
}

// escaped is how Slack stores what a person types: the three characters of its markup as entities.
func escaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

func (s *site) isDM(who *sandbox.Person, room string) bool {
	for _, c := range s.world.Slack.As(who.Slack).Conversations() {
		if c.ID == room {
			return c.IM
		}
	}
	return false
}

func (s *site) click(ctx context.Context, who *sandbox.Person, in *request) answer {
	p := s.world.Slack.As(who.Slack)
	var err error
	switch in.Surface {
	case "home":
		err = p.ClickHome(ctx, in.Want, in.Nth)
	case "view":
		if answer, gone := s.flush(ctx, who, in); gone {
			return answer
		}
		err = p.ClickView(ctx, in.Want, in.Nth)
	default:
		err = p.ClickNth(ctx, in.Channel, in.TS, in.Want, in.Nth)
	}
	return failed("button", err, "The click did not arrive: %s.")
}

func (s *site) shortcut(ctx context.Context, who *sandbox.Person, in *request) answer {
	p := s.world.Slack.As(who.Slack)
	if in.TS != "" {
		return failed("toast", p.MessageShortcut(ctx, in.ID, in.Channel, in.TS), "The shortcut failed: %s.")
	}
	return failed("toast", p.Shortcut(ctx, in.ID), "The shortcut failed: %s.")
}

// openHome tells the app that somebody looks at its Home.
func (s *site) openHome(ctx context.Context, who *sandbox.Person, _ *request) answer {
	return failed("toast", s.world.Slack.As(who.Slack).OpenHome(ctx), "Home could not be opened: %s.")
}

func (s *site) fill(ctx context.Context, who *sandbox.Person, in *request) answer {
	err := s.world.Slack.As(who.Slack).FillElement(ctx, in.View, in.Block, in.Action, in.Value)
	if errors.Is(err, slacktwin.ErrNoView) {
		return answer{} // closed or changed meanwhile; the page shows how
	}
	return failed("modal", err, "%s.")
}

// options answers a search while somebody types.
func (s *site) options(ctx context.Context, who *sandbox.Person, in *request) answer {
	all, err := s.world.Slack.As(who.Slack).OptionsOf(ctx, in.View, in.Block, in.Action, in.Value)
	out := failed("modal", err, "%s.")
	out.Groups = groups(all)
	return out
}

// flush enters what stands in the form and has not been sent yet. gone says that the form is no longer there.
func (s *site) flush(ctx context.Context, who *sandbox.Person, in *request) (answer, bool) {
	p := s.world.Slack.As(who.Slack)
	v := p.View()
	if v == nil || v.ID != in.View {
		return answer{}, true
	}
	now := map[[2]string]string{}
	for _, f := range v.Fields() {
		now[[2]string{f.BlockID, f.ActionID}] = f.Value
	}
	for _, e := range in.Fields {
		if was, there := now[[2]string{e.Block, e.Action}]; !there || was == e.Value {
			continue
		}
		if err := p.FillElement(ctx, in.View, e.Block, e.Action, e.Value); err != nil && !errors.Is(err, slacktwin.ErrNoView) {
			return failed("modal", err, "%s."), true
		}
	}
	return answer{}, false
}

func (s *site) submit(ctx context.Context, who *sandbox.Person, in *request) answer {
	if answer, gone := s.flush(ctx, who, in); gone {
		return answer
	}
	p := s.world.Slack.As(who.Slack)
	errs, err := p.Submit(ctx)
	if errors.Is(err, slacktwin.ErrTrouble) {
		return answer{Where: "modal", Error: slacktwin.ErrTrouble.Error()}
	}
	if err == nil && len(errs) == 0 {
		s.mu.Lock()
		s.walked.asked = true
		s.mu.Unlock()
	}
	out := failed("modal", err, "%s.")
	out.Errors = len(errs)
	return out
}

func (s *site) closeForm(ctx context.Context, who *sandbox.Person, in *request) answer {
	p := s.world.Slack.As(who.Slack)
	if in.Name == "all" {
		return failed("modal", p.CloseAll(ctx), "%s.")
	}
	return failed("modal", p.CloseView(ctx), "%s.")
}

// failed puts an error into a sentence. The twin's errors begin with Slack's word for them.
func failed(where string, err error, sentence string) answer {
	if err == nil || errors.Is(err, slacktwin.ErrNoView) {
		return answer{}
	}
	why := err.Error()
	for _, known := range []struct {
		is  error
		say string
	}{
		{slacktwin.ErrDispatchFailed, "dispatch_failed"}, {slacktwin.ErrOperationTimeout, "operation_timeout"},
		{slacktwin.ErrOutage, "Slack is away, see Faults"},
	} {
		if errors.Is(err, known.is) {
			why = known.say
		}
	}
	return answer{Where: where, Error: fmt.Sprintf(sentence, why)}
}
