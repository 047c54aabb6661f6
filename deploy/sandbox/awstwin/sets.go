// Permission sets. A set is a template: what decides is the copy that was provisioned into each account's role, and that
// follows a change of the set only when it is provisioned again.

package awstwin

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"breakglass/deploy/sandbox/awstwin/iam"
)

// PermissionSet is a permission set as AddPermissionSet takes it.
type PermissionSet struct {
	Name            string
	Description     string
	SessionDuration time.Duration // 1 h (default) to 12 h
	RelayState      string
	InlinePolicy    string   // JSON; empty: none
	ManagedPolicies []string // names or ARNs of AWS managed policies, as ReadOnlyAccess
	CustomerManaged []string // names of customer managed policies, which must exist in each account; a path may precede: /team/Guard
	Boundary        string   // JSON; a permissions boundary
}

type permissionSet struct {
	arn, name, description, relay string
	duration                      time.Duration
	inline                        *namedPolicy
	managed                       []string // ARNs
	customer                      []customerRef
	boundary                      *namedPolicy
	created                       time.Time
	version                       int // counts changes; a role provisioned at an earlier one is out of date
}

type customerRef struct{ Name, Path string }

func (r customerRef) arn(account string) string {
	return "arn:aws:iam::" + account + ":policy" + r.Path + r.Name
}

// namedPolicy is a policy document with the name by which a decision refers to it.
type namedPolicy struct {
	name string
	text string
	doc  *iam.Document
}

func parsePolicy(name, text string) (*namedPolicy, error) {
	doc, err := iam.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	doc.Name = name
	return &namedPolicy{name: name, text: text, doc: doc}, nil
}

// AddPermissionSet adds a permission set and returns its ARN. A malformed policy panics: it is a mistake of the test's author.
func (o *Organization) AddPermissionSet(p PermissionSet) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if p.SessionDuration == 0 {
		p.SessionDuration = time.Hour
	}
	s := &permissionSet{
		arn:  "arn:aws:sso:::permissionSet/" + o.instance.id + "/ps-" + o.hex(16),
		name: p.Name, description: p.Description, relay: p.RelayState, duration: p.SessionDuration, created: o.cfg.Now(),
	}
	if p.InlinePolicy != "" {
		s.inline = mustPolicy("inline policy of "+p.Name, p.InlinePolicy)
	}
	if p.Boundary != "" {
		s.boundary = mustPolicy("boundary of "+p.Name, p.Boundary)
	}
	for _, m := range p.ManagedPolicies {
		s.managed = append(s.managed, managedARN(m))
	}
	for _, name := range p.CustomerManaged {
		s.customer = append(s.customer, splitPath(name))
	}
	o.sets[s.arn] = s
	o.changed()
	return s.arn
}

func mustPolicy(name, text string) *namedPolicy {
	p, err := parsePolicy(name, text)
	if err != nil {
		panic("awstwin: " + err.Error())
	}
	return p
}

func splitPath(name string) customerRef {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return customerRef{Name: name, Path: "/"}
	}
	return customerRef{Name: name[i+1:], Path: "/" + strings.TrimPrefix(name[:i+1], "/")}
}

func managedARN(name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return "arn:aws:iam::aws:policy/" + name
}

// SetInfo is a permission set as the twin's page and tests see it.
type SetInfo struct {
	ARN, Name       string
	SessionDuration time.Duration
}

// PermissionSets are all permission sets, by name.
func (o *Organization) PermissionSets() []SetInfo {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []SetInfo
	for _, s := range o.sets {
		all = append(all, SetInfo{s.arn, s.name, s.duration})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// findSet takes a name or an ARN.
func (o *Organization) findSet(nameOrARN string) *permissionSet {
	if s := o.sets[nameOrARN]; s != nil {
		return s
	}
	for _, s := range o.sets {
		if s.name == nameOrARN {
			return s
		}
	}
	return nil
}

// iso writes a duration as Identity Center does: PT1H, PT1H30M.
func iso(d time.Duration) string {
	s := "PT"
	if h := int(d / time.Hour); h > 0 {
		s += strconv.Itoa(h) + "H"
	}
	if m := int(d % time.Hour / time.Minute); m > 0 {
		s += strconv.Itoa(m) + "M"
	}
	if sec := int(d % time.Minute / time.Second); sec > 0 {
		s += strconv.Itoa(sec) + "S"
	}
	return s
}
