package handlers

import (
	"fmt"
	"time"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// An extension is not taken in the last two minutes of a session: its later ends could not be made in time.
const lastCall = 2 * time.Minute

// room is how much longer a session may be made, in whole minutes; 0 where it cannot be, and why says so. It goes by the record and the policy alone, to
// offer buttons and steps: whether it is granted is decided elsewhere.
func room(p *policy.Policy, r store.Request, now time.Time) (most time.Duration, why string) {
	s, ok := p.Scenario(r.Scenario)
	switch {
	case r.State != store.Active:
		return 0, fmt.Sprintf("%s is not a running session, so there is nothing to extend.", r.ID)
	case r.Lead != "":
		return 0, fmt.Sprintf("%s was granted along with %s and ends with it. Extend that one.", r.ID, r.Lead)
	case !ok:
		return 0, "The policy has its scenario no more, so it cannot be extended. Ask anew with /breakglass."
	case s.MaxExtensions == 0:
		return 0, fmt.Sprintf("Sessions of this kind (%s) cannot be extended. Ask anew with /breakglass, and say in the reason that it goes on.", oneLine(s.Title, limitName))
	}
	if n := used(r); n >= s.MaxExtensions {
		return 0, fmt.Sprintf("%s was extended %s already, which is the most the policy allows. Ask anew with /breakglass.", r.ID, times(n))
	}
	if _, x := r.Extending(); x != nil {
		return 0, fmt.Sprintf("An extension of %s by %s is being decided already.", r.ID, sayDuration(x.By))
	}
	if r.ExpiresAt.Sub(now) < lastCall {
		return 0, fmt.Sprintf("%s ends within two minutes, which is too late to extend it. Ask anew with /breakglass.", r.ID)
	}
	most = r.GrantedAt.Add(s.MaxTotal).Sub(r.ExpiresAt).Truncate(time.Minute)
	if most < time.Minute {
		return 0, fmt.Sprintf("%s lasts as long as the policy allows, %s in all. Ask anew with /breakglass.", r.ID, sayDuration(s.MaxTotal))
	}
	return most, ""
}

// used is how many extensions a session has had.
func used(r store.Request) (n int) {
	for _, x := range r.Extensions {
		if x.State == store.ExtensionGranted {
			n++
		}
	}
	return n
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// steps are what the form offers of a room: round lengths from about an eighth of it up, and all of it.
func steps(most time.Duration) (out []time.Duration) {
	const m, h = time.Minute, time.Hour
	for _, d := range []time.Duration{5 * m, 10 * m, 15 * m, 30 * m, h, 2 * h, 4 * h, 8 * h, 12 * h, 24 * h, 48 * h} {
		if d < most && d >= most/8 {
			out = append(out, d)
		}
	}
	return append(out, most)
}
