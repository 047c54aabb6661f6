package handlers

import (
	"strings"

	"breakglass/store"
)

// What a request is for comes in three kinds: a permission set in an account, the membership of a group, which is in no account, and an
// IAM role in an account. This file has the words for it; nothing else in the package asks which of them it is to name it.

// access is what somebody asks for or has, as it stands after "your" or "asks for".
func (w words) access(r store.Request) words {
	switch {
	case r.Group != "":
		return w.say("membership of group ").bold(oneLine(r.Group, limitName))
	case r.Role != "":
		return w.say("access to role ").bold(oneLine(r.Role, limitName)).say(" on ").place(r)
	}
	return w.say("access to ").place(r)
}

// grant is the same by its name in AWS, as it stands after "has".
func (w words) grant(r store.Request) words {
	switch {
	case r.Group != "":
		return w.say("membership of group ").code(oneLine(r.Group, limitName))
	case r.Role != "":
		return w.say("role ").code(oneLine(r.Role, limitName)).say(" on ").place(r)
	}
	return w.code(oneLine(r.PermissionSet, limitName)).say(" on ").place(r)
}

// where says which account, or which group, after the title of a scenario.
func (w words) where(r store.Request) words {
	switch {
	case r.Group != "":
		return w.say(", group ").bold(oneLine(r.Group, limitName))
	case r.Account.Name != "":
		return w.say(" on ").bold(oneLine(r.Account.Name, limitName))
	}
	return w
}

// accessText is access in mrkdwn, for the top-level text of a message.
func accessText(r store.Request) string {
	switch {
	case r.Group != "":
		return "membership of group " + inert(r.Group, limitName)
	case r.Role != "":
		return "access to role " + inert(r.Role, limitName) + " on " + inert(r.Account.Name, limitName)
	}
	return "access to " + inert(r.Account.Name, limitName)
}

// grantText is grant in plain text, for labels and dialogs.
func grantText(r store.Request) string {
	switch {
	case r.Group != "":
		return "membership of group " + oneLine(r.Group, limitName)
	case r.Role != "":
		return "role " + oneLine(r.Role, limitName) + " on " + oneLine(r.Account.Name, limitName)
	}
	return oneLine(r.PermissionSet, limitName) + " on " + oneLine(r.Account.Name, limitName)
}

// label is the shortest name of where a request is: its account's, or its group's.
func label(r store.Request) string { return oneLine(or(r.Group, r.Account.Name), limitName) }

// grantKind is what a grant is called in AWS, with its name.
func grantKind(r store.Request) string {
	switch {
	case r.Group != "":
		return "Group " + oneLine(r.Group, limitName)
	case r.Role != "":
		return "IAM role " + oneLine(r.Role, limitName)
	}
	return "Permission set " + oneLine(r.PermissionSet, limitName)
}

// lowerFirst is grantKind in the middle of a sentence.
func lowerFirst(s string) string {
	if strings.HasPrefix(s, "IAM") || s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
