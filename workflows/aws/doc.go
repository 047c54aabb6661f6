// Package aws is the adapters: what AWS is asked, and how its answers are to be read. A file for each service. What gives and takes:
// access.go sorts by kind, identitycenter.go (with sets.go, outstanding.go and follow.go) does account assignments, membership.go groups,
// role.go the roles of member accounts. What ends access besides: guard.go and fence.go in IAM, deadman.go by schedules, shells.go for open
// SSM sessions. What reads: directory.go people, inventory.go what stands, trail.go what was done (traillookup.go from the accounts' event
// histories, trailportal.go the access portal's, trailinsights.go and trailathena.go from an organisation's trail; trailevent.go says how an event
// is read), shelllogs.go what was typed. What keeps: archive.go, into a bucket under Object Lock (archives3.go) or a folder (archivefile.go), and
// key.go signs the log's checkpoints (keykms.go by KMS). mail.go sends (mailmime.go with pictures), secret.go resolves tokens. check.go,
// checkends.go, checkevidence.go, archivecheck.go, mailcheck.go and prove.go ask for, and try, everything that a policy will need. aws.go connects, call.go is the one way in
// which AWS is called, quota.go (with urgency.go and rounds.go) says when, errors.go is the one place where its errors are read.
//
// It must not know what happens next: no requests, no policy, no Slack. Its nouns are store's and nothing else of ours is imported. It
// keeps no state but caches of names (a permission set's ARN, a group's id): who belongs to what, and who has what, is asked
// anew each time, because decisions are made by it.
//
// Nothing here blocks on a mutex while a call is on its way: waiting is done on channels, so that a context ends it, and so that
// tests can let hours pass in a synctest bubble.
package aws
