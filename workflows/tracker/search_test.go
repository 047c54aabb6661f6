package tracker

import (
	"fmt"
	"strings"
	"testing"
)

// TestManyComments: a mark is found as far down as the 200th comment, pages later, and what stands below is added again.
func TestManyComments(t *testing.T) {
	for _, one := range []struct{ below, notes, calls int }{{0, 1, 1}, {49, 1, 1}, {50, 1, 2}, {199, 1, 4}, {200, 2, 5}} {
		w := newWorld(t, Jira)
		w.must(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
		for i := range one.below {
			w.twin.AddComment(w.key, fmt.Sprint("Chatter ", i))
		}
		w.twin.Requests()
		w.must(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
		if got := w.twin.Requests(); len(got) != one.calls {
			t.Errorf("%d below: %d calls", one.below, len(got))
		}
		if got := len(w.notes()) - one.below; got != one.notes {
			t.Errorf("%d below: %d notes", one.below, got)
		}
	}
}

// TestFatComments: comments so long that few fit into an answer are read a few at a time, and one that fits into none is passed over.
func TestFatComments(t *testing.T) {
	w := newWorld(t, Jira)
	w.must(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
	for range 10 {
		w.twin.AddComment(w.key, strings.Repeat("a line of a log\n", 2000))
	}
	w.twin.AddComment(w.key, strings.Repeat("x\n", 20_000))
	w.must(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
	if got := w.notes(); len(got) != 12 {
		t.Errorf("%d comments", len(got))
	}
}

// TestForeignProperties: others may write what they like under our property's name.
func TestForeignProperties(t *testing.T) {
	var p comments
	for _, value := range []string{`7`, `null`, `[]`, `"BG-1042/1"`, `{"mark":7}`, `{"mark":["BG-1042/1"]}`, `{"mark":"BG-1042/10"}`, ``} {
		p.Comments = append(p.Comments, struct {
			Properties []heldProperty `json:"properties"`
		}{[]heldProperty{{Key: property, Value: []byte(value)}, {Key: "other", Value: []byte(`{"mark":"BG-1042/1"}`)}}})
	}
	if p.has("BG-1042/1") || !p.has("BG-1042/10") {
		t.Error("read wrongly")
	}
}

// TestJournalMayNotBeRead: the note is added all the same.
func TestJournalMayNotBeRead(t *testing.T) {
	w := newWorld(t, ServiceNow)
	w.twin.HideJournal(true)
	w.must(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
	if got := w.twin.Comments(w.key); len(got) != 1 || got[0] != "Ended.\nBreakglass BG-1042/1" {
		t.Errorf("%q", got)
	}
}

// TestManyLikeMarks: other notes that mention a mark do not hide the one that has it.
func TestManyLikeMarks(t *testing.T) {
	w := newWorld(t, ServiceNow)
	w.must(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
	for i := range perJournal - 1 {
		w.must(w.Add(t.Context(), w.key, fmt.Sprintf("BG-1042/1%d", i), "Ended."))
	}
	w.twin.AddComment(w.key, "Seen.\r\n")
	w.must(w.Add(t.Context(), w.key, "BG-1042/1", "Ended."))
	if got := w.notes(); len(got) != perJournal+1 {
		t.Errorf("%q", got)
	}
}
