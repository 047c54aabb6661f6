package store_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"breakglass/store"
)

// model is what a store is, in plain maps.
type model struct {
	requests map[store.ID]store.Request
	events   []store.Event
	notices  []store.Notice
	clicks   []store.Click
	seen     map[string]bool
	access   map[store.Tuple]store.Access
	facts    map[string]string
	refs     map[string]store.Ref // by request and name
	told     uint64               // the last sequence of each that was given
	clicked  uint64
}

func newModel() model {
	return model{
		requests: map[store.ID]store.Request{}, seen: map[string]bool{}, access: map[store.Tuple]store.Access{},
		facts: map[string]string{}, refs: map[string]store.Ref{},
	}
}

func (m model) clone() model {
	m.requests, m.seen, m.access = maps.Clone(m.requests), maps.Clone(m.seen), maps.Clone(m.access)
	m.facts, m.refs = maps.Clone(m.facts), maps.Clone(m.refs)
	m.events, m.notices, m.clicks = slices.Clone(m.events), slices.Clone(m.notices), slices.Clone(m.clicks)
	return m
}

func (m *model) log(by store.By, e store.Event) {
	e.Seq, e.At, e.Actor = uint64(len(m.events)+1), by.At, by.Actor
	m.events = append(m.events, e)
}

func (m *model) tell(by store.By, n store.Notice) {
	m.told++
	n.Seq, n.At = m.told, by.At
	m.notices = append(m.notices, n)
}

// settle is what a change does to the record when its own part is done.
func (m *model) settle(by store.By, r store.Request) error {
	r.Version++
	if len(lawful[r.State]) == 0 {
		r.Clocks = nil
		if r.ClosedAt.IsZero() {
			r.ClosedAt = by.At
		}
	}
	r.Due = 0
	for _, at := range r.Clocks {
		if r.Due == 0 || at < r.Due {
			r.Due = at
		}
	}
	if r.Due == 0 && len(lawful[r.State]) > 0 {
		return store.ErrNoClock
	}
	m.requests[r.ID] = r
	return nil
}

// deed is one thing a function that is given to a change does: to the store, and to the model.
type deed struct {
	Kind  string
	Clock store.Clock
	At    time.Time
	Name  string
	Seq   uint64
}

var clocks = []store.Clock{store.ClockExpire, store.ClockPoll, store.ClockEnd, store.ClockReport}

func (w *world) deeds(t *rapid.T) []deed {
	kinds := []string{"set", "set", "set", "stop", "log", "tell", "fact", "want", "remove", "forget", "done", "decide", "refuse", "panic"}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) deed {
		return deed{
			Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Clock: rapid.SampledFrom(clocks).Draw(t, "clock"),
			At:   w.now.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "minutes")) * time.Minute),
			Name: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"), Seq: uint64(rapid.IntRange(0, 5).Draw(t, "seq")),
		}
	}), 0, 5).Draw(t, "deeds")
}

// do makes the deeds in the store.
func do(deeds []deed) func(*store.Change) error {
	return func(c *store.Change) error {
		for _, d := range deeds {
			var err error
			switch d.Kind {
			case "set":
				c.Request.Set(d.Clock, d.At)
			case "stop":
				c.Request.Stop(d.Clock)
			case "log":
				err = c.Log(d.Name, map[string]string{"x": d.Name})
			case "tell":
				err = c.Tell(store.Notice{Kind: d.Name, Message: d.Name})
			case "fact":
				err = c.Fact(d.Name, d.At.String())
			case "want":
				err = c.Want(d.Name == "a", false)
			case "remove":
				_, err = c.Remove()
			case "forget":
				err = c.Forget(d.Name == "a", time.Time{})
			case "done":
				err = c.Done(d.Seq)
			case "decide":
				c.Request.Decisions = append(c.Request.Decisions, store.Decision{By: person(d.Name), At: c.By.At})
			case "refuse":
				err = errRefuse
			case "panic":
				panic("for the test")
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// mirror makes them in the model.
func (m *model) mirror(by store.By, r *store.Request, deeds []deed) error {
	r.Clocks, r.Decisions = maps.Clone(r.Clocks), slices.Clone(r.Decisions)
	for _, d := range deeds {
		switch d.Kind {
		case "set":
			if r.Clocks == nil {
				r.Clocks = map[store.Clock]int64{}
			}
			r.Clocks[d.Clock] = d.At.UnixNano()
		case "stop":
			delete(r.Clocks, d.Clock)
		case "log":
			m.log(by, store.Event{Kind: d.Name, Request: r.ID, Data: map[string]string{"x": d.Name}})
		case "tell":
			m.tell(by, store.Notice{Kind: d.Name, Message: d.Name, Request: r.ID, Lane: string(r.ID)})
		case "fact":
			m.facts[d.Name] = d.At.String()
		case "want", "remove", "forget":
			m.desire(r, d, by.At)
		case "done":
			m.clicks = slices.DeleteFunc(m.clicks, func(c store.Click) bool { return c.Seq == d.Seq })
		case "decide":
			r.Decisions = append(r.Decisions, store.Decision{By: person(d.Name), At: by.At})
		case "refuse":
			return errRefuse
		case "panic":
			return errPanic
		}
	}
	return nil
}

func (m *model) desire(r *store.Request, d deed, now time.Time) {
	tu := store.Tuple{UserID: r.Requester.UserID, Account: r.Account.ID, Set: r.PermissionSet}
	a, known := m.access[tu]
	others := slices.DeleteFunc(slices.Clone(a.Live), func(id store.ID) bool { return id == r.ID })
	switch a.Tuple = tu; d.Kind {
	case "want":
		if !known || len(a.Live) == 0 {
			a.Standing = d.Name == "a"
			a.Since = store.Moment(now)
		}
		a.Forced = false
		if len(others) == len(a.Live) {
			a.Live = append(others, r.ID)
		}
	case "remove":
		if a.Live = others; len(others) == 0 && !a.Standing {
			a.Removing = r.ID
		}
	case "forget":
		if !known {
			return
		}
		if a.Live = others; a.Removing == r.ID {
			a.Removing = ""
		}
		if len(a.Live) == 0 && a.Removing == "" {
			a.Ended, a.Forced = store.Moment(now), d.Name == "a"
		}
	}
	m.access[tu] = a
}

// agree compares everything a store can be asked with the model.
func agree(t *rapid.T, db *store.DB, m model, now time.Time) {
	t.Helper()
	same := func(what string, want, got any, err error) {
		t.Helper()
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Fatalf("%s: %v\n%s", what, err, diff)
		}
	}
	if err := db.Check(); err != nil {
		t.Fatal(err)
	}
	var open, anns, annsOpen []store.Request
	var due, dueNow []store.Due
	tally := map[store.State]int{}
	for _, id := range slices.Sorted(maps.Keys(m.requests)) {
		r := m.requests[id]
		got, err := db.Request(id)
		same(string(id), r, got, err)
		mine := r.Requester.UserID == "ann"
		if mine {
			anns = append([]store.Request{r}, anns...)
		}
		if len(lawful[r.State]) == 0 {
			continue
		}
		open = append(open, r)
		tally[r.State]++
		if mine {
			annsOpen = append([]store.Request{r}, annsOpen...)
		}
		due = append(due, store.Due{ID: id, Since: time.Unix(0, r.Due).UTC(), State: r.State})
	}
	slices.SortStableFunc(due, func(a, b store.Due) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	for _, d := range due {
		if !d.Since.After(now) {
			dueNow = append(dueNow, d)
		}
	}
	got, err := db.Open()
	same("open", open, got, err)
	got, err = db.OpenOf("ann")
	same("open of ann", annsOpen, got, err)
	got, err = db.OfPerson("ann", 3)
	same("of ann", anns[:min(3, len(anns))], got, err)
	counts, err := db.Tally()
	same("tally", tally, counts, err)
	dues, err := db.Due(now.Add(1000*time.Hour), math.MaxInt)
	same("due at any time", due, dues, err)
	dues, err = db.Due(now, 2)
	same("due now", dueNow[:min(2, len(dueNow))], dues, err)
	agreeLists(t, db, m, same)
}

func agreeLists(t *rapid.T, db *store.DB, m model, same func(string, any, any, error)) {
	events, err := db.Events(0, math.MaxInt)
	same("events", m.events, events, err)
	of := slices.DeleteFunc(slices.Clone(m.events), func(e store.Event) bool { return e.Request != "BG-1001" })
	events, err = db.EventsOf("BG-1001")
	same("events of BG-1001", of, events, err)
	notices, err := db.Notices(0, math.MaxInt)
	same("notices", m.notices, notices, err)
	clicks, err := db.Clicks(math.MaxInt)
	same("clicks", m.clicks, clicks, err)
	for name, want := range m.facts {
		got, known, err := db.Fact(name)
		same("fact", want, got, err)
		same("fact known", true, known, nil)
	}
	for id := range m.requests {
		for _, name := range []string{"a", "b"} {
			want, wanted := m.refs[string(id)+name]
			ref, known, err := db.Ref(id, name)
			same("ref", want, ref, err)
			same("ref known", wanted, known, nil)
		}
	}
	for _, u := range []string{"ann", "bob"} {
		r := asked(u)
		tu := r.Tuple()
		want, wanted := m.access[tu]
		got, known, err := db.Access(tu)
		same("access", want, got, err)
		same("access known", wanted, known, nil)
	}
	dump := db.Dump()
	same("seen", len(m.seen), len(dump["seen"]), nil)
	same("seen at", len(m.seen), len(dump["seenat"]), nil)
}

// crash takes the file as it lies there, as a power failure would leave it, and opens that.
func (w *world) crash(t *rapid.T) {
	data, err := os.ReadFile(w.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	w.copies++
	path := filepath.Join(w.dir, fmt.Sprintf("crash%d.db", w.copies))
	full := bytes.TrimRight(data, "\x00") // most of the file is room at its end
	if err := errors.Join(os.WriteFile(path, full, 0o600), os.Truncate(path, int64(len(data)))); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	db, err := store.Open(path, w.now)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	agree(t, db, w.m, w.now)
}

func (w *world) reopen(t *rapid.T) {
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(w.db.Path(), w.now)
	if err != nil {
		t.Fatal(err)
	}
	w.db = db
}

// TestModel lets random histories run through a store and a model of it in plain maps.
func TestModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	histories, changes := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		histories++
		path := filepath.Join(dir, fmt.Sprintf("%d.db", histories))
		db, err := store.Create(path, noon)
		if err != nil {
			t.Fatal(err)
		}
		w := &world{dir: dir, db: db, m: newModel(), now: noon}
		defer func() {
			w.db.Close()
			os.Remove(path)
		}()
		t.Repeat(map[string]func(*rapid.T){
			"submit": w.submit, "transition": w.transition, "transition2": w.transition, "transition3": w.transition,
			"touch": w.touch, "click": w.click, "dismiss": w.dismiss, "notice": w.notice, "word": w.word,
			"crash": w.crash, "reopen": w.reopen,
		})
		agree(t, w.db, w.m, w.now)
		w.reopen(t)
		agree(t, w.db, w.m, w.now)
		changes += w.changes
	})
	t.Logf("%d histories, %d changes", histories, changes)
}
