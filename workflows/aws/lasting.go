package aws

import (
	"context"
	"regexp"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"
)

// longestSession is the most that a permission set's session duration can be (Identity Center user guide, session duration), and an IAM role's
// MaxSessionDuration.
const longestSession = 12 * time.Hour

// durationFresh is how long a session duration is believed where it can be read again.
const durationFresh = 10 * time.Minute

// duration is how long sessions of a set last.
type duration struct {
	longest time.Duration // that AWS was seen to have
	at      time.Time     // when it was read last
}

// note remembers how long sessions of a set last.
func (s *setNames) note(set types.PermissionSet) {
	name := sdk.ToString(set.Name)
	if name == "" {
		return
	}
	d, ok := isoDuration(sdk.ToString(set.SessionDuration))
	if !ok {
		d = longestSession
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lasts[name] = duration{longest: max(d, s.lasts[name].longest), at: s.c.now()}
}

// lasting is the longest session duration of a set that was seen, zero where none was.
func (s *setNames) lasting(name string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lasts[name].longest
}

// refresh reads a set's session duration again, where it is known by name and was not read a moment ago. What goes wrong leaves what was known.
func (s *setNames) refresh(ctx context.Context, name string) error {
	s.mu.Lock()
	arn, last := s.byName[name], s.lasts[name].at
	s.mu.Unlock()
	if age := s.c.now().Sub(last); arn == "" || age >= 0 && age < durationFresh {
		return nil
	}
	in, err := s.c.theInstance(ctx)
	if err != nil {
		return err
	}
	ctx = idly(ctx)
	set, err := s.ask(ctx, s.c.ssoAdmin.wait, in.arn, arn)
	if err != nil {
		return err
	}
	s.note(set)
	return nil
}

var isoForm = regexp.MustCompile(`^PT(?:([0-9]{1,3})H)?(?:([0-9]{1,4})M)?(?:([0-9]{1,6})S)?$`)

// isoDuration reads an ISO 8601 duration of hours, minutes and seconds. ok is false for any other form, and for what no session duration can be.
func isoDuration(text string) (d time.Duration, ok bool) {
	m := isoForm.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	for i, unit := range []string{"h", "m", "s"} {
		if m[i+1] != "" {
			part, err := time.ParseDuration(m[i+1] + unit)
			if err != nil {
				return 0, false
			}
			d += part
		}
	}
	return d, d >= time.Hour && d <= longestSession
}
