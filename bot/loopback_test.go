package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"
)

// loopback starts a bot and its Slack over real sockets and returns when both connections are live.
func loopback(t testing.TB, h Handler) *fakeSlack {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := newFake(t, ln, ln.Addr().String())
	live := make(chan struct{}, 10)
	f.door = func(*fakeConn) bool { live <- struct{}{}; return true }
	b, err := New(Config{BotToken: botToken, AppToken: appToken, APIURL: f.url, Stagger: time.Nanosecond}, h)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		f.close()
	})
	for range 2 {
		select {
		case <-live:
		case <-time.After(10 * time.Second):
			t.Fatal("no connection within 10 s")
		}
	}
	return f
}

func TestOverLoopback(t *testing.T) {
	h := handlerFuncs{command: func(_ context.Context, c slack.SlashCommand) (any, error) {
		return slack.Msg{Text: "seen " + c.Command}, nil
	}}
	f := loopback(t, h)
	heard := make(chan string, 100)
	f.heard = func(id string) { heard <- id }
	for i := range 100 {
		open := f.alive()
		open[i%len(open)].send(command(fmt.Sprint("e", i)))
	}
	for range 100 {
		select {
		case <-heard:
		case <-time.After(10 * time.Second):
			t.Fatal("not every command was acknowledged")
		}
	}
	var m slack.Msg
	a, _ := f.ack("e7")
	if err := json.Unmarshal(a.payload, &m); err != nil || m.Text != "seen /breakglass" {
		t.Errorf("the answer was %s", a.payload)
	}
}

// BenchmarkAcknowledge measures from the envelope on Slack's side of the wire to the acknowledgement there, with fifty people who each
// wait for their answer before they click again. The handler does nothing, so this is the bot's own share.
func BenchmarkAcknowledge(b *testing.B) {
	for _, kind := range []struct {
		name string
		make func(id string, i int) map[string]any
	}{
		{"command", func(id string, _ int) map[string]any { return command(id) }},
		{"click", func(id string, i int) map[string]any { return click(id, "U1", fmt.Sprint(i)) }},
	} {
		b.Run(kind.name, func(b *testing.B) {
			var mu sync.Mutex
			waiting := map[string]chan struct{}{}
			f := loopback(b, handlerFuncs{})
			f.heard = func(id string) {
				mu.Lock()
				defer mu.Unlock()
				close(waiting[id])
				delete(waiting, id)
			}
			const people = 50
			took := make([][]time.Duration, people)
			conns := f.alive()
			b.ResetTimer()
			var wg sync.WaitGroup
			for p := range people {
				wg.Go(func() {
					for i := p; i < b.N; i += people {
						id, done := fmt.Sprint("e", i), make(chan struct{})
						mu.Lock()
						waiting[id] = done
						mu.Unlock()
						env := kind.make(id, i)
						start := time.Now()
						conns[i%len(conns)].send(env)
						<-done
						took[p] = append(took[p], time.Since(start))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			all := slices.Sorted(slices.Values(slices.Concat(took...)))
			b.ReportMetric(float64(all[len(all)/2])/1e6, "p50-ms")
			b.ReportMetric(float64(all[len(all)*99/100])/1e6, "p99-ms")
		})
	}
}
