package store_test

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"breakglass/store"
)

var update = flag.Bool("update", false, "write testdata anew; never do that to a file a release has written")

// persisted are the types that lie in the file.
var persisted = []any{store.Request{}, store.Event{}, store.Notice{}, store.Click{}, store.Ref{}, store.Access{}, store.Part{}, store.Filed{}, store.Spoken{}}

// Records outlive the program that wrote them: a field that is renamed is lost without a word. So every name is written down in
// testdata/fields.txt; new ones are added there, none is ever taken away or given to another type.
func TestFieldNamesAreFrozen(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var lines []string
	for _, v := range persisted {
		lines = append(lines, fieldsOf(t, reflect.TypeOf(v), seen)...)
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	file := filepath.Join("testdata", "fields.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the fields of the records changed:\n%s", diff)
	}
}

func fieldsOf(t *testing.T, ty reflect.Type, seen map[reflect.Type]bool) (lines []string) {
	switch ty.Kind() {
	case reflect.Slice, reflect.Pointer, reflect.Map:
		return fieldsOf(t, ty.Elem(), seen)
	case reflect.Struct:
	default:
		return nil
	}
	if seen[ty] || ty == reflect.TypeFor[time.Time]() {
		return nil
	}
	seen[ty] = true
	for i := range ty.NumField() {
		f := ty.Field(i)
		tag, ok := f.Tag.Lookup("json")
		if !ok || !f.IsExported() || strings.HasPrefix(tag, ",") || tag == "-" {
			t.Errorf("%s.%s has no name of its own in the file", ty.Name(), f.Name)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", ty.Name(), tag, kindOf(f.Type)))
		lines = append(lines, fieldsOf(t, f.Type, seen)...)
	}
	return lines
}

// kindOf is how a field is written: a type that is renamed in the code is not renamed in the file.
func kindOf(ty reflect.Type) string {
	switch {
	case ty == reflect.TypeFor[time.Time]():
		return "time"
	case ty.Kind() == reflect.Struct:
		return ty.Name()
	case ty.Kind() == reflect.Slice:
		return "[]" + kindOf(ty.Elem())
	case ty.Kind() == reflect.Map:
		return "map[" + kindOf(ty.Key()) + "]" + kindOf(ty.Elem())
	}
	return ty.Kind().String()
}

// timesOf finds every time in a value, by its path.
func timesOf(v any) map[string]time.Time {
	out := map[string]time.Time{}
	var walk func(name string, v reflect.Value)
	walk = func(name string, v reflect.Value) {
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
			out[name] = v.Interface().(time.Time)
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				walk(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Kind() == reflect.Pointer:
			if !v.IsNil() {
				walk(name, v.Elem())
			}
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", name, i), v.Index(i))
			}
		}
	}
	walk("", reflect.ValueOf(v))
	return out
}

// A request whose every field is set comes back from the file as it went in, and every time in it is settled: a field that is added
// and forgotten in settle is found here.
func TestEveryFieldComesBack(t *testing.T) {
	local := time.Date(2026, 11, 21, 23, 0, 0, 5, time.FixedZone("far", 11*3600))
	r := filled(reflect.TypeFor[store.Request](), local).Interface().(store.Request)
	r.State, r.Requester.UserID, r.Clocks = store.Pending, "ann", nil
	r.Set(store.ClockExpire, local)
	db := fresh(t)
	got, err := db.Submit(byBot(noon), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range timesOf(got) {
		if at.Location() != time.UTC || !at.Equal(local) {
			t.Errorf("%s is %s", name, at)
		}
	}
	read, err := reopen(t, db).Request(got.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, read); diff != "" {
		t.Errorf("it came back otherwise:\n%s", diff)
	}
	r.ID, r.Version, r.Due = got.ID, got.Version, got.Due
	if diff := cmp.Diff(r, read); diff != "" {
		t.Errorf("it went in otherwise:\n%s", diff)
	}
}

func filled(ty reflect.Type, at time.Time) reflect.Value {
	v := reflect.New(ty).Elem()
	switch {
	case ty == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(at))
	case ty.Kind() == reflect.Struct:
		for i := range ty.NumField() {
			v.Field(i).Set(filled(ty.Field(i).Type, at))
		}
	case ty.Kind() == reflect.Pointer:
		v.Set(reflect.New(ty.Elem()))
		v.Elem().Set(filled(ty.Elem(), at))
	case ty.Kind() == reflect.Slice:
		v.Set(reflect.Append(v, filled(ty.Elem(), at)))
	case ty.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(ty))
		v.SetMapIndex(filled(ty.Key(), at), filled(ty.Elem(), at))
	case ty.Kind() == reflect.String:
		v.SetString("<ü & \u2028>")
	case ty.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(7)
	case v.CanUint():
		v.SetUint(7)
	default:
		panic("a kind of field that nobody thought of: " + ty.String())
	}
	return v
}

const keptFile = "testdata/v1.db.gz"

// TestOldStoreOpens opens a store that the first version wrote, with requests in every state: what it says is in
// testdata/v1.txt, and opening alone changes nothing in it.
func TestOldStoreOpens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	if *update {
		keep(t)
	}
	unpack(t, keptFile, path)
	db, err := store.Open(path, noon)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	before := db.Dump()
	if err := db.Check(); err != nil {
		t.Fatal(err)
	}
	states := map[store.State]int{}
	var text strings.Builder
	for n := 1001; n < 1001+len(store.States()); n++ {
		r, err := db.Request(store.ID(fmt.Sprintf("BG-%d", n)))
		if err != nil {
			t.Fatal(err)
		}
		states[r.State]++
		events, err := db.EventsOf(r.ID)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s %s due %d version %d, %d events, %s on %s\n", r.ID, r.State, r.Due, r.Version, len(events), r.PermissionSet, r.Account.ID)
	}
	open, _ := db.Open()
	due, _ := db.Due(noon.Add(1000*time.Hour), 100)
	notices, _ := db.Notices(0, 100)
	clicks, _ := db.Clicks(100)
	fact, _, _ := db.Fact("channel")
	a, _, _ := db.Access(open[2].Tuple())
	fmt.Fprintf(&text, "store %s: %d open, %d due, %d notices, %d clicks, channel %s, live %v\n", db.ID(), len(open), len(due), len(notices), len(clicks), fact, a.Live)
	if len(states) != len(store.States()) {
		t.Errorf("only these states are in it: %v", states)
	}
	if *update {
		if err := os.WriteFile("testdata/v1.txt", []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("it says something else than it did:\n%s", diff)
	}
	db = reopen(t, db)
	if diff := cmp.Diff(before, db.Dump()); diff != "" {
		t.Errorf("opening it changed it:\n%s", diff)
	}
	// And work goes on in it: everything open can be moved, and what is new gets a new number.
	for _, r := range open {
		if _, err := db.Transition(byBot(noon), r.ID, r.State, lawful[r.State][0], nil); err != nil {
			t.Error(err)
		}
	}
	if r := submit(t, db, "zoe"); r.ID != "BG-1013" {
		t.Errorf("the next request is %s", r.ID)
	}
	if err := db.Check(); err != nil {
		t.Error(err)
	}
}

// keep writes the store that is kept.
func keep(t *testing.T) {
	db := fresh(t)
	for i, s := range store.States() {
		r := bring(t, db, fmt.Sprintf("user%d", i%3), s)
		if r.State.MayHaveAccess() {
			if _, err := db.Touch(byBot(noon), r.ID, r.State, func(c *store.Change) error { return c.Want(false, false) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	by := byBot(noon)
	by.Delivery = "envelope 1"
	err := db.Tell(by, store.Notice{Kind: "card", Request: "BG-1001", Lane: "BG-1001", Message: "card"}, store.EventStarted, nil)
	if err == nil {
		err = db.SetFact(byBot(noon), "channel", "C0001", store.EventChannel, nil)
	}
	if err == nil {
		_, err = db.Receive(byBot(noon), store.Click{Key: "envelope 2", Kind: store.ClickApprove, Request: "BG-1001", SlackID: "U2"})
	}
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err := db.Snapshot(z); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keptFile, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
