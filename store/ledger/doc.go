// Package ledger makes a log that cannot be rewritten unseen, and proves it: the arithmetic of a Merkle tree over the log's lines, signed
// checkpoints, proofs that a line stands in the log, and the verification of an archive on a machine that has nothing but this package and the
// public key.
//
// It must not know what a request is, where the lines are kept, or how an archive is reached: it sees lines as bytes of which it reads a few
// fields, stored hashes through a HashReader, and an archive as names with contents.
//
// Line n of the log, from 1, is leaf n-1 of a tree as RFC 6962 has it (golang.org/x/mod/sumdb/tlog). A checkpoint is a note
// (golang.org/x/mod/sumdb/note) of five parts: origin, size, root, time, signatures:
//
//	breakglass/0123456789abcdef
//	137
//	vM2rbH4Q3nkJf2DVCR1dGvlLiJaX0e0CxQm6SM2rrT4=
//	at 2026-10-05T14:02:11Z
//
//	— breakglass/0123456789abcdef Az3grl...
//
// testdata has vectors for whoever writes a verifier of their own.
package ledger
