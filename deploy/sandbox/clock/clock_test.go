package clock_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/deploy/sandbox/clock"
)

// A skip moves the wall; between skips it ticks like any clock.
func TestSkip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, start := clock.New(), time.Now()
		moved := c.Moved()
		time.Sleep(time.Minute)
		c.Skip(time.Hour)
		c.Skip(-time.Hour)
		if got, want := c.Now().Sub(start), time.Hour+time.Minute; got != want {
			t.Errorf("the clock moved by %v, want %v", got, want)
		}
		if got := c.Offset(); got != time.Hour {
			t.Errorf("offset %v, want 1h", got)
		}
		select {
		case <-moved:
		default:
			t.Error("the skip was not announced")
		}
	})
}

// Another process reads and moves the clock over HTTP.
func TestHTTP(t *testing.T) {
	c := clock.New()
	ask := func(method, target string) (int, time.Time) {
		rec := httptest.NewRecorder()
		c.ServeHTTP(rec, httptest.NewRequest(method, target, nil))
		var answer struct{ Now time.Time }
		if rec.Code == http.StatusOK {
			if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
				t.Fatalf("%s %s: %v", method, target, err)
			}
		}
		return rec.Code, answer.Now
	}
	_, before := ask("GET", "/clock")
	code, after := ask("POST", "/clock/skip?by=90m")
	if d := after.Sub(before); code != 200 || d < 90*time.Minute || d > 91*time.Minute {
		t.Errorf("skip by 90m: status %d, moved %v", code, d)
	}
	for _, bad := range []string{"/clock/skip", "/clock/skip?by=soon", "/clock/skip?by=-1h"} {
		if code, _ := ask("POST", bad); code != http.StatusBadRequest {
			t.Errorf("POST %s: status %d, want 400", bad, code)
		}
	}
	if code, _ := ask("GET", "/clock/skip?by=1h"); code != http.StatusMethodNotAllowed {
		t.Errorf("GET skip: status %d, want 405", code)
	}
}
