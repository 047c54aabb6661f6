package aws

import (
	"net/http"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

// serverTime listens to what time AWS has: every answer carries it. It is the only clock besides the machine's that the program can ask.
type serverTime struct {
	next sdk.HTTPClient

	mu   sync.Mutex
	date time.Time // as the last answer said
	seen time.Time // when that was, by the monotonic clock
}

// Do makes a call and notes the date of its answer.
func (s *serverTime) Do(r *http.Request) (*http.Response, error) {
	res, err := s.next.Do(r)
	if err != nil {
		return res, err
	}
	if date, derr := http.ParseTime(res.Header.Get("Date")); derr == nil {
		s.mu.Lock()
		s.date, s.seen = date, time.Now()
		s.mu.Unlock()
	}
	return res, nil
}

// ServerTime is what time it is by AWS's clock, to a second or two; ok is false until AWS has answered.
func (c *Connection) ServerTime() (now time.Time, ok bool) {
	c.date.mu.Lock()
	defer c.date.mu.Unlock()
	return c.date.date.Add(time.Since(c.date.seen)), !c.date.date.IsZero()
}
