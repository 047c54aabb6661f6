package aws

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
	"breakglass/workflows"
)

// What the workflows ask for is what is here.
var (
	_ workflows.Assigner  = (*IdentityCenter)(nil)
	_ workflows.Directory = (*Directory)(nil)
	_ workflows.Trail     = (*Trail)(nil)
	_ workflows.Mailer    = (*Mailer)(nil)
)

const (
	wealth = "100000000003"
	cash   = "100000000004"
	set    = "Forge-Prod-BreakGlass-EC2"
)

// handed carries requests to a handler in the same goroutine, so that a bubble's clock goes on while somebody waits. A handler that
// cuts the connection panics as it would in a server.
type handed struct {
	to  http.Handler
	lag time.Duration

	mu    sync.Mutex
	calls []sent
}

type sent struct {
	op         string
	begun, end time.Time
}

func (h *handed) RoundTrip(r *http.Request) (_ *http.Response, err error) {
	begun := time.Now()
	defer func() {
		h.mu.Lock()
		h.calls = append(h.calls, sent{r.Header.Get("X-Amz-Target"), begun, time.Now()})
		h.mu.Unlock()
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			if err = r.Context().Err(); err == nil {
				err = io.ErrUnexpectedEOF
			}
		}
	}()
	if h.lag > 0 {
		if err := sleep(r.Context(), h.lag); err != nil {
			return nil, err
		}
	}
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	h.to.ServeHTTP(rec, in)
	return rec.Result(), nil
}

// trips is how many round trips lay one after the other, and how many calls there were, since the last time it was asked.
func (h *handed) trips() (inSequence, calls int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.calls
	h.calls = nil
	slices.SortFunc(all, func(a, b sent) int { return a.begun.Compare(b.begun) })
	var end time.Time
	for _, c := range all {
		if inSequence == 0 || !c.begun.Before(end) {
			inSequence, end = inSequence+1, c.end
		}
	}
	return inSequence, len(all)
}

// world is a twin with two accounts, a permission set and alice, and a connection to it.
type world struct {
	*awstwin.Organization
	wire   *handed
	meters *prometheus.Registry
	conn   *Connection
	ic     *IdentityCenter
	dir    *Directory
	alice  string
	tuple  store.Tuple
}

// env configures the SDK, by its own variables, for a twin that is reached by the given transport only.
func env(t testing.TB) {
	for k, v := range map[string]string{"AWS_ACCESS_KEY_ID": awstwin.BotAccessKeyID, "AWS_SECRET_ACCESS_KEY": awstwin.BotSecretAccessKey,
		"AWS_ENDPOINT_URL": "http://aws.test", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_REGION": "us-east-1", "AWS_PROFILE": "", "AWS_SESSION_TOKEN": ""} {
		t.Setenv(k, v)
	}
}

// bubble plays a story on a clock of its own.
func bubble(t *testing.T, story func(t *testing.T, w *world)) {
	env(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, awstwin.Config{}, Config{})
		story(t, w)
	})
}

func newWorld(t testing.TB, twin awstwin.Config, cfg Config) *world {
	o := awstwin.New(twin)
	w := &world{Organization: o, wire: &handed{to: o}}
	o.AddAccount(wealth, "prod-wealth")
	o.AddAccount(cash, "prod-cash")
	o.AddPermissionSet(awstwin.PermissionSet{Name: set, InlinePolicy: allowAll})
	boss := o.AddUser(awstwin.User{UserName: "boss", Email: "boss@forge.example"})
	w.alice = o.AddUser(awstwin.User{UserName: "alice", Email: "alice@forge.example", DisplayName: "Alice", ManagerID: boss})
	w.tuple = store.Tuple{UserID: w.alice, Account: wealth, Set: set}
	w.connect(t, cfg)
	return w
}

const allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// connect makes a new connection to the twin, as after a restart.
func (w *world) connect(t testing.TB, cfg Config) {
	t.Helper()
	cfg.HTTP = &http.Client{Transport: w.wire}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	w.meters = prometheus.NewRegistry()
	cfg.Meters = w.meters
	c, err := Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.conn, w.ic, w.dir = c, c.IdentityCenter(), c.Directory()
}

// follow asks once a second until the change is at an end.
func (w *world) follow(t *testing.T, change string, removal bool) (store.Progress, string, error) {
	t.Helper()
	for range 60 {
		p, why, err := w.ic.Follow(t.Context(), store.Tuple{}, change, removal)
		if p != store.Underway || err != nil {
			return p, why, err
		}
		time.Sleep(time.Second)
	}
	t.Fatal("the change never came to an end")
	return "", "", nil
}

func (w *world) assign(t *testing.T, tu store.Tuple) {
	t.Helper()
	change, err := w.ic.Assign(t.Context(), store.Grant{Tuple: tu})
	if err != nil {
		t.Fatalf("Assign: %v", err)
	}
	if p, why, err := w.follow(t, change, false); p != store.Succeeded || err != nil {
		t.Fatalf("Follow: %q %q %v", p, why, err)
	}
}

func (w *world) isAssigned(t *testing.T, tu store.Tuple, want bool) {
	t.Helper()
	got, err := w.ic.Assigned(t.Context(), tu)
	if err != nil || got != want {
		t.Fatalf("Assigned = %v, %v; want %v", got, err, want)
	}
}

// refused counts the answers of the twin that had this code.
func (w *world) refused(code string) (n int) {
	for _, c := range w.Calls() {
		if c.Error == code {
			n++
		}
	}
	return n
}

func (w *world) addUsers(n int) []string {
	var ids []string
	for i := range n {
		ids = append(ids, w.AddUser(awstwin.User{UserName: fmt.Sprint("user", i), Email: fmt.Sprintf("user%d@forge.example", i)}))
	}
	return ids
}

// counted is the sum of breakglass_aws_calls_total for an operation and outcome.
func (w *world) counted(t *testing.T, op, outcome string) (n float64) {
	t.Helper()
	all, err := w.meters.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() != "breakglass_aws_calls_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["operation"] == op && labels["outcome"] == outcome {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
