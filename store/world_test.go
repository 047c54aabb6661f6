package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"breakglass/store"
)

// world is a store beside its model.
type world struct {
	dir     string
	db      *store.DB
	m       model
	now     time.Time
	copies  int
	changes int // that were accepted
}

// try makes one change to both, and compares what they say to it.
func (w *world) try(t *rapid.T, by store.By, inModel func(*model) error, inStore func() error) {
	next := w.m.clone()
	var want error
	if by.Delivery != "" && next.seen[by.Delivery] {
		want = store.ErrSeen
	} else {
		if by.Delivery != "" {
			next.seen[by.Delivery] = true
		}
		want = inModel(&next)
	}
	before := w.db.Dump()
	got := caught(inStore)
	var moved, wanted *store.TransitionError
	switch {
	case errors.As(want, &wanted):
		if !errors.As(got, &moved) || *moved != *wanted {
			t.Fatalf("it says %v, not %v", got, want)
		}
	case !errors.Is(got, want):
		t.Fatalf("it says %v, not %v", got, want)
	}
	if want == nil {
		w.m = next
		w.changes++
	} else if diff := gocmp.Diff(before, w.db.Dump()); diff != "" {
		t.Fatalf("a change that failed with %v left something:\n%s", want, diff)
	}
}

func (w *world) by(t *rapid.T) store.By {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
	by := byBot(w.now)
	if rapid.Bool().Draw(t, "delivered") {
		by.Delivery = fmt.Sprintf("delivery %d", rapid.IntRange(1, 20).Draw(t, "delivery"))
	}
	return by
}

// some draws a request that there is, or one that there is not.
func (w *world) some(t *rapid.T) (store.ID, store.Request, bool) {
	ids := slices.Sorted(maps.Keys(w.m.requests))
	id := rapid.SampledFrom(append(ids, "BG-9999", "BG-x")).Draw(t, "id")
	r, ok := w.m.requests[id]
	return id, r, ok
}

func (w *world) submit(t *rapid.T) {
	by, deeds := w.by(t), w.deeds(t)
	r := asked(rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "user"))
	r.State = rapid.SampledFrom([]store.State{store.Pending, store.Pending, store.Approved, store.Active}).Draw(t, "state")
	w.try(t, by, func(m *model) error {
		if r.State == store.Active {
			return errAny
		}
		q := r
		q.ID = store.ID(fmt.Sprintf("BG-%d", 1001+len(m.requests)))
		m.log(by, store.Event{Kind: store.EventSubmitted, Request: q.ID, Data: map[string]string{
			"state": string(q.State), "scenario": q.Scenario, "tier": fmt.Sprint(q.Tier), "account": q.Account.ID, "granted": q.PermissionSet, "user": q.Requester.UserID,
			"duration": q.Duration.String(), "reason": q.Reason, "policy": q.Policy,
		}})
		return first(m.mirror(by, &q, deeds), func() error { return m.settle(by, q) })
	}, func() error {
		got, err := w.db.Submit(by, r, do(deeds))
		if r.State == store.Active && err != nil && !errors.Is(err, store.ErrSeen) {
			return errAny
		}
		return w.same(got, err)
	})
}

var errAny = errors.New("any error")

// same says whether what a change returned is what is read now.
func (w *world) same(got store.Request, err error) error {
	if err != nil {
		return err
	}
	read, err := w.db.Request(got.ID)
	if diff := gocmp.Diff(got, read, cmpopts.EquateEmpty()); diff != "" {
		return fmt.Errorf("it returned something else than is read: %s", diff)
	}
	return err
}

func (w *world) transition(t *rapid.T) {
	by, deeds := w.by(t), w.deeds(t)
	id, r, ok := w.some(t)
	from, to := r.State, store.Closed
	if rapid.IntRange(0, 5).Draw(t, "odd") == 0 {
		from = rapid.SampledFrom(store.States()).Draw(t, "from")
	}
	if next := lawful[from]; len(next) > 0 {
		to = rapid.SampledFrom(next).Draw(t, "to")
	}
	if rapid.IntRange(0, 5).Draw(t, "wild") == 0 {
		to = rapid.SampledFrom(store.States()).Draw(t, "to")
	}
	w.try(t, by, func(m *model) error {
		if !ok {
			return store.ErrNotFound
		}
		if r.State != from || !slices.Contains(lawful[from], to) {
			return &store.TransitionError{ID: id, Is: r.State, From: from, To: to}
		}
		q := r
		q.State = to
		m.log(by, store.Event{Kind: store.EventMoved, Request: id, From: from, To: to})
		return first(m.mirror(by, &q, deeds), func() error { return m.settle(by, q) })
	}, func() error {
		return w.same(w.db.Transition(by, id, from, to, do(deeds)))
	})
}

func first(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

func (w *world) touch(t *rapid.T) {
	by, deeds := w.by(t), w.deeds(t)
	id, r, ok := w.some(t)
	in := r.State
	if rapid.IntRange(0, 5).Draw(t, "odd") == 0 {
		in = rapid.SampledFrom(store.States()).Draw(t, "in")
	}
	w.try(t, by, func(m *model) error {
		if !ok {
			return store.ErrNotFound
		}
		if r.State != in {
			return &store.TransitionError{ID: id, Is: r.State, From: in, To: in}
		}
		q := r
		return first(m.mirror(by, &q, deeds), func() error { return m.settle(by, q) })
	}, func() error {
		return w.same(w.db.Touch(by, id, in, do(deeds)))
	})
}

func (w *world) click(t *rapid.T) {
	by := w.by(t)
	c := store.Click{Key: by.Delivery, Kind: store.ClickApprove, Request: "BG-1001", SlackID: "U1"}
	w.try(t, by, func(m *model) error {
		m.clicked++
		c := c
		c.Seq, c.At = m.clicked, by.At
		m.clicks = append(m.clicks, c)
		return nil
	}, func() error { _, err := w.db.Receive(by, c); return err })
}

func (w *world) dismiss(t *rapid.T) {
	by := w.by(t)
	c := store.Click{Seq: uint64(rapid.IntRange(1, 6).Draw(t, "seq")), Request: "BG-1001"}
	w.try(t, by, func(m *model) error {
		i := slices.IndexFunc(m.clicks, func(k store.Click) bool { return k.Seq == c.Seq })
		if i < 0 {
			return nil
		}
		m.clicks = slices.Delete(m.clicks, i, i+1)
		m.log(by, store.Event{Kind: store.EventRefused, Request: c.Request})
		m.tell(by, store.Notice{Kind: "answer"})
		return nil
	}, func() error { return w.db.Dismiss(by, c, store.EventRefused, nil, &store.Notice{Kind: "answer"}) })
}

func (w *world) notice(t *rapid.T) {
	by := w.by(t)
	seq := uint64(rapid.IntRange(1, 8).Draw(t, "seq"))
	kind := rapid.SampledFrom([]string{"begin", "begin", "postpone", "told", "drop"}).Draw(t, "what")
	flag := rapid.Bool().Draw(t, "flag")
	ref := store.Ref{Channel: "C1", TS: w.now.String()}
	w.try(t, by, func(m *model) error {
		i := slices.IndexFunc(m.notices, func(n store.Notice) bool { return n.Seq == seq })
		if i < 0 {
			return nil
		}
		n := &m.notices[i]
		switch kind {
		case "begin":
			if n.Attempts++; n.Attempts > 1 && flag {
				m.log(by, store.Event{Kind: store.EventRepeated, Request: n.Request, Data: map[string]string{"notice": n.Kind, "message": n.Message}})
			}
			return nil
		case "postpone":
			if n.NotUntil, n.Error = w.now, "why"; !flag {
				n.Attempts = max(0, n.Attempts-1)
			}
			return nil
		case "told":
			if n.Message != "" {
				m.refs[string(n.Request)+n.Message] = ref
			}
		case "drop":
			m.log(by, store.Event{Kind: store.EventFault, Request: n.Request, Data: map[string]string{"notice": n.Kind, "to": n.To, "error": "gone"}})
		}
		m.notices = slices.Delete(m.notices, i, i+1)
		return nil
	}, func() error {
		switch kind {
		case "begin":
			return w.db.Begin(by, seq, flag)
		case "postpone":
			return w.db.Postpone(by, seq, w.now, flag, "why")
		case "drop":
			return w.db.Told(by, seq, store.Ref{}, "gone")
		}
		return w.db.Told(by, seq, ref, "")
	})
}

func (w *world) word(t *rapid.T) {
	by := w.by(t)
	kind := rapid.SampledFrom([]string{"log", "logof", "fact", "tell"}).Draw(t, "what")
	id, _, _ := w.some(t)
	data := map[string]string{"k": "v"}
	w.try(t, by, func(m *model) error {
		e := store.Event{Kind: kind, Data: data}
		switch kind {
		case "logof":
			e.Request = id
		case "fact":
			m.facts["f"] = w.now.String()
		case "tell":
			m.tell(by, store.Notice{Kind: "n", Lane: "incidents"})
		}
		m.log(by, e)
		return nil
	}, func() error {
		switch kind {
		case "log":
			return w.db.Log(by, kind, data)
		case "logof":
			return w.db.LogOf(by, id, kind, data)
		case "fact":
			return w.db.SetFact(by, "f", w.now.String(), kind, data)
		}
		return w.db.Tell(by, store.Notice{Kind: "n", Lane: "incidents"}, kind, data)
	})
}
