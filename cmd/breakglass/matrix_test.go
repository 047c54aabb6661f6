package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMatrix strikes every effect of every workflow in every way: the real program, built with the clock that tests can move, killed with
// SIGKILL before the effect, after it, and between it and its record; the effect refused, throttled, in conflict, done without an answer, hung. A
// workflow is first played undisturbed: what it did is the list of rows, so that no effect is left out. After each stroke the program is
// started again if it was killed, people go on as people do, time passes, and what must hold is read from AWS, from Slack and from the log.
//
// BREAKGLASS_MATRIX chooses: "all"; "most", which strikes messages in Slack in every other way, by turns; "every", which strikes an effect in every workflow that begins alike and not in the first of them only; a part of what a cell is called, as "tier 1" or "CreateAccountAssignment, hang"; by default a handful.
// BREAKGLASS_MATRIX_AT_ONCE is how many cells live at a time, and as many more that wait for answers.
func TestMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	m := &matrix{t: t, want: os.Getenv("BREAKGLASS_MATRIX"), atOnce: 10 * runtime.NumCPU(), began: time.Now(), outcome: map[string]map[effect]map[string]string{}}
	if n, err := strconv.Atoi(os.Getenv("BREAKGLASS_MATRIX_AT_ONCE")); err == nil && n > 0 {
		m.atOnce = n
	}
	var err error
	if m.bin, err = binary(); err != nil {
		t.Fatal(err)
	}
	m.dir = fastDir(t) // dozens of lives that wait for one disk are late for no fault of their own
	policy, err := os.ReadFile("../../deploy/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m.policy = few(string(policy))
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	m.record()
	m.fill()
	m.report()
}

// few leaves the accounts that the workflows need: each start compares what stands in every account, and thousands are about to be made.
func few(policy string) string {
	policy = strings.ReplaceAll(policy, "    post_mortem: false\n", "")
	policy = strings.ReplaceAll(policy, "\n    title: ", "\n    post_mortem: false\n    title: ") // of what is owed the last workflow tells
	return strings.NewReplacer("accounts: [prod-wealth, prod-cash, prod-9squid]\n    eligible: [sre-oncall]\n", "accounts: [prod-cash]\n    eligible: [sre-oncall]\n",
		"accounts: [prod-wealth, prod-cash, prod-9squid]", "accounts: [prod-wealth]", "accounts: [prod-wealth, prod-cash]", "accounts: [prod-wealth]").Replace(policy)
}

type matrix struct {
	t                 *testing.T
	bin, dir, policy  string
	want              string
	atOnce            int
	began             time.Time
	recordings        []*recording
	mu                sync.Mutex
	made, done, wrong int
	cells             int
	outcome           map[string]map[effect]map[string]string // workflow, row, column
	failures          []string
}

// recording is what a workflow does by itself.
type recording struct {
	flow      *flow
	rows      []effect // in the order they came
	text      map[effect]string
	spoken    map[string]int            // what stands in Slack and in mailboxes at the end
	after     map[string]map[string]int // and after each step
	sometimes []effect                  // came in one undisturbed life and not in another
}

// record plays every workflow undisturbed, twice: an effect that does not come each time, as an edit that a later one makes unneeded, is no row.
func (m *matrix) record() {
	lives := 2
	if m.want == "" {
		lives = 1
	}
	type life struct {
		c      *cell
		broken []string
	}
	all := map[*flow][]life{}
	var wait sync.WaitGroup
	for _, f := range flows {
		if m.want == "" && f != flows[0] {
			continue
		}
		for range lives {
			wait.Add(1)
			go func() {
				defer wait.Done()
				c, err := newCell(m.bin, m.folder(), m.policy, f)
				if err != nil {
					m.t.Error(err)
					return
				}
				broken := c.run()
				m.mu.Lock()
				defer m.mu.Unlock()
				all[f] = append(all[f], life{c, broken})
			}()
		}
	}
	wait.Wait()
	for _, f := range flows {
		if len(all[f]) == 0 {
			continue
		}
		first := all[f][0].c
		r := &recording{flow: f, text: map[effect]string{}, spoken: first.spoken(), after: first.after}
		for _, s := range first.seen {
			if s.Step == "start" && !f.first {
				continue
			}
			always := true
			for _, l := range all[f] {
				always = always && l.c.came[s.effect]
			}
			if r.text[s.effect] = s.text; cameLate(s.text) {
				r.sometimes = append(r.sometimes, s.effect)
			} else if always {
				r.rows = append(r.rows, s.effect)
			} else if r.sometimes = append(r.sometimes, s.effect); !s.passing() {
				m.t.Errorf("%s, undisturbed: an effect that comes in one life and not in another: %s", f.name, s.effect)
			}
		}
		for _, l := range all[f] {
			for _, b := range l.broken {
				m.t.Errorf("%s, undisturbed: %s\n%s", f.name, b, tail(l.c.log.String(), 3000))
			}
		}
		m.recordings = append(m.recordings, r)
	}
	if m.t.Failed() {
		m.t.FailNow()
	}
}

func (m *matrix) folder() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made++
	return filepath.Join(m.dir, strconv.Itoa(m.made))
}

// job is a cell to be filled.
type job struct {
	expect *recording
	row    effect
	stroke *stroke
}

func (j job) String() string {
	return j.expect.flow.name + ", " + j.row.String() + ", " + j.stroke.name
}

func (m *matrix) jobs() (all []job) {
	for _, r := range m.recordings {
		for _, row := range r.rows {
			for _, s := range strokes {
				j := job{r, row, s}
				if ok, why := s.fits(row); !ok {
					m.note(j, "- "+why)
				} else if m.wants(j) {
					all = append(all, j)
				}
			}
		}
	}
	return all
}

// itsTurn chooses every other stroke for a message in Slack, and for the next message the others.
func (j job) itsTurn() bool {
	return (slices.Index(j.expect.rows, j.row)+slices.Index(strokes, j.stroke))%2 == 0
}

// handful is what is struck where nobody asks for more.
var handful = []string{
	"ask: ack of interactive view_submission", "approve: sso-admin CreateAccountAssignment", "expire: sso-admin DeleteAccountAssignment",
}

func (m *matrix) wants(j job) bool {
	switch m.want {
	case "every":
		return true
	case "most":
		return !m.alike(j) && (!j.row.isSlack() || j.row.isAck() || j.itsTurn())
	case "all", "nothing":
		return !m.alike(j)
	case "":
		return j.stroke.kill && slices.ContainsFunc(handful, func(h string) bool { return strings.Contains(j.String(), h) })
	}
	for part := range strings.SplitSeq(m.want, ", ") {
		if !strings.Contains(j.String(), part) {
			return false
		}
	}
	return true
}

// alike says whether an earlier workflow has the same effect after the same beginning: the same rows in all steps up to this one. What is put into the archive
// is nothing that other effects depend on.
func (m *matrix) alike(j job) bool {
	upTo := func(r *recording) map[effect]bool {
		last := 0
		for i, e := range r.rows {
			if e.Step == j.row.Step {
				last = i + 1
			}
		}
		all := map[effect]bool{}
		for _, e := range r.rows[:last] {
			if !e.isArchive() {
				all[e] = true
			}
		}
		return all
	}
	if j.row.isArchive() {
		return j.row.usual(j.expect.rows) // one workflow has them
	}
	mine := upTo(j.expect)
	for _, r := range m.recordings {
		if r == j.expect {
			return false
		}
		if !r.flow.first && !j.expect.flow.first && maps.Equal(mine, upTo(r)) {
			return true
		}
	}
	return false
}

// fill lives every cell, many at a time. Those in which the program waits for an answer that does not come mostly wait: they have a queue of their own,
// so that they hold up no other.
func (m *matrix) fill() {
	all := m.jobs()
	if m.cells = len(all); m.want == "nothing" {
		return
	}
	var wait sync.WaitGroup
	for _, silent := range []bool{true, false} {
		queue := make(chan job, len(all))
		for _, j := range all {
			if j.stroke.silent == silent {
				queue <- j
			}
		}
		close(queue)
		for range min(m.atOnce, len(queue)) {
			wait.Go(func() {
				for j := range queue {
					m.live(j)
				}
			})
		}
	}
	wait.Wait()
}

const neverCame = "the effect never came"

// live fills one cell.
func (m *matrix) live(j job) {
	broken, c := m.struck(j)
	merged := false
	if len(broken) == 1 && broken[0] == neverCame && j.row.passing() {
		broken, merged = nil, true
	}
	m.mu.Lock()
	m.done++
	said := "ok"
	if merged {
		said = "~ a later edit made it unneeded each time"
	}
	if len(broken) > 0 {
		m.wrong++
		said = "FAILS: " + broken[0]
		told := ""
		if c != nil {
			told = c.account()
		}
		m.failures = append(m.failures, fmt.Sprintf("%s:\n    %s\n%s", j, strings.Join(broken, "\n    "), told))
	}
	if len(broken) > 0 {
		fmt.Fprintf(os.Stderr, "matrix: %s: %s\n", j, strings.Join(broken, "; "))
	}
	if m.want != "" && (m.done%50 == 0 || m.done == m.cells) {
		fmt.Fprintf(os.Stderr, "matrix: %d of %d cells, %d wrong, %v\n", m.done, m.cells, m.wrong, time.Since(m.began).Round(time.Second))
	}
	m.mu.Unlock()
	m.note(j, said)
}

// struck lives a cell. A life in which the effect never came proves nothing, so it is lived again; then it is a failure.
func (m *matrix) struck(j job) (broken []string, c *cell) {
	for range 3 {
		var err error
		if c, err = newCell(m.bin, m.folder(), m.policy, j.expect.flow); err != nil {
			return []string{err.Error()}, nil
		}
		c.expect, c.row, c.stroke = j.expect, j.row, j.stroke
		if broken = c.run(); !c.struckAt().IsZero() || len(broken) > 1 {
			break
		}
	}
	return broken, c
}

func (m *matrix) note(j job, said string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := m.outcome[j.expect.flow.name]
	if rows == nil {
		rows = map[effect]map[string]string{}
		m.outcome[j.expect.flow.name] = rows
	}
	if rows[j.row] == nil {
		rows[j.row] = map[string]string{}
	}
	rows[j.row][j.stroke.name] = said
}

// account is what a cell has to tell when something does not hold: what it saw, and the end of its log.
func (c *cell) account() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	from := c.clock.Now()
	if len(c.seen) > 0 {
		from = c.seen[0].arrived
	}
	fmt.Fprintf(&b, "    struck at %v\n", c.struck.Sub(from).Round(time.Millisecond))
	for _, s := range c.seen {
		did := "done"
		if s.done.IsZero() {
			did = "stopped"
		} else if s.failed != "" {
			did = s.failed
		}
		fmt.Fprintf(&b, "    %12v %s: %s [%s]\n", s.arrived.Sub(from).Round(time.Millisecond), s.effect, s.text, did)
	}
	return b.String() + "    log: " + strings.ReplaceAll(tail(c.log.String(), 6000), "\n", "\n    log: ")
}

// report prints the matrix and fails for what does not hold.
func (m *matrix) report() {
	var b strings.Builder
	for _, r := range m.recordings {
		fmt.Fprintf(&b, "\n%s\n", r.flow.name)
		for i, s := range strokes {
			fmt.Fprintf(&b, "  %d = %s\n", i+1, s.name)
		}
		for _, row := range r.rows {
			var marks []string
			for i, s := range strokes {
				said := m.outcome[r.flow.name][row][s.name]
				switch {
				case strings.HasPrefix(said, "-"), strings.HasPrefix(said, "~"):
					marks = append(marks, said[:1])
				case said == "ok":
					marks = append(marks, strconv.Itoa(i+1))
				case said == "":
					marks = append(marks, ".")
				default:
					marks = append(marks, "!")
				}
			}
			fmt.Fprintf(&b, "  %s  %s: %.60s\n", strings.Join(marks, " "), row, r.text[row])
		}
		for _, e := range r.sometimes {
			fmt.Fprintf(&b, "  no row, it does not come each time: %s\n", e)
		}
	}
	m.t.Logf("%d cells, %d wrong, %v. A number is a cell in which everything held, ! one in which something did not, - one that makes no sense, ~ an edit that a later one made unneeded in each of three lives, . one that was not asked for.\n%s",
		m.cells, m.wrong, time.Since(m.began).Round(time.Second), b.String())
	for i, f := range m.failures {
		if i == 20 {
			m.t.Errorf("and %d more", len(m.failures)-i)
			break
		}
		m.t.Error(f)
	}
	if m.cells == 0 && m.want != "nothing" {
		m.t.Errorf("no cell is called %q", m.want)
	}
}
