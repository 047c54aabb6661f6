// Package store is what is true: the nouns (Request, Person, Decision, Access, Event, Notice, Click), the states a request
// can be in, and the only lawful ways to change any of them.
//
// It must not know Slack, AWS, the policy file or what happens next: it is told who acts and when, checks that the change starts where
// the record stands, and writes the record, its due time, the line of the log and what people are to be told in one
// transaction, so that a crash can never leave one without the others.
//
// Four files hold the seams. state.go has the chart and the transition table. change.go has the lawful changes, written
// against four verbs (get, put, delete, scan) over named buckets. bolt.go is those verbs on bbolt, and pages.go reads
// its file without trusting it: they are what to replace when one machine is not enough.
//
// The buckets, with their keys and values (records are JSON behind a CRC-32C of key and JSON, and an index has the CRC-32C of its key as value, see record.go):
//
//	meta                                  plain bytes, readable by any later version
//	  format                              "1"; any other value is refused by Open
//	  store                               random identity of this file
//	  next                                number of the next request, 8 bytes big endian
//	  latest                              the latest time that was ever seen, unix nanoseconds, 8 bytes big endian
//	requests   number                     Request
//	due        unix-nanoseconds number    index; exactly one for each request that is not at its end
//	open       number                     State; requests that are not at their end
//	openof     user-id 0x00 number        index; the same, by person
//	person     user-id 0x00 number        index; the requests of one person
//	access     tuple                      Access; who has what through us, for each person, account and permission set
//	lines      guard access-key           index; the accesses that have a line in the guard of that account, permission set or role
//	inbox      sequence                   Click; what Slack delivered and was acknowledged, not yet acted on
//	seen       delivery                   time it came; forgotten after a day
//	seenat     unix-nanoseconds delivery  index; the order in which seen is forgotten
//	outbox     sequence                   Notice; what people are to be told, oldest first
//	messages   number 0x00 name           Ref; where a message that is edited later stands
//	events     sequence                   Event; append only
//	hashes     index                      a hash of the log's Merkle tree, 32 bytes behind their CRC-32C; grown with each event
//	parts      sequence                   Part; what is still to be put into the archive, oldest first
//	filed      folder                     Filed; what the archive has of a session or a review
//	spoken     number 0x00 sequence       Spoken; what people were told in a request's thread, as they saw it
//	eventsof   number sequence            index; the events of one request
//	facts      name                       small facts the whole program needs again (pinned channels, matched people, last slots)
//
// Numbers, sequences and times are 8 bytes big endian, so that the order of keys is the order of things.
package store
