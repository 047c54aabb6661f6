package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"breakglass/store"
	"breakglass/workflows"
)

// People.

func (r *run) bound() error {
	if time.Since(r.begun) < r.w.bindAfter {
		return workflows.ErrNotYet
	}
	return nil
}

func (r *run) Match(ctx context.Context, slackID, _ string, g []string) (store.Principal, store.Person, error) {
	if err := r.bound(); err != nil {
		return store.Principal{}, store.Person{}, err
	}
	p, err := r.Look(ctx, strings.ToLower(strings.TrimPrefix(slackID, "U")), g)
	return p, p.Person(slackID), err
}

func (r *run) SlackOf(ctx context.Context, p store.Principal) (string, error) {
	if err := errors.Join(r.bound(), r.out(ctx)); err != nil {
		return "", err
	}
	return "U" + strings.ToUpper(p.UserID), nil
}

// Speaker.

func (r *run) Deliver(ctx context.Context, n store.Notice, q store.Request, ref store.Ref) (store.Ref, error) {
	if err := r.bound(); err != nil {
		return ref, &workflows.Undelivered{Certain: true, Err: err}
	}
	if err := r.out(ctx); err != nil {
		return ref, err
	}
	if r.w.deliver != nil {
		if err := r.w.deliver(n); err != nil {
			return ref, err
		}
	}
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.told = append(r.w.told, told{time.Now(), n, r.n})
	if ref.TS == "" && n.Message != "" {
		ref = store.Ref{Channel: "C", TS: fmt.Sprint(len(r.w.told))}
	}
	return ref, nil
}

// What people do.

func (w *world) submit(scenario, d string) (store.Request, error) {
	return w.submitAs("dana", scenario, "prod-wealth", d)
}

func (w *world) submitAs(who, scenario, account, d string) (store.Request, error) {
	p := w.people[who]
	person := p.Person("U" + strings.ToUpper(who))
	by := store.By{Actor: store.Somebody(person), At: store.Moment(w.run.now())}
	return w.run.e.Submit(context.Background(), by, workflows.Ask{
		Who: p, Person: person, Scenario: scenario, Account: account, Duration: d, Reason: "api is slow", Ticket: "OPS-1",
	})
}

var clicks atomic.Int64

func (w *world) click(who, kind string, id store.ID) error {
	return w.run.e.Receive(context.Background(), store.Click{
		Key: fmt.Sprintf("k%d", clicks.Add(1)), Kind: kind, Request: id, SlackID: "U" + strings.ToUpper(who), TeamID: "T", Channel: "C",
	})
}

func (w *world) state(id store.ID) store.State {
	r, err := w.run.db.Request(id)
	if err != nil {
		return store.State(err.Error())
	}
	return r.State
}

func (w *world) heard(kind string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.told {
		if t.n.Kind == kind {
			n++
		}
	}
	return n
}

func (w *world) in() int {
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.has)
}

func (w *world) events(id store.ID) string {
	all, err := w.run.db.EventsOf(id)
	if err != nil {
		w.t.Fatal(err)
	}
	var lines []string
	for _, e := range all {
		lines = append(lines, fmt.Sprintf("%s %s %s->%s %v", e.At.Format("15:04:05"), e.Kind, e.From, e.To, e.Data))
	}
	return strings.Join(lines, "\n")
}

// takes says how long AWS takes for a change from now on.
func (w *world) takes(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.async = d
}
