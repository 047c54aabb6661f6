package bot

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/slack-go/slack"
)

// Config is what a Bot and NewAPI need. The zero value of everything but the tokens has a default.
type Config struct {
	BotToken string // xoxb-, for the Web API
	AppToken string // xapp- with connections:write, for apps.connections.open
	APIURL   string // another Web API; Slack's own when empty. A missing trailing slash is added: slack-go joins blindly

	HTTP     *http.Client          // copied, never changed
	Dialer   *websocket.Dialer     // copied, never changed
	Log      *slog.Logger          // discards when nil
	Registry prometheus.Registerer // a registry of the bot's own when nil
	Now      func() time.Time      // the clock people see, in Health only; waits and deadlines use the runtime's own

	// OnStranger is told how many more connections Slack counts than this process holds, each time a hello says so. Either
	// somebody else holds the app-level token, or Slack still routes to a dead connection of ours: in both cases
	// clicks vanish. It is called on a goroutine of its own.
	OnStranger func(n int)

	Sockets int           // connections held, 2. Slack allows 10 for each app
	Stagger time.Duration // between the first connection and the next, 10s, so that their refreshes do not fall together

	AckWithin time.Duration // deadline of a handler after the envelope arrived, 2.5s
	AnswerBy  time.Duration // when an envelope without an answer gets its sentence, 2.8s. Slack gives up at 3s
	Workers   int           // handlers that run at once, 64
	Queue     int           // envelopes that may wait for a worker, 256; more are refused at once

	PingEvery   time.Duration // between PINGs of ours on each socket, 5s
	SilentFor   time.Duration // a socket without any frame for so long is dead, 15s
	CallTimeout time.Duration // of one HTTP request to Slack, 10s: slack-go itself has none
	DrainWithin time.Duration // how long Run waits for handlers after its context ended, 5s
}

// What Slack prescribes, or what follows from it.
const (
	// slackPatience is how long Slack waits for an acknowledgement
	// (docs.slack.dev/apis/events-api/using-socket-mode).
	slackPatience = 3 * time.Second
	// helloWithin is how long a fresh socket may wait for hello, which Slack sends first of all.
	helloWithin = 10 * time.Second
	// overlap is how long a socket serves on after Slack's warning, which comes about 10 s before the cut.
	overlap = 20 * time.Second
	// settled is the age at which a socket counts as a success and the pauses between attempts start anew.
	settled = 30 * time.Second
	// pauseMin and pauseMax bound the pause before another attempt after a failure or a socket that did not settle.
	// pauseMin is also the least time between two calls of apps.connections.open, whatever the reason.
	pauseMin = time.Second
	pauseMax = time.Minute
	// writeWithin bounds one write: a peer that takes nothing for so long is gone.
	writeWithin = 5 * time.Second
	// largestFrame bounds what is read at once. Slack's payloads stay below 1 MB; slack-go sets no limit.
	largestFrame = 8 << 20
	// writeBuffer holds the largest acknowledgement in one frame: Slack has been seen to drop continuation frames.
	writeBuffer = 32 << 10
)

func (c Config) withDefaults() Config {
	if c.APIURL == "" {
		c.APIURL = slack.APIURL
	}
	if !strings.HasSuffix(c.APIURL, "/") {
		c.APIURL += "/"
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{}
	}
	if c.Dialer == nil {
		c.Dialer = &websocket.Dialer{Proxy: http.ProxyFromEnvironment}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	orInt(&c.Sockets, 2)
	orInt(&c.Workers, 64)
	orInt(&c.Queue, 256)
	orTime(&c.Stagger, 10*time.Second)
	orTime(&c.AckWithin, 2500*time.Millisecond)
	orTime(&c.AnswerBy, 2800*time.Millisecond)
	orTime(&c.PingEvery, 5*time.Second)
	orTime(&c.SilentFor, 15*time.Second)
	orTime(&c.CallTimeout, 10*time.Second)
	orTime(&c.DrainWithin, 5*time.Second)
	return c
}

func orInt(p *int, d int) {
	if *p <= 0 {
		*p = d
	}
}

func orTime(p *time.Duration, d time.Duration) {
	if *p <= 0 {
		*p = d
	}
}
