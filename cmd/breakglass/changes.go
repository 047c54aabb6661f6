package main

import (
	"context"
	"errors"
	"strings"

	"breakglass/handlers"
	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// What changes under a running bot is announced, never taken over in silence: the policy, a channel, whom a Slack account belongs to.

// factPolicy keeps the text of the policy in force, so that the next start can tell what is different.
const factPolicy = "policy"

// announcePolicy compares a policy with the last one in force and tells the requests channel of every difference, in one transaction with the note that it
// is in force now. text is what it was read from.
func (p *program) announcePolicy(by store.By, pol *policy.Policy, text []byte) error {
	was, known, err := p.db.Fact(factPolicy)
	if err != nil || known && was == string(text) {
		return err
	}
	data := map[string]string{"hash": pol.Hash}
	if !known {
		return p.db.SetFact(by, factPolicy, string(text), store.EventPolicy, data)
	}
	diff := []string{"the former one can no longer be read"}
	if old, err := policy.Parse("the former policy", []byte(was)); err == nil {
		diff = policy.Diff(old, pol)
	}
	data["diff"] = strings.Join(diff, "\n")
	n := &store.Notice{Kind: workflows.NoticePolicy, Lane: "policy", Data: data}
	return p.db.Announce(by, factPolicy, string(text), store.EventPolicy, data, n)
}

// watchPolicy takes up a changed policy when told to. A faulty one is refused and the old one stays in force.
func (p *program) watchPolicy(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.hup:
			if err := p.reload(); err != nil {
				p.log.Error("the changed policy is not taken up; the old one stays in force", "err", err)
			}
		}
	}
}

func (p *program) reload() error {
	pol, text, err := readPolicy(p.env.Policy)
	if err != nil {
		return err
	}
	by := store.By{Actor: store.Officer("SIGHUP"), At: store.Moment(p.engine.Moment())}
	if err := p.announcePolicy(by, pol, text); err != nil {
		return err
	}
	p.pol.Store(pol)
	if err := p.engine.KeepPolicy(); err != nil {
		p.log.Error("the policy's text could not be kept for the archive", "err", err)
	}
	p.log.Info("policy taken up", "hash", pol.Hash)
	p.engine.PolicyChanged()
	p.engine.Nudge()
	return nil
}

// channels are the ids of both channels; one that is known is returned even where the other is not.
func (p *program) channels(ctx context.Context) (requests, incidents string, err error) {
	requests, err1 := p.rooms.ID(ctx, handlers.RoleRequests)
	incidents, err2 := p.rooms.ID(ctx, handlers.RoleIncidents)
	return requests, incidents, errors.Join(err1, err2)
}

func (p *program) channelRenamed(_ context.Context, id, name string) {
	role, was, err := p.rooms.Renamed(id, name)
	if err != nil {
		p.log.Error("a channel was renamed and that could not be recorded", "err", err)
		return
	}
	if role == "" {
		return
	}
	data := map[string]string{"role": role, "id": id, "was": was, "is": name}
	by := store.By{Actor: store.Bot(), At: store.Moment(p.engine.Moment())}
	n := store.Notice{Kind: workflows.NoticeChannel, Lane: "channels", Data: data}
	if err := p.db.Tell(by, n, store.EventChannel, data); err != nil {
		p.log.Error("a channel was renamed and that could not be recorded", "err", err)
	}
	p.engine.Nudge()
}

func (p *program) channelMoved(_ context.Context, was, is string) {
	if role, err := p.rooms.Moved(was, is); err != nil {
		p.log.Error("a channel has a new id and that could not be recorded", "role", role, "err", err)
	}
}

func (p *program) channelShared(ctx context.Context, id string) {
	requests, incidents, err := p.channels(ctx)
	if err == nil && id != requests && id != incidents {
		return
	}
	p.log.Error("a channel of ours was shared with another organisation: its people can read requests, and their clicks are refused. Name another channel in the policy", "channel", id)
}

// personChanged announces that a Slack account suddenly belongs to another AWS user. It was refused already.
func (p *program) personChanged(_ context.Context, slackID, was, is string) {
	data := map[string]string{"slack": slackID, "was": was, "is": is}
	by := store.By{Actor: store.Bot(), At: store.Moment(p.engine.Moment())}
	n := store.Notice{Kind: workflows.NoticePerson, Lane: "people", Data: data}
	if err := p.db.Tell(by, n, store.EventPerson, data); err != nil {
		p.log.Error("a person changed and that could not be recorded", "slack", slackID, "err", err)
	}
	p.engine.Nudge()
}
