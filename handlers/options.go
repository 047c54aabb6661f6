package handlers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/workflows/policy"
)

const (
	// mostOptions is how many options Slack takes in a select, and in an answer to a search.
	mostOptions = 100
	// mostAck keeps an acknowledgement below the 20 KB past which Slack drops it in silence, with room for the envelope.
	mostAck = 18_000
	// suggestPatience is how long a search may wait for the directory: Slack gives up after three seconds.
	suggestPatience = 2 * time.Second
)

func option(text, value string) *slack.OptionBlockObject {
	return slack.NewOptionBlockObject(value, plain(text, limitButton), nil)
}

// scenarioOption has its terms below the title only where the list does not travel in an acknowledgement.
func scenarioOption(s *policy.Scenario, described bool) *slack.OptionBlockObject {
	o := option(s.Title, s.Name)
	if described {
		o.Description = plain(tierLine(s), limitButton)
	}
	return o
}

func tierLine(s *policy.Scenario) string {
	line := fmt.Sprintf("Tier %d", s.Tier)
	if s.Approval.None {
		line += ", no approval"
	} else {
		line += ", approval by " + oneLine(strings.Join(s.Approval.Sets(), ", "), 40)
	}
	if s.MaxDuration > 0 {
		line += ", up to " + sayDuration(s.MaxDuration)
	}
	return line
}

func accountOption(a policy.Account) *slack.OptionBlockObject {
	return option(cut(a.Name, limitButton-len(a.ID)-3)+" ("+a.ID+")", a.Name)
}

func durationOption(d time.Duration) *slack.OptionBlockObject {
	return option(sayDuration(d), spell(d))
}

// suggestions is the answer to a search. The list is never null: Slack takes an empty one for "nothing found".
type suggestions struct {
	Options []*slack.OptionBlockObject `json:"options"`
}

// suggest answers a search in one of the form's selects. What it says is no permission: all is checked again when the form is sent.
func (h *Handlers) suggest(ctx context.Context, in *slack.InteractionCallback) *suggestions {
	field, following, _ := strings.Cut(in.BlockID, "/")
	p := h.policy()
	query := cut(in.Value, 200)
	if id, longer := strings.CutPrefix(following, afterExtend); longer && field == fieldDuration {
		return bounded(h.suggestLonger(id, query))
	}
	if field == fieldDuration {
		s, ok := p.Scenario(following)
		if !ok {
			return bounded(nil)
		}
		return bounded(durations(s, query))
	}
	ctx, cancel := context.WithTimeout(ctx, suggestPatience)
	defer cancel()
	o, err := h.offering(ctx, in.User.ID, teamOf(in))
	if err != nil {
		_ = h.sentence("search in the form", err) // to the log; a search has nowhere to say why
		return bounded(nil)
	}
	switch field {
	case fieldScenario:
		return bounded(searchScenarios(o.scenarios, query))
	case fieldAccount:
		if s := o.scenario(following); s != nil {
			return bounded(searchAccounts(o.accounts(s), query))
		}
	}
	return bounded(nil)
}

// bounded cuts a list to what one acknowledgement carries. The best come first, and typing narrows, so nobody is cut off.
func bounded(all []*slack.OptionBlockObject) *suggestions {
	s := &suggestions{Options: []*slack.OptionBlockObject{}}
	size := len(`{"options":[]}`)
	for _, o := range all {
		b, err := json.Marshal(o)
		if size += len(b) + 1; err != nil || size > mostAck || len(s.Options) == mostOptions {
			break
		}
		s.Options = append(s.Options, o)
	}
	return s
}

// ranked is a match and how good it is; 0 is the best.
type ranked[V any] struct {
	value V
	rank  int
}

// search sorts what matches every word of the query: names that begin with it before names that hold it, else in the given order.
func search[V any](all []V, query string, names func(V) []string) []V {
	words := strings.Fields(strings.ToLower(query))
	var found []ranked[V]
	for _, v := range all {
		worst := 0
		for _, w := range words {
			best := noMatch
			for _, n := range names(v) {
				best = min(best, matches(strings.ToLower(n), w))
			}
			worst = max(worst, best)
		}
		if worst < noMatch {
			found = append(found, ranked[V]{v, worst})
		}
	}
	slices.SortStableFunc(found, func(a, b ranked[V]) int { return cmp.Compare(a.rank, b.rank) })
	out := make([]V, len(found))
	for i, f := range found {
		out[i] = f.value
	}
	return out
}

const noMatch = 4

// matches ranks how a word of the query stands in a name: the whole, its beginning, the beginning of a part, anywhere.
func matches(name, word string) int {
	switch i := strings.Index(name, word); {
	case i < 0:
		return noMatch
	case name == word:
		return 0
	case i == 0:
		return 1
	case strings.ContainsAny(name[i-1:i], " -_.:/("):
		return 2
	}
	return 3
}

func searchAccounts(all []policy.Account, query string) []*slack.OptionBlockObject {
	found := search(all, query, func(a policy.Account) []string { return []string{a.Name, a.ID} })
	var out []*slack.OptionBlockObject
	for _, a := range found[:min(len(found), mostOptions)] {
		out = append(out, accountOption(a))
	}
	return out
}

func searchScenarios(all []*policy.Scenario, query string) []*slack.OptionBlockObject {
	found := search(all, query, func(s *policy.Scenario) []string { return []string{s.Name, s.Title} })
	var out []*slack.OptionBlockObject
	for _, s := range found[:min(len(found), mostOptions)] {
		out = append(out, scenarioOption(s, false))
	}
	return out
}

// durations are the scenario's own, narrowed by what is typed, with what is typed itself before them where it is a duration that the
// scenario allows. A bare number is offered as minutes and as hours.
func durations(s policy.Scenario, query string) []*slack.OptionBlockObject {
	var out []*slack.OptionBlockObject
	offered := map[time.Duration]bool{}
	add := func(d time.Duration) {
		if d >= time.Minute && d <= s.MaxDuration && !offered[d] {
			offered[d] = true
			out = append(out, durationOption(d))
		}
	}
	query = strings.ToLower(strings.TrimSpace(query))
	if d, ok := readDuration(query); ok {
		add(d)
	}
	if n, err := strconv.Atoi(query); err == nil && n > 0 && n < 100_000 {
		add(time.Duration(n) * time.Minute)
		add(time.Duration(n) * time.Hour)
	}
	for _, d := range s.Durations {
		if query == "" || strings.HasPrefix(spell(d), query) || strings.HasPrefix(sayDuration(d), query) {
			add(d)
		}
	}
	return out
}
