package workflows

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"breakglass/store"
)

// finding is something that neither the store nor the policy explains.
type finding struct {
	what, account, granted, who, detail, done string
	request                                   store.ID
}

func (f finding) key() string {
	return strings.Join([]string{f.what, f.account, f.granted, f.who}, "\t")
}

// answers says whether AWS answered for what a finding is about.
func (s *sightings) answers(key string) bool {
	part := strings.Split(key, "\t")
	return len(part) < 3 || part[0] == FoundSchedule || s.asked[pair{part[1], part[2]}]
}

// dataOf is a finding for the log and for people, who know accounts by the policy's names.
func (e *Engine) dataOf(f finding) map[string]string {
	data := map[string]string{"what": f.what}
	if a, ok := e.Policy().AccountByID(f.account); ok {
		f.account = a.Name
	}
	for k, v := range map[string]string{"account": f.account, "granted": f.granted, "who": f.who, "detail": f.detail, "done": f.done} {
		if v != "" {
			data[k] = v
		}
	}
	return data
}

// found announces a finding and writes it down.
func (e *Engine) found(f finding) error {
	data := e.dataOf(f)
	return e.DB.Announce(e.by(), "last finding", f.key(), store.EventFound, data, &store.Notice{Kind: NoticeFound, Request: f.request, Lane: "found", Data: data})
}

const standingFact = "findings that stand"

// foundOnce announces a finding that stays until somebody mends it, the first time it is seen.
func (e *Engine) foundOnce(key string, f finding) error {
	e.finding.Lock()
	defer e.finding.Unlock()
	known, err := e.standingFindings()
	if err != nil || slices.Contains(known, key) {
		return err
	}
	text, err := json.Marshal(append(known, key))
	if err != nil {
		return err
	}
	data := e.dataOf(f)
	return e.DB.Announce(e.by(), standingFact, string(text), store.EventFound, data, &store.Notice{Kind: NoticeFound, Lane: "found", Data: data})
}

func (e *Engine) standingFindings() (out []string, err error) {
	text, known, err := e.DB.Fact(standingFact)
	if err != nil || !known || text == "" {
		return nil, err
	}
	return out, json.Unmarshal([]byte(text), &out)
}

// remember forgets the findings that no longer stand, so that they are announced if they come back.
func (e *Engine) remember(seen *sightings) error {
	e.finding.Lock()
	defer e.finding.Unlock()
	known, err := e.standingFindings()
	if err != nil {
		return err
	}
	// What belongs to a pair that did not answer may well stand still.
	kept := slices.DeleteFunc(slices.Clone(known), func(key string) bool { return !seen.stand[key] && seen.answers(key) })
	if len(kept) == len(known) {
		return nil
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	data := map[string]string{"gone": fmt.Sprint(len(known) - len(kept))}
	return e.DB.SetFact(e.by(), standingFact, string(text), store.EventFound, data)
}
