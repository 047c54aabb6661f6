package handlers

import (
	"breakglass/store"
	"breakglass/workflows/policy"
)

// What the ends of a session do not reach is said to whoever asks and whoever approves, before and after. Sources: IAM Identity Center user guide,
// "Revoke active IAM role sessions" and "Authentication in Identity Center" (removal from a group takes up to an hour; sessions live on for
// the permission set's duration); RDS, IAM database authentication (a token is checked when a connection is opened); EKS tokens are presigned
// calls of STS that no policy can deny.
const (
	openConnections = "An open database connection or an EKS token may last up to an hour more."
	slowGroup       = "AWS may take up to an hour to make the membership count, and up to an hour to make its removal count."
	slowRemoval     = "AWS may take up to an hour to make the removal count."
	needsMFA        = "Each new session of the role needs MFA."
	oldCredentials  = "No guard stands in IAM for it, so credentials already taken work on after the end, up to the session duration of the "
)

// guarded is what is known of the guard of a request: what was recorded once its ends were made, before that what the policy and the
// operator say.
type guarded int

const (
	guardUnknown guarded = iota
	guardStands
	guardAbsent
)

func guardOf(r store.Request, f setting) guarded {
	made := r.State != store.Pending && r.State != store.Approved && r.State != store.Granting
	switch {
	case made && r.Ends.Guard:
		return guardStands
	case made:
		return guardAbsent
	case r.Role == "" && f.guard == policy.GuardNone:
		return guardAbsent
	case f.ends == nil:
		return guardUnknown
	case f.ends.Guard:
		return guardStands
	}
	return guardAbsent
}

// reach is what the ends of this session do not reach.
func reach(r store.Request, f setting) string {
	if r.Group != "" {
		return slowGroup
	}
	s, of := "", "permission set."
	if r.Role != "" {
		s, of = needsMFA+" ", "role."
	}
	switch guardOf(r, f) {
	case guardStands:
		s += "After the end IAM refuses every call. " + openConnections
	case guardAbsent:
		s += oldCredentials + of + " " + openConnections
	default:
		s += "After the end IAM refuses every call where the guard stands; without it, credentials already taken work on up to the session duration of the " + of + " " + openConnections
	}
	return s
}

// shortReach is reach for the card, where it must not push the buttons out of sight.
func shortReach(r store.Request, f setting) string {
	if r.Group != "" {
		return slowGroup
	}
	s := ""
	if r.Role != "" {
		s = needsMFA + " "
	}
	const hour = "May outlive its end by up to an hour: an open database connection, an EKS token"
	switch guardOf(r, f) {
	case guardStands:
		return s + hour + "."
	case guardAbsent:
		return s + "No guard in IAM: credentials already taken outlive the end, up to their session duration."
	}
	return s + hour + "; without a guard in IAM, credentials already taken as well."
}

// reached is the same once the end is there: what may still be open.
func reached(r store.Request) string {
	switch {
	case r.Group != "":
		return slowRemoval
	case r.Ends.Guard:
		return openConnections
	case r.Role != "":
		return oldCredentials + "role. " + openConnections
	}
	return oldCredentials + "permission set. " + openConnections
}

// unrefused says of a running session that its guard has no line for it, where it was opened all the same; it is a clause. Without a guard by the
// policy or the operator that is said when it is asked for.
func unrefused(r store.Request) string {
	if r.State != store.Active || r.Ends.Guard || !r.Ends.Full && !r.Ends.Unguarded {
		return ""
	}
	s := "IAM will not refuse it after its end (its guard is not written yet)"
	if r.Ends.Full {
		s = "IAM will not refuse it after its end (its guard is full)"
	}
	if r.Ends.Schedules {
		return s + ": a schedule in AWS and the bot take it away"
	}
	return s + ": the bot alone takes it away"
}

// endsLine is the shortest form of it, for the card: which ends the session has, and why not all.
func endsLine(r store.Request) string {
	if r.State != store.Active && r.State != store.Revoking {
		return ""
	}
	s := "Ended by: "
	switch {
	case r.Group != "" && r.Ends.Schedules:
		s += "a schedule in AWS and the bot"
	case r.Role != "" && r.Ends.Guard:
		s += "IAM and the bot (no schedule can act in another account)"
	case r.Ends.Guard && r.Ends.Schedules:
		s += "IAM, a schedule in AWS, and the bot"
	case r.Ends.Guard:
		s += "IAM and the bot"
	case r.Ends.Schedules:
		s += "a schedule in AWS and the bot"
	default:
		s += "the bot alone"
	}
	if r.Ends.Why != "" {
		s += ". Not every end stands: " + reasonOf(r.Ends.Why)
	}
	return s
}
