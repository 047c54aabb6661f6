package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"mime"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/clock"
)

// Config is what the page shows. World and Clock must be there; the clock is the one the world was made with.
type Config struct {
	World *sandbox.World
	Clock *clock.Clock
	// Product is the name of the app, as people read it. Default: the name of the bot's user.
	Product string
	// Note is a line at the top, for what the caller has to say (where the bot runs, which policy it has). It may be empty.
	Note string
	// Alarm says what holds everything up just now, as that nobody is given access; it stands at the top while it is not empty. It may be nil, and
	// is asked at every drawing.
	Alarm func() string
	// Commands are suggested in the message box, Shortcuts offered in menus. Default: those of the product's manifest.
	Commands  []Suggestion
	Shortcuts []Shortcut
}

// Suggestion is a line the message box offers to somebody who types a slash.
type Suggestion struct{ Line, Text string }

// Shortcut is an entry of Slack's menus. OnMessage puts it into the menu of each message, else into the one beside the message box.
type Shortcut struct {
	Name, CallbackID string
	OnMessage        bool
}

//go:embed templates assets
var files embed.FS

// site is the page: what it shows, and what it remembers of what people have seen and done. mu is held while the twins are asked;
// they never call back.
type site struct {
	world           *sandbox.World
	clock           *clock.Clock
	product, banner string
	alarm           func() string
	commands        []Suggestion
	shortcuts       []Shortcut
	tmpl            *template.Template

	mu        sync.Mutex
	seen      map[string]string // person, conversation and thread -> newest message they have looked at
	was       map[string]string // person -> conversation
	sessions  map[string][]*signedIn
	signIns   int
	standing  map[awstwin.Assignment]bool
	joined    map[[2]string]bool // memberships from the beginning
	since     map[awstwin.Assignment]time.Time
	last      seenWorld
	happened  []happening
	walked    walked
	endedAt   time.Time
	sinceRead time.Time // skips up to here are not told about any more
	slackDown bool
	awsDown   bool
	poke      map[chan struct{}]bool // open event streams, for changes that are the page's own
}

// New makes the page. It answers everything under "/"; the twins are the caller's to mount elsewhere.
func New(cfg Config) http.Handler {
	s := &site{world: cfg.World, clock: cfg.Clock, product: cfg.Product, banner: cfg.Note, alarm: cfg.Alarm, commands: cfg.Commands, shortcuts: cfg.Shortcuts,
		seen: map[string]string{}, was: map[string]string{}, sessions: map[string][]*signedIn{}, standing: map[awstwin.Assignment]bool{},
		since: map[awstwin.Assignment]time.Time{}, poke: map[chan struct{}]bool{}}
	if s.product == "" {
		s.product = s.userName(cfg.World.Slack.BotUserID())
	}
	if s.commands == nil {
		s.commands = manifestCommands()
	}
	if s.shortcuts == nil {
		s.shortcuts = manifestShortcuts()
	}
	s.tmpl = template.Must(template.New("page").Funcs(template.FuncMap{"dict": dict}).ParseFS(files, "templates/*.html"))
	s.begin()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /view", s.part)
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /assets/{name}", asset)
	mux.HandleFunc("GET /mail/{mail}/html", s.letter)
	mux.HandleFunc("GET /mail/{mail}/{file}", s.file)
	mux.HandleFunc("GET /archive/{key...}", s.object)
	mux.HandleFunc("POST /do/{verb}", s.post)
	return guard(http.NewCrossOriginProtection().Handler(mux))
}

// begin takes what is there as the state of peace: access that stands, messages and mails of before.
func (s *site) begin() {
	s.last = seenWorld{assigned: map[awstwin.Assignment]bool{}, members: map[[2]string]bool{}, messages: map[string]string{}, shells: map[string]bool{}}
	for _, a := range s.world.AWS.Assignments() {
		s.standing[a], s.last.assigned[a] = true, true
	}
	for _, g := range s.world.AWS.Groups() {
		for _, m := range g.Members {
			s.last.members[[2]string{m, g.Name}] = true
		}
	}
	s.joined = s.last.members
	s.last.mails = len(s.world.AWS.Mails())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observe()
	s.happened = nil
}

// policy lets the page run what is embedded here and speak to its own server, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard answers loopback names only: a page of the web that resolves its own name to this machine (DNS rebinding) sends that name as Host.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(r.Host) {
			http.Error(w, "the sandbox answers on loopback names only: use http://127.0.0.1 or http://localhost", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

func (s *site) page(w http.ResponseWriter, r *http.Request) {
	s.render(w, "page", s.screen(s.lookAt(r)))
}

// part is the page without its frame, which the script puts in place of what is there.
func (s *site) part(w http.ResponseWriter, r *http.Request) {
	s.render(w, "app", s.screen(s.lookAt(r)))
}

// render writes nothing unless the whole of it could be drawn.
func (s *site) render(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	if err := s.tmpl.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, fmt.Sprintf("drawing the page: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

func asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	b, err := files.ReadFile(path.Join("assets", name))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	_, _ = w.Write(b)
}

// dict makes a map of keys and values, for templates that take more than one thing.
func dict(pairs ...any) (map[string]any, error) {
	out := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		k, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("key %v is no string", pairs[i])
		}
		out[k] = pairs[i+1]
	}
	return out, nil
}
