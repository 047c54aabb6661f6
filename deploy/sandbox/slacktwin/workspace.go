package slacktwin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// obj is a JSON object. The twin keeps what the app sends as it came, so that nothing is lost between call and page.
type obj = map[string]any

// Config says what the workspace is like. The zero value of every field has a default.
type Config struct {
	Now       func() time.Time // business time: message timestamps, expiry of triggers and response URLs. Default time.Now
	BotToken  string           // default "xoxb-twin"
	AppToken  string           // default "xapp-twin"
	TeamID    string           // default "T0000TWIN"
	TeamName  string           // default "Twin"
	AppID     string           // default "A0000TWIN"
	BotID     string           // default "B0000TWIN"
	BotUserID string           // default "U0000TWIN"
	BotName   string           // default "breakglass"
	BaseURL   string           // "http://host:port"; default: the host the app called last
	Scopes    []string         // of the bot token; default DefaultScopes
	Events    []string         // bot events the app subscribed to; default DefaultEvents
	Commands  []string         // registered slash commands; default: any
	Journal   int              // how many calls Calls remembers; default 20,000, negative: none
}

// DefaultScopes is what the app's manifest asks for.
func DefaultScopes() []string {
	return []string{"commands", "chat:write", "im:write", "users:read", "users:read.email", "usergroups:read",
		"channels:read", "groups:read"}
}

// DefaultEvents is what the app's manifest subscribes to.
func DefaultEvents() []string {
	return []string{"app_home_opened", "channel_id_changed", "channel_shared"}
}

// Workspace is one Slack workspace with one app installed. Make it with New and serve it over HTTP, on loopback or on
// a wire.Net. It is safe for concurrent use.
type Workspace struct {
	cfg     Config
	methods map[string]apiMethod
	ctx     context.Context // ends with Close; what the twin does on its own hangs on it
	cancel  context.CancelFunc

	mu       sync.Mutex
	host     string // host of the app's last call, for URLs where BaseURL is empty
	lastTS   int64  // microseconds of the newest message
	seq      int    // for ids
	users    table[User]
	channels table[Channel]
	groups   table[UserGroup]
	messages map[string][]*Message // by channel, oldest first, replies and ephemerals among them
	scopes   map[string]bool
	events   map[string]bool

	triggers           map[string]*trigger
	urls               map[string]*responseURL // by path
	triggerAge, urlAge []string                // oldest first, to forget them by
	views              map[string]*view        // every open view by id
	stacks             map[string][]*view      // modal stack of a person, root first
	homes              map[string]*view
	confirmed          map[string]string // text of the last confirm dialog a person saw

	tickets  map[string]time.Time // unused Socket Mode tickets and when they were made
	sockets  []*socket
	turn     int                              // which socket gets the next envelope
	repeat   int                              // deliveries to come that are sent twice
	pending  map[string]func(json.RawMessage) // by envelope, run with mu held
	inflight int

	quota    quota
	faults   faults
	calls    []Call
	refusals []Refusal
	watchers map[chan struct{}]bool

	interceptor atomic.Pointer[func(Moment, Passing) Order]
	passed      atomic.Uint64
	deliveries  map[string]delivery // by envelope, what it was; only while there is an interceptor
}

// New makes a workspace. It holds goroutines only while sockets are open or events are on their way.
func New(cfg Config) *Workspace {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	def(&cfg.BotToken, "xoxb-twin")
	def(&cfg.AppToken, "xapp-twin")
	def(&cfg.TeamID, "T0000TWIN")
	def(&cfg.TeamName, "Twin")
	def(&cfg.AppID, "A0000TWIN")
	def(&cfg.BotID, "B0000TWIN")
	def(&cfg.BotUserID, "U0000TWIN")
	def(&cfg.BotName, "breakglass")
	if cfg.Journal == 0 {
		cfg.Journal = journalSize
	}
	if cfg.Scopes == nil {
		cfg.Scopes = DefaultScopes()
	}
	if cfg.Events == nil {
		cfg.Events = DefaultEvents()
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &Workspace{
		cfg: cfg, methods: methodTable(), ctx: ctx, cancel: cancel,
		messages: map[string][]*Message{}, triggers: map[string]*trigger{}, urls: map[string]*responseURL{},
		views: map[string]*view{}, stacks: map[string][]*view{}, homes: map[string]*view{}, confirmed: map[string]string{},
		tickets: map[string]time.Time{}, pending: map[string]func(json.RawMessage){},
		quota: newQuota(), watchers: map[chan struct{}]bool{},
	}
	w.SetScopes(cfg.Scopes)
	w.SetEvents(cfg.Events)
	w.AddUser(User{ID: cfg.BotUserID, Name: cfg.BotName, RealName: cfg.BotName, Bot: true})
	w.AddUser(User{ID: "USLACKBOT", Name: "slackbot", RealName: "Slackbot"})
	return w
}

// BotUserID is the user the app posts as.
func (w *Workspace) BotUserID() string { return w.cfg.BotUserID }

// Close drops every socket and ends what the twin does on its own.
func (w *Workspace) Close() {
	w.cancel()
	w.DropSockets("")
}

// ServeHTTP answers the Web API under /api/, the sockets under /link/ and the response URLs.
func (w *Workspace) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if w.faults.down() {
		http.Error(rw, "<html>Server Error</html>", http.StatusServiceUnavailable)
		return
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/api/"):
		w.serveAPI(rw, r, strings.TrimPrefix(path, "/api/"))
	case path == "/link/":
		w.serveSocket(rw, r)
	case strings.HasPrefix(path, "/commands/"), strings.HasPrefix(path, "/actions/"):
		w.serveResponseURL(rw, r)
	default:
		http.NotFound(rw, r)
	}
}

// SetScopes replaces the scopes of the bot token.
func (w *Workspace) SetScopes(scopes []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cfg.Scopes = append([]string(nil), scopes...)
	w.scopes = set(scopes)
}

// SetEvents replaces the bot events the app is subscribed to.
func (w *Workspace) SetEvents(events []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = set(events)
}

// SetBaseURL says under which URL the app reaches the twin, where Config could not know yet.
func (w *Workspace) SetBaseURL(base string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cfg.BaseURL = base
}

// base is the URL for links back to the twin. The caller holds mu.
func (w *Workspace) base() string {
	if w.cfg.BaseURL != "" {
		return strings.TrimSuffix(w.cfg.BaseURL, "/")
	}
	return "http://" + w.host
}

// id makes a new identifier with the given first letter. The caller holds mu.
func (w *Workspace) id(prefix string) string {
	w.seq++
	return fmt.Sprintf("%s%07dTW", prefix, w.seq)
}

// ts makes the timestamp of a new message: unique and increasing, because Slack's are a message's identity. The caller
// holds mu.
func (w *Workspace) ts() string {
	now := w.cfg.Now().UnixMicro()
	if now <= w.lastTS {
		now = w.lastTS + 1
	}
	w.lastTS = now
	return fmt.Sprintf("%d.%06d", now/1e6, now%1e6)
}

// Subscribe returns a channel that gets a value after every change anybody could see, and a function that ends it.
// Changes that come faster than they are read are told once.
func (w *Workspace) Subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watchers[c] = true
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.watchers, c)
	}
}

// changed tells the subscribers. The caller holds mu.
func (w *Workspace) changed() {
	for c := range w.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// poll is how often WaitFor looks again when nothing changed here: its condition may be about the app.
const poll = 20 * time.Millisecond

// WaitFor returns nil once cond holds, and ctx's error if ctx ends first. cond is asked after every change; it may call
// everything here.
func (w *Workspace) WaitFor(ctx context.Context, cond func() bool) error {
	changes, stop := w.Subscribe()
	defer stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for !cond() {
		select {
		case <-changes:
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the workspace: %w", ctx.Err())
		}
	}
	return nil
}

// Quiet waits until no call is in flight, no acknowledgement is awaited and nothing has changed for the given time.
func (w *Workspace) Quiet(ctx context.Context, d time.Duration) error {
	changes, stop := w.Subscribe()
	defer stop()
	for {
		timer := time.NewTimer(d)
		select {
		case <-changes:
			timer.Stop()
		case <-timer.C:
			w.mu.Lock()
			still := w.inflight == 0 && len(w.pending) == 0
			w.mu.Unlock()
			if still {
				return nil
			}
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("waiting for quiet: %w", ctx.Err())
		}
	}
}

// set makes a set of words.
func set(words []string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, s := range words {
		m[s] = true
	}
	return m
}

// table keeps records by id in the order they came in.
type table[T any] struct {
	byID  map[string]*T
	order []string
}

func (t *table[T]) get(id string) *T { return t.byID[id] }

func (t *table[T]) put(id string, v *T) {
	if t.byID == nil {
		t.byID = map[string]*T{}
	}
	if t.byID[id] == nil {
		t.order = append(t.order, id)
	}
	t.byID[id] = v
}

func (t *table[T]) all() []*T {
	all := make([]*T, 0, len(t.order))
	for _, id := range t.order {
		all = append(all, t.byID[id])
	}
	return all
}
