package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/mail"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store/ledger"
)

// effect is one thing that the program does to the outside, by what it is and not by when it comes: the step of the workflow, the
// operation, on whom or where, and how often the same came before in that step.
type effect struct {
	Step, Operation, Target string
	Nth                     int
}

func (e effect) String() string {
	s := e.Step + ": " + e.Operation + " " + e.Target
	if e.Nth > 1 {
		s += fmt.Sprintf(" (%d)", e.Nth)
	}
	return s
}

func (e effect) isAck() bool   { return strings.HasPrefix(e.Operation, "ack") }
func (e effect) isSlack() bool { return strings.HasPrefix(e.Operation, "slack ") || e.isAck() }

func (e effect) isArchive() bool { return strings.HasPrefix(e.Operation, "s3 ") }

// usual says whether an object is put as an earlier one is: a part of the log after the first, a checkpoint after the first, what is neither the first of a folder nor
// its manifest, which is the last, and what comes after the part that has the events.
func (e effect) usual(rows []effect) bool {
	folder, file := path.Split(e.Target)
	same := func(r effect) bool { return strings.HasPrefix(r.Target, folder) }
	switch {
	case strings.HasPrefix(e.Target, "log"), strings.HasPrefix(e.Target, "checkpoints"):
	case !strings.Contains(folder, "/001-") && !strings.Contains(folder, "/002-"):
		return true
	case file == ledger.ManifestName:
		return false
	}
	first := slices.IndexFunc(rows, func(r effect) bool { return r.isArchive() && same(r) })
	return rows[first] != e
}

// passing says whether an effect may come in one life and not in another: an edit that a later one made unneeded, and the log's way into the archive, which
// goes by the clock.
func (e effect) passing() bool {
	return e.Operation == "slack chat.update" || e.isArchive() && (strings.HasPrefix(e.Target, "log") || strings.HasPrefix(e.Target, "checkpoints"))
}

// sighting is an effect that came.
type sighting struct {
	effect
	text    string // for messages, what they say, without times and numbers
	input   json.RawMessage
	name    string    // of a schedule
	arrived time.Time // by the twins' clock
	done    time.Time // zero: it was stopped before
	failed  string    // the error that AWS or Slack gave by their own rules
}

// moment is where an effect can be struck.
type moment int

const (
	arrived moment = iota
	done
	answered
)

// stroke is what goes wrong with an effect: a column of the matrix.
type stroke struct {
	name   string
	at     moment
	kill   bool
	later  time.Duration // killed so long after that moment
	silent bool
	refuse func(effect) string // "": it makes no sense for this effect
	slow   time.Duration       // for how long it may hold up what must be on time
}

// strokes are the columns. A restart takes a second or two where many go on at once.
var strokes = []*stroke{
	{name: "killed before", at: arrived, kill: true, slow: 5 * time.Second},
	{name: "killed between it and its record", at: done, kill: true, slow: 5 * time.Second},
	{name: "killed after", at: answered, kill: true, later: 40 * time.Millisecond, slow: 5 * time.Second},
	{name: "error", at: arrived, refuse: errorOf, slow: 5 * time.Second},
	{name: "throttle", at: arrived, refuse: throttleOf, slow: 8 * time.Second},
	{name: "conflict", at: arrived, refuse: conflictOf, slow: 8 * time.Second},
	{name: "timeout after success", at: done, silent: true, slow: 20 * time.Second},
	{name: "hang", at: arrived, silent: true, slow: 20 * time.Second},
}

// fits says whether a stroke makes sense for an effect, and if not, why.
func (s *stroke) fits(e effect) (ok bool, why string) {
	switch {
	case e.isAck() && s.kill && s.at == done:
		return true, "" // Slack has taken it
	case e.isAck() && (s.kill && s.at == arrived || s.name == "hang"): // it is lost, with or without the program
		return true, ""
	case e.isAck():
		return false, "an acknowledgement has no answer"
	case s.refuse != nil && s.refuse(e) == "":
		return false, "the service knows no conflict"
	}
	return true, ""
}

func errorOf(e effect) string {
	if e.isSlack() {
		return "500"
	}
	return "InternalFailure"
}

func throttleOf(e effect) string {
	switch {
	case e.isSlack():
		return "ratelimited:1"
	case strings.HasPrefix(e.Operation, "sesv2"):
		return "TooManyRequestsException"
	case strings.HasPrefix(e.Operation, "iam"):
		return "Throttling"
	}
	return "ThrottlingException"
}

func conflictOf(e effect) string {
	service, _, _ := strings.Cut(e.Operation, " ")
	switch service {
	case "sso-admin", "identitystore", "scheduler":
		return "ConflictException"
	case "iam":
		return "ConcurrentModification"
	}
	return ""
}

// verdict is what becomes of a call.
type verdict struct {
	refuse string
	silent bool
}

// subjectIn is what a mail is about; "" for every other call.
func subjectIn(p awstwin.Passing) string {
	var in struct {
		Content struct{ Raw struct{ Data []byte } }
	}
	if p.Service != "sesv2" || json.Unmarshal(p.Input, &in) != nil {
		return ""
	}
	m, err := mail.ReadMessage(bytes.NewReader(in.Content.Raw.Data))
	if err != nil {
		return ""
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return ""
	}
	return said(subject)
}

func (c *cell) onAWS(at awstwin.Moment, p awstwin.Passing) awstwin.Order {
	v := c.sees(moment(at), fmt.Sprint("aws ", p.Nr), p.Error, func() *sighting {
		return &sighting{effect: effect{Operation: p.Service + " " + p.Operation, Target: c.naming.aws(p)}, text: subjectIn(p), input: p.Input, name: scheduleIn(p)}
	})
	return awstwin.Order{Refuse: v.refuse, Silent: v.silent, Gone: c.givenUp}
}

func (c *cell) onSlack(at slacktwin.Moment, p slacktwin.Passing) slacktwin.Order {
	v := c.sees(moment(at), fmt.Sprint("slack ", p.Nr), p.Error, func() *sighting {
		if p.Method == "ack" {
			return &sighting{effect: effect{Operation: "ack of " + p.Of, Target: c.naming.plain(p.User)}}
		}
		s := &sighting{effect: effect{Operation: "slack " + p.Method}, input: p.Args}
		s.Target, s.text = c.naming.slack(p.Method, p.Args)
		return s
	})
	return slacktwin.Order{Fail: v.refuse, Silent: v.silent, Gone: c.givenUp}
}

// sees notes a moment of a call, and strikes where it is to be struck.
func (c *cell) sees(at moment, nr, failed string, what func() *sighting) verdict {
	now := c.clock.Now()
	c.mu.Lock()
	c.last = time.Now()
	s := c.passing[nr]
	if s == nil {
		s = what()
		s.Step, s.arrived = c.step, now
		c.nth[s.effect]++
		s.Nth = c.nth[s.effect]
		c.passing[nr] = s
		c.seen = append(c.seen, s)
		c.came[s.effect] = true
	}
	if at == done {
		s.done, s.failed = now, failed
	}
	strikes := c.stroke != nil && c.struck.IsZero() && at == c.stroke.at && s.effect == c.row
	if strikes {
		c.struck = now
	}
	c.mu.Unlock()
	if !strikes {
		return verdict{}
	}
	return c.strike(s.effect)
}

func (c *cell) strike(e effect) verdict {
	k := c.stroke
	switch {
	case k.kill && k.later > 0:
		time.AfterFunc(k.later, c.killNow)
		return verdict{}
	case k.kill:
		c.killNow()
		return verdict{silent: k.at == arrived || !e.isAck()}
	case k.refuse != nil:
		return verdict{refuse: k.refuse(e)}
	}
	c.mu.Lock()
	c.hanging = !e.isAck()
	c.mu.Unlock()
	return verdict{silent: true}
}

// givenUp is told when the caller of a call that got no answer has given up.
func (c *cell) givenUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hanging, c.last = false, time.Now()
}

func (c *cell) struckAt() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.struck
}

// naming turns ids into the names of people, places and things, so that an effect is known again in another company.
type naming struct {
	ids   *strings.Replacer
	world *sandbox.World
}

func newNaming(w *sandbox.World) naming {
	var pairs []string
	for _, p := range w.People {
		pairs = append(pairs, p.Slack, p.Key)
		if p.AWS != "" {
			pairs = append(pairs, p.AWS, p.Key)
		}
	}
	for _, c := range w.Slack.Channels() {
		pairs = append(pairs, c.ID, "#"+c.Name)
	}
	for _, s := range w.AWS.PermissionSets() {
		pairs = append(pairs, s.ARN, s.Name)
	}
	for _, g := range w.AWS.Groups() {
		pairs = append(pairs, g.ID, g.Name)
	}
	for _, id := range []string{sandbox.Dev, sandbox.QA, sandbox.ProdWealth, sandbox.ProdCash, sandbox.Prod9Squid} {
		pairs = append(pairs, id, w.AWS.AccountName(id))
	}
	return naming{strings.NewReplacer(pairs...), w}
}

func (n naming) plain(s string) string { return n.ids.Replace(s) }

// tellTale are the fields of AWS's inputs that say on whom or what an operation acts.
var tellTale = []string{"TargetId", "PrincipalId", "PermissionSetArn", "Name", "PolicyArn", "RoleName", "UserName", "GroupId", "MemberId", "SessionId", "Bucket", "Key", "VersionId"}

// longNumber is what is made anew in each life: numbers of AWS's, and the times in the names of schedules.
// A schedule's name holds a mark of the store it belongs to.
var longNumber = regexp.MustCompile(`[0-9a-f]{6}-\d{8}T\d{4}|\d{8}T\d{4}|\d{5,}|[0-9a-f]{8}-[0-9a-f-]{20,}|[0-9a-f]{16,}`)

// scheduleIn is the name of the schedule that a call is about: it is in the path.
func scheduleIn(p awstwin.Passing) string {
	if p.Service != "scheduler" {
		return ""
	}
	return p.Path[strings.LastIndexByte(p.Path, '/')+1:]
}

func (n naming) aws(p awstwin.Passing) string {
	var fields map[string]any
	_ = json.Unmarshal(p.Input, &fields)
	var out []string
	if name := scheduleIn(p); name != "" {
		return longNumber.ReplaceAllString(name, "…")
	}
	if p.Service == "s3" { // an object, without its bucket
		_, name, _ := strings.Cut(strings.TrimPrefix(p.Path, "/"), "/")
		if dir, _, _ := strings.Cut(name, "/"); strings.HasPrefix(dir, "log") || dir == "checkpoints" { // named after how long the log is
			return dir + "/…"
		}
		return n.plain(name)
	}
	for _, name := range tellTale {
		if v, ok := fields[name]; ok {
			out = append(out, longNumber.ReplaceAllString(n.plain(fmt.Sprint(v)), "…"))
		}
	}
	return strings.Join(out, " ")
}

var (
	requestID = regexp.MustCompile(`BG-\d+`)
	dateToken = regexp.MustCompile(`<!date[^>]*>`)
	number    = regexp.MustCompile(`\b\d+\b`)
	mailRead  = regexp.MustCompile(`(\[Breakglass\] BG-\d+: )\d+ changes? in \d+ calls?,(.*?)(?: \(.* to look at\)| \(incomplete\))?$`)
	trailRead = regexp.MustCompile(`(what was done|read again): .*`)
)

// said is what a text says without what differs from life to life: times, counts, and what people tried meanwhile. Requests keep their numbers.
func said(text string) string {
	text = mailRead.ReplaceAllString(text, "$1(deeds),$2")
	text = trailRead.ReplaceAllString(dateToken.ReplaceAllString(text, "(time)"), "$1: (deeds)")
	ids := requestID.FindAllString(text, -1)
	text = number.ReplaceAllString(text, "#")
	for _, id := range ids {
		text = strings.Replace(text, "BG-#", id, 1)
	}
	return text
}

// slack is where something is said, and what.
func (n naming) slack(method string, args json.RawMessage) (target, text string) {
	var a map[string]any
	_ = json.Unmarshal(args, &a)
	field := func(name string) string { s, _ := a[name].(string); return s }
	text = said(n.plain(field("text")))
	switch {
	case strings.HasPrefix(method, "views."):
		view := field("view")
		if view == "" {
			b, _ := json.Marshal(a["view"])
			view = string(b)
		}
		var v struct {
			Type     string `json:"type"`
			Callback string `json:"callback_id"`
		}
		_ = json.Unmarshal([]byte(view), &v)
		return strings.TrimSpace(v.Type + " " + v.Callback + " " + n.plain(field("user_id"))), ""
	case method == "conversations.open":
		return n.plain(field("users")), ""
	case method == "response_url":
		return "", text
	}
	target = n.place(field("channel"))
	if field("thread_ts") != "" {
		target += " thread"
	}
	if id := requestID.FindString(text + field("metadata")); id != "" {
		target += " " + id
	}
	if u := field("user"); u != "" { // for one person's eyes
		target += " to " + n.plain(u)
	}
	return target, text
}

// place is a channel's name, or "dm " and whose.
func (n naming) place(channel string) string {
	if name := n.plain(channel); name != channel {
		return name
	}
	for _, p := range n.world.People {
		if slices.ContainsFunc(n.world.Slack.As(p.Slack).Conversations(), func(v slacktwin.Conversation) bool { return v.IM && v.ID == channel }) {
			return "dm " + p.Key
		}
	}
	return channel
}
