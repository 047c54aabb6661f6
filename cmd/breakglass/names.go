package main

import (
	"encoding/json"
	"maps"

	"breakglass/store"
)

// factNames keeps the ARNs of permission sets by name: Identity Center can only be asked for all of them, which takes long, and what is overdue at a start must
// not wait for that.
const factNames = "permission sets"

// knownNames gives the names of the last run to the part that looks them up.
func (p *program) knownNames() {
	text, known, err := p.db.Fact(factNames)
	if err != nil || !known {
		return
	}
	var names map[string]string
	if err := json.Unmarshal([]byte(text), &names); err != nil {
		p.log.Warn("the names of the permission sets that the store has cannot be read; they are looked up anew", "err", err)
		return
	}
	p.idc.Remember(names)
}

// keepNames keeps those of this run for the next.
func (p *program) keepNames() {
	names := p.idc.Names()
	var was map[string]string
	if text, known, err := p.db.Fact(factNames); err == nil && known {
		_ = json.Unmarshal([]byte(text), &was) // what cannot be read is written over
	}
	if len(names) == 0 || maps.Equal(was, names) {
		return
	}
	text, err := json.Marshal(names)
	if err != nil {
		return
	}
	by := store.By{Actor: store.Bot(), At: store.Moment(p.engine.Moment())}
	if err := p.db.SetFact(by, factNames, string(text), store.EventOutcome, map[string]string{"effect": "read the permission sets"}); err != nil {
		p.log.Warn("the names of the permission sets could not be kept for the next start", "err", err)
	}
}
