// Package aws is the adapters: what AWS is asked, and how its answers are to be read. A file for each service: identitycenter.go (with
// sets.go and outstanding.go) makes and removes account assignments, directory.go reads people, trail.go reads what was done,
// mail.go sends, secret.go resolves tokens, check.go asks for everything that a policy will need. aws.go connects, call.go is
// the one way in which AWS is called, errors.go the one place where its errors are read.
//
// It must not know what happens next: no requests, no policy, no Slack. Its nouns are store's and nothing else of ours is imported. It
// keeps no state but caches of names (a permission set's ARN, a group's id): who belongs to what, and who has what, is asked
// anew each time, because decisions are made by it.
//
// Nothing here blocks on a mutex while a call is on its way: waiting is done on channels, so that a context ends it, and so that
// tests can let hours pass in a synctest bubble.
package aws
