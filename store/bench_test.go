package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"breakglass/store"
)

// filledWith is a store with closed requests, made once for each size, and a few that are open and due.
func filledWith(b *testing.B, count int) *store.DB {
	b.Helper()
	db := fresh(b)
	if err := db.Fill(count, closed(), byBot(noon)); err != nil {
		b.Fatal(err)
	}
	for range 10 {
		submit(b, db, "ann")
	}
	return db
}

// What a sweep asks every few seconds must cost the same after years.
func BenchmarkDue(b *testing.B) {
	for _, count := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("closed=%d", count), func(b *testing.B) {
			if count > 100_000 && testing.Short() {
				b.Skip("a million requests take a while")
			}
			db := filledWith(b, count)
			for _, now := range []time.Time{noon, noon.Add(2 * time.Hour)} {
				b.Run(fmt.Sprintf("after=%s", now.Sub(noon)), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if _, err := db.Due(now, 100); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}

func BenchmarkOpenFile(b *testing.B) {
	db := filledWith(b, 100_000)
	db.Close()
	if st, err := os.Stat(db.Path()); err == nil {
		b.ReportMetric(float64(st.Size())/1e6, "file-MB")
	}
	for b.Loop() {
		db, err := store.Open(db.Path(), noon)
		if err != nil {
			b.Fatal(err)
		}
		db.Close()
	}
}

func BenchmarkCheck(b *testing.B) {
	db := filledWith(b, 100_000)
	for b.Loop() {
		if err := db.Check(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBackup(b *testing.B) {
	db := filledWith(b, 100_000)
	path := filepath.Join(b.TempDir(), "copy.db")
	for b.Loop() {
		if err := db.Backup(path); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommit is a change as a click makes it: one writer alone, and fifty at once, each with its share of the commits.
// "no group" is the same with a commit for each.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 50} {
		for _, grouped := range []bool{true, false} {
			name := map[bool]string{true: "group", false: "no-group"}[grouped]
			b.Run(fmt.Sprintf("writers=%d/%s", writers, name), func(b *testing.B) {
				db := fresh(b)
				var mu sync.Mutex
				var took []time.Duration
				var wg sync.WaitGroup
				for w := range writers {
					wg.Go(func() {
						mine := make([]time.Duration, 0, b.N/writers+1)
						for i := w; i < b.N; i += writers {
							start := time.Now()
							change := db.Alone
							if grouped {
								change = func(by store.By, kind string) error { return db.Log(by, kind, nil) }
							}
							if err := change(byBot(noon), "x"); err != nil {
								b.Error(err)
							}
							mine = append(mine, time.Since(start))
						}
						mu.Lock()
						defer mu.Unlock()
						took = append(took, mine...)
					})
				}
				wg.Wait()
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			})
		}
	}
}

// BenchmarkOpenActive is what a start and the home tab of an administrator read: all that is open, of ten thousand.
func BenchmarkOpenActive(b *testing.B) {
	db := fresh(b)
	r := asked("ann")
	r.State = store.Active
	if err := db.Fill(10_000, r, byBot(noon)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // twice: what Fill left in pools
	runtime.ReadMemStats(&before)
	open, err := db.Open()
	if err != nil || len(open) != 10_000 {
		b.Fatal(len(open), err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / 1e6
	runtime.KeepAlive(open)
	for b.Loop() {
		if _, err := db.Open(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(held, "held-MB")
}
