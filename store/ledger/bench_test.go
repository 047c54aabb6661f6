package ledger_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"breakglass/store/ledger"
)

// Lines appended a second with their stored hashes, and each with the proof it would be handed out with, in memory.
func BenchmarkAppend(b *testing.B) {
	line := []byte(`{"seq":1,"at":"2026-10-05T09:00:17Z","actor":{"who":"person","person":{"slack":"U0123","name":"Ann"}},"request":"BG-1042","kind":"outcome","data":{"effect":"assign","account":"111122223333"}}`)
	w := &world{}
	b.Run("hashes", func(b *testing.B) {
		w.hashes = nil
		for n := range uint64(b.N) {
			_, h, err := ledger.Append(n, line, w)
			check(b, err)
			w.hashes = append(w.hashes, h...)
		}
		perSecond(b, "lines/s")
	})
	b.Run("hashes-and-proof", func(b *testing.B) {
		w.hashes = nil
		for n := range uint64(b.N) {
			_, h, err := ledger.Append(n, line, w)
			check(b, err)
			w.hashes = append(w.hashes, h...)
			_, err = ledger.ProveLine(n+1, line, n+1, w)
			check(b, err)
		}
		perSecond(b, "lines/s")
	})
}

func perSecond(b *testing.B, what string) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), what)
}

// million is an archive of that many lines in a directory: segments of 500 lines, each with its checkpoint; half the lines are of requests, of which some have a folder.
func million(b *testing.B, most int) (ledger.Archive, *world) {
	dir := b.TempDir()
	w := newWorld(b)
	sessions := 0
	for w.size() < uint64(most) {
		session := fmt.Sprintf("BG-%d", 1000+sessions)
		sessions++
		for range 500 {
			request := ""
			if w.size()%2 == 0 {
				request = session
			}
			w.log(request, "outcome", map[string]string{"effect": "assign", "account": "111122223333", "set": "Operator", "answer": "SUCCEEDED after " + strconv.FormatUint(w.size(), 10)})
		}
		if sessions%20 == 0 {
			w.part(session, "opened", map[string]string{"request.json": "{}"})
		}
		w.checkpoint()
		for name, body := range w.bucket.objects {
			write(b, dir, name, body)
			delete(w.bucket.objects, name)
		}
	}
	return ledger.Dir(dir), w
}

// Verification of a million lines from a directory, with the highest heap seen while it runs.
func BenchmarkVerify(b *testing.B) {
	most := 1_000_000
	if s := os.Getenv("LEDGER_LINES"); s != "" {
		most, _ = strconv.Atoi(s)
	}
	a, w := million(b, most)
	lines, keys := w.size(), w.keys()
	*w = world{}
	runtime.GC()
	for b.Loop() {
		stop := heap(b)
		r, err := ledger.Verify(context.Background(), a, ledger.Options{Keys: keys})
		stop()
		check(b, err)
		if !r.OK || r.Lines != lines {
			b.Fatalf("%+v", r)
		}
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

func heap(b *testing.B) func() {
	done := make(chan struct{})
	var before, m runtime.MemStats
	runtime.ReadMemStats(&before)
	peak := before.HeapAlloc
	go func() {
		defer close(done)
		for {
			select {
			case done <- struct{}{}:
				return
			case <-time.After(20 * time.Millisecond):
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
	}()
	return func() {
		<-done
		<-done
		b.ReportMetric(float64(peak-before.HeapAlloc)/(1<<20), "MiB-heap")
	}
}
