package report

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
	"time"

	"breakglass/store"
)

// remembered keeps the ids by which a later reading knows what it need not tell again: store.MostSeen of them, of reads that went
// through only the newest, since nothing hides in front of them as well as behind a flood of reads. The least worth keeping is on top
// of the heap.
type remembered struct {
	kept []stamp
	lost time.Time // the newest read whose id was not kept
}

type stamp struct {
	id    string
	at    time.Time
	plain bool // a read that went through
}

// add keeps an event, or what is more worth keeping.
func (m *remembered) add(s stamp) {
	const room = store.MostSeen - 1 // one is left for the mark
	if len(m.kept) < room {
		heap.Push(m, s)
		return
	}
	if less(m.kept[0], s) {
		s, m.kept[0] = m.kept[0], s
		heap.Fix(m, 0)
	}
	if s.plain && s.at.After(m.lost) {
		m.lost = s.at
	}
}

// ids are the memory as it is stored: oldest first, after a mark where reads were left out. Reads up to the mark are taken for known
// by a later reading. Writes and refusals never are: where even they are too many, a later reading tells some of them twice,
// which is better than once too few.
func (m *remembered) ids() []string {
	if len(m.kept) == 0 {
		return nil
	}
	kept := slices.Clone(m.kept)
	slices.SortFunc(kept, func(a, b stamp) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	ids := make([]string, 0, len(kept)+1)
	if !m.lost.IsZero() {
		ids = append(ids, mark(m.lost))
	}
	for _, s := range kept {
		ids = append(ids, s.id)
	}
	return ids
}

// mark is an entry among the ids that is none.
func mark(t time.Time) string { return "<" + t.UTC().Format(time.RFC3339Nano) }

// isMark reads a mark; ok is false for an id.
func isMark(s string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(s, "<")
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, rest)
	return t, err == nil
}

// less says whether a is less worth keeping than b.
func less(a, b stamp) bool {
	if a.plain != b.plain {
		return a.plain
	}
	return a.at.Before(b.at)
}

// The five methods of container/heap.
func (m *remembered) Len() int           { return len(m.kept) }
func (m *remembered) Less(i, j int) bool { return less(m.kept[i], m.kept[j]) }
func (m *remembered) Swap(i, j int)      { m.kept[i], m.kept[j] = m.kept[j], m.kept[i] }
func (m *remembered) Push(x any)         { m.kept = append(m.kept, x.(stamp)) }
func (m *remembered) Pop() any {
	last := len(m.kept) - 1
	x := m.kept[last]
	m.kept = m.kept[:last]
	return x
}
