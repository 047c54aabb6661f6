package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// The policies of the simulation are the example policy with other durations, guards, approvals and extensions; and whether a grant had the words it
// needs is judged here anew, from the twin's directory and the policy's lists alone.

func (h *history) policyPath() string { return filepath.Join(h.dir, "policy.yaml") }

// drawPolicy writes the policy file of this history.
func (h *history) drawPolicy() error {
	data, err := os.ReadFile("../../deploy/policy.yaml")
	if err != nil {
		return err
	}
	text := string(data)
	set := func(scenario, key string, values ...string) {
		if err == nil {
			text, err = setKey(text, scenario, key, h.word(values...))
		}
	}
	longest := []string{"5m", "20m", "40m", "1h", "90m"}
	set("emergency", "max_duration", longest...)
	set("emergency", "guard", "timed", "none", "closed")
	for _, s := range []string{"ec2", "rds", "eks"} {
		set(s, "max_duration", longest...)
		set(s, "guard", "closed", "closed", "timed", "none")
		set(s, "approval", "{any_of: [manager, platform-leads, eng-managers]}", "{any_of: [platform-leads, eng-managers, senior-engineers], count: 2}",
			"{all_of: [platform-leads, eng-managers]}", "{any_of: [senior-engineers]}", "{all_of: [manager, senior-engineers]}", "none")
		set(s, "ticket", "required", "{within: 30m}")
	}
	if h.mood.overlaps || h.chance(2) { // two ways to one and the same access
		set("console", "grant", "{permission_set: Forge-Prod-BreakGlass-EC2}")
		guard, _ := getKey(text, "ec2", "guard")
		set("console", "guard", guard)
	}
	set("console", "max_duration", longest...)
	set("console", "durations", "[1m]")
	set("console", "approval", "{any_of: [senior-engineers]}", "none")
	for _, s := range []string{"emergency", "ec2", "console"} {
		if h.mood.longer || h.chance(2) {
			set(s, "max_extensions", "1", "2", "3")
			set(s, "max_total", "4h")
		}
	}
	set("requests", "expire", "10m", "30m", "1h")
	set("requests", "remind", "[5m]", "[1m, 4m]", "[]")
	set("report", "settle", "6m", "10m", "15m") // longer than what passes between two looks, so that none is missed
	set("report", "again", "[20m]", "[]", "[30m, 1h]")
	for _, s := range []string{"emergency", "ec2", "rds", "eks"} { // nobody here writes one
		if err == nil {
			text, err = setKey(text, s, "post_mortem", "false")
		}
	}
	if err != nil {
		return err
	}
	h.wrote = []byte(text)
	if h.pol, err = policy.Parse("policy.yaml", h.wrote); err != nil {
		return err
	}
	return os.WriteFile(h.policyPath(), h.wrote, 0o600)
}

// block finds the lines of a scenario, or of a section at the top.
func block(text, name string) (from, to int) {
	if m := regexp.MustCompile(`(?m)^(  )?` + name + `:\n`).FindStringSubmatchIndex(text); m != nil {
		indent := `  `
		if m[2] < 0 {
			indent = ``
		}
		rest := regexp.MustCompile(`(?m)^` + indent + `[\w-]|^[\w-]`).FindStringIndex(text[m[1]:])
		to = len(text)
		if rest != nil {
			to = m[1] + rest[0]
		}
		return m[1], to
	}
	return -1, -1
}

var keyLine = func(key string) *regexp.Regexp { return regexp.MustCompile(`(?m)^( +)` + key + `:[^\n]*\n`) }

func getKey(text, name, key string) (string, bool) {
	from, to := block(text, name)
	if from < 0 {
		return "", false
	}
	line := keyLine(key).FindString(text[from:to])
	_, v, ok := strings.Cut(line, ":")
	v, _, _ = strings.Cut(v, " #")
	return strings.TrimSpace(v), ok
}

// setKey gives a key of a block another value, or adds it.
func setKey(text, name, key, value string) (string, error) {
	from, to := block(text, name)
	if from < 0 {
		return text, fmt.Errorf("the example policy has no %s", name)
	}
	inner := text[from:to]
	line := keyLine(key)
	if m := line.FindStringSubmatch(inner); m != nil {
		inner = strings.Replace(inner, m[0], m[1]+key+": "+value+"\n", 1)
	} else {
		indent := inner[:len(inner)-len(strings.TrimLeft(inner, " "))]
		inner = indent + key + ": " + value + "\n" + inner
	}
	return text[:from] + inner + text[to:], nil
}

// directoryAt is what Identity Center said from then on.
type directoryAt struct {
	from time.Time
	who  map[string]member
}

// member is somebody of the directory.
type member struct {
	enabled        bool
	email, manager string
	groups         []string
}

// snapDirectory notes the directory as it is now.
func (h *history) snapDirectory() {
	d := directoryAt{time.Now(), map[string]member{}}
	for _, u := range h.world.AWS.Users() {
		d.who[u.ID] = member{enabled: !u.Disabled, email: u.Email, manager: u.ManagerID}
	}
	for _, g := range h.world.AWS.Groups() {
		for _, id := range g.Members {
			m := d.who[id]
			m.groups = append(m.groups, g.Name)
			d.who[id] = m
		}
	}
	h.mu.Lock()
	h.dirs = append(h.dirs, d)
	h.mu.Unlock()
}

// asked is how long ago the directory may have been asked about everybody before the intent was written.
const asked = 35 * time.Second

// judge says why a request must not be granted at this moment, "" where it may: its approvals are by distinct, eligible people other than its
// requester, all of them live, and all of it as the directory was when it was asked last.
func (h *history) judge(r store.Request) (why string) {
	return h.byDirectory(h.clock.moments(r.GrantedAt), func(d directoryAt) string { return h.judgeWords(d, r, r.Decisions, r.Second) })
}

// judgeLonger is judge for an extension that was granted. Where a session takes nobody's word, its extension takes that of one other eligible person.
func (h *history) judgeLonger(r store.Request, x store.Extension) (why string) {
	s, _ := h.pol.Scenario(r.Scenario)
	if len(x.Decisions) == 0 {
		return "nobody gave a word"
	}
	return h.byDirectory(h.clock.moments(x.Decisions[len(x.Decisions)-1].At), func(d directoryAt) string { return h.judgeWords(d, r, x.Decisions, s.Approval.None || r.Second) })
}

// byDirectory asks what the directory said at each of those times, and a little before: one of them was when the program asked.
func (h *history) byDirectory(when []time.Time, judge func(directoryAt) string) (why string) {
	for _, at := range when {
		if why = h.judgeAt(at, judge); why == "" {
			return ""
		}
	}
	return why
}

func (h *history) judgeAt(at time.Time, judge func(directoryAt) string) (why string) {
	h.mu.Lock()
	dirs := slices.Clone(h.dirs)
	h.mu.Unlock()
	for i := len(dirs) - 1; i >= 0; i-- {
		if dirs[i].from.After(at) {
			continue
		}
		if why = judge(dirs[i]); why == "" {
			return ""
		}
		if dirs[i].from.Before(at.Add(-asked)) {
			break
		}
	}
	return why
}

// judgeWords: second says that one other eligible person's word is what it takes.
func (h *history) judgeWords(d directoryAt, r store.Request, decisions []store.Decision, second bool) string {
	s, ok := h.pol.Scenario(r.Scenario)
	if !ok {
		return "no such scenario"
	}
	asker := d.who[r.Requester.UserID]
	if !asker.enabled || !slices.ContainsFunc(s.Eligible, func(set string) bool { return h.in(asker, set) }) {
		return r.Requester.UserName + " may not ask for it"
	}
	if s.Approval.None && !second {
		return ""
	}
	sets, need := s.Approval.AnyOf, max(1, s.Approval.Count)
	if s.Approval.None {
		sets = s.Eligible
	}
	var words []string // of distinct people who are not the requester and still there
	for _, w := range decisions {
		id := w.By.UserID
		if !w.Approved {
			return w.By.Label() + " said no"
		}
		if id == r.Requester.UserID || slices.Contains(words, id) || !d.who[id].enabled {
			continue
		}
		if h.clicked(w.By.SlackID, r.ID) {
			words = append(words, id)
		}
	}
	stands := func(id, set string) bool {
		return set == policy.Manager && id == asker.manager || h.in(d.who[id], set)
	}
	if len(s.Approval.AllOf) > 0 {
		if !each(s.Approval.AllOf, words, stands) {
			return fmt.Sprintf("it needs one of each of %v and has %d words", s.Approval.AllOf, len(words))
		}
		return ""
	}
	n := 0
	for _, id := range words {
		if slices.ContainsFunc(sets, func(set string) bool { return stands(id, set) }) {
			n++
		}
	}
	if n < need {
		return fmt.Sprintf("it needs %d of %v and has %d of %d words", need, sets, n, len(words))
	}
	return ""
}

func (h *history) in(m member, set string) bool {
	p := h.pol.People[set]
	return slices.Contains(p.Emails, m.email) || slices.ContainsFunc(p.Groups, func(g string) bool { return slices.Contains(m.groups, g) })
}

// each finds a different person for every set.
func each(sets, people []string, stands func(id, set string) bool) bool {
	if len(sets) == 0 {
		return true
	}
	for i, id := range people {
		if stands(id, sets[0]) && each(sets[1:], slices.Delete(slices.Clone(people), i, i+1), stands) {
			return true
		}
	}
	return false
}
