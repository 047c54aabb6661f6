package awstwin

import "time"

type managedPolicy struct{}

func (p *managedPolicy) current() *namedPolicy { return nil }

type iamUser struct {
	name, arn, id, mfa string
	admin              bool
	inline             map[string]*namedPolicy
	attached           []string
}

func (u *iamUser) active(string) bool    { return true }
func (u *iamUser) noteUse(*call, string) {}
func (o *Organization) newIAMUser(a *account, name string) *iamUser {
	u := &iamUser{name: name, arn: "arn:aws:iam::" + a.id + ":user/" + name, id: o.unique("AIDA"), inline: map[string]*namedPolicy{}}
	a.users[name] = u
	return u
}

type regional struct{}

func (a *account) in(region string) *regional { return nil }

type bucket struct{}
type mailbox struct{}
type schedule struct{}
type scheduleTable struct{}

func newScheduleTable() scheduleTable                                 { return scheduleTable{} }
func (t *scheduleTable) nextDue(now time.Time) (*schedule, time.Time) { return nil, time.Time{} }
func (o *Organization) fire(s *schedule, at time.Time)                {}
func (o *Organization) waitForChange(c *call) bool                    { return false }
func queryErr()                                                       {}
