package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"breakglass/store"
)

// Archive is where evidence is kept: a flat space of names with "/" in them, each written once. A bucket with Object Lock (archives3.go) keeps
// them from everybody until their date; a folder (archivefile.go) keeps them as well as its machine does. It holds nothing in memory: what is
// there is asked anew each time, because others may have been at it.
type Archive struct {
	at   string // the URL it was opened by
	kept keeping
	room chan struct{} // at most archiving calls at once: evidence may never crowd out a revocation on the network
}

// keeping is what a place does for an archive. Names have been checked before.
type keeping interface {
	put(ctx context.Context, name string, b blob, until time.Time) error
	objects(ctx context.Context, prefix string) ([]Object, error)
	open(ctx context.Context, name string) (io.ReadCloser, error)
	newest(ctx context.Context, prefix string) (string, error)
	ready(ctx context.Context) []Row
}

// blob is what is to be stored: its bytes from the beginning, how many, and their SHA-256.
type blob struct {
	body io.ReadSeeker
	size int64
	sum  [32]byte
}

// Object is one name in the archive. More than one version, or a deletion, says that somebody was at it: the archive itself writes a name once.
type Object struct {
	Name     string
	Size     int64     // bytes of the oldest version, which is the one that counts
	Modified time.Time // when the oldest version was written
	Versions int       // 0: only the marker of a deletion is left
	Deleted  bool      // a marker of a deletion is among the versions
}

// archiving is how many calls an archive makes at once.
const archiving = 4

// The words of an archive's refusals that callers may tell apart, in store.Refusal.Code. All others are S3's own.
const (
	CodeDiffers  = "Differs"   // something else is there under that name
	CodeBadName  = "BadName"   // no name of an archive
	CodeTooLarge = "TooLarge"  // more than one object holds
	CodeChanged  = "BadDigest" // what was to be stored is not what its checksum says
)

const (
	inBucket    = "s3://"
	someArchive = "file:archive"
)

// ArchiveNeedsAWS says whether an archive is in AWS, so that a Connection is needed to read it.
func ArchiveNeedsAWS(at string) bool { return strings.HasPrefix(at, inBucket) }

// Archive opens s3://BUCKET[/PREFIX][?region=REGION][&owner=ACCOUNT] or file:PATH; "" is file:archive. Nothing is asked and nothing made yet.
// Without region the bucket is in the bot's own; with owner a bucket of that name in another account is refused. c may be nil where
// ArchiveNeedsAWS says no.
func (c *Connection) Archive(at string) (*Archive, error) {
	if at == "" {
		at = someArchive
	}
	a := &Archive{at: at, room: make(chan struct{}, archiving)}
	switch {
	case ArchiveNeedsAWS(at):
		if c == nil {
			return nil, errors.New("the archive is kept in AWS, and there is no connection to it")
		}
		b, err := c.openBucket(at)
		if err != nil {
			return nil, err
		}
		a.kept = b
	case strings.HasPrefix(at, inFile) && at != inFile:
		a.kept = folder{filepath.Clean(strings.TrimPrefix(at, inFile))}
	default:
		return nil, fmt.Errorf("the archive %q must be s3://BUCKET/PREFIX or file:PATH", clean(at, 200))
	}
	return a, nil
}

// bucketName is what S3 takes for a general purpose bucket (S3 user guide, bucket naming rules).
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// bucketAt reads an archive's URL.
func bucketAt(at string) (name, prefix, region, owner string, err error) {
	u, err := url.Parse(at)
	if err != nil || u.User != nil || u.Fragment != "" || !bucketName.MatchString(u.Host) {
		return "", "", "", "", fmt.Errorf("the archive %q must be s3://BUCKET/PREFIX", clean(at, 200))
	}
	q := u.Query()
	for k := range q {
		if k != "region" && k != "owner" {
			return "", "", "", "", fmt.Errorf("the archive %q: only region and owner may stand after the question mark", clean(at, 200))
		}
	}
	if prefix = strings.Trim(u.Path, "/"); prefix != "" {
		if !validName(prefix) {
			return "", "", "", "", fmt.Errorf("the archive %q: its prefix may have letters, digits, and . _ - / only", clean(at, 200))
		}
		prefix += "/"
	}
	return u.Host, prefix, q.Get("region"), q.Get("owner"), nil
}

// longestName is in bytes; S3 takes 1,024 with the prefix, a file system 255 for each part.
const longestName = 512

var nameParts = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,199})*$`)

// validName says whether a name may be written or opened. No part begins with a dot, so that none leads out of a folder or hides in it, or with
// a dash, so that none is an option to a program.
func validName(name string) bool { return len(name) <= longestName && nameParts.MatchString(name) }

func checkName(name string) error {
	if validName(name) {
		return nil
	}
	return fmt.Errorf("archive: %w", &store.Refusal{Code: CodeBadName, Message: fmt.Sprintf("%q is no name for an object", clean(name, 100))})
}

func differs() error {
	return &store.Refusal{Code: CodeDiffers, Message: "something else is in the archive under this name; nothing was overwritten"}
}

func changed() error {
	return &store.Refusal{Code: CodeChanged, Message: "what was to be stored is not what its checksum says"}
}

// String is the URL of the archive; there is no secret in it.
func (a *Archive) String() string { return a.at }

// Put stores size bytes of body, whose SHA-256 is sum, under a name that nobody has used, and locks them until then; a folder locks nothing. body
// is read from its beginning, perhaps more than once. The same content under the same name is success, so that Put may be repeated after a crash.
// A *store.Refusal (CodeDiffers and the rest) says that repeating it will not help; any other error that it may, and leaves open whether the object is there.
func (a *Archive) Put(ctx context.Context, name string, body io.ReadSeeker, size int64, sum [32]byte, until time.Time) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := a.enter(ctx); err != nil {
		return err
	}
	defer a.leave()
	return a.kept.put(ctx, name, blob{body, size, sum}, until)
}

// Objects lists what is there under a prefix, by name. Names that others put there are given as they are: not all of them can be opened.
func (a *Archive) Objects(ctx context.Context, prefix string) ([]Object, error) {
	if err := a.enter(ctx); err != nil {
		return nil, err
	}
	defer a.leave()
	return a.kept.objects(ctx, prefix)
}

// Open reads the oldest version of an object, whatever was put over it or in front of it since. errors.Is(err, fs.ErrNotExist) where there is
// none. Reading ends with ctx.
func (a *Archive) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := a.enter(ctx); err != nil {
		return nil, err
	}
	defer a.leave()
	return a.kept.open(ctx, name)
}

// Newest is the last name in order under a prefix, deleted or not; "" where there is none. Where names go on with a number of fixed width, it
// looks for it by halves and does not read them all.
func (a *Archive) Newest(ctx context.Context, prefix string) (string, error) {
	if err := a.enter(ctx); err != nil {
		return "", err
	}
	defer a.leave()
	return a.kept.newest(ctx, prefix)
}

// Ready asks for what the archive will need, and leaves nothing behind. That an object can be written is not tried: in a bucket nobody could
// remove it again.
func (a *Archive) Ready(ctx context.Context) []Row { return a.kept.ready(ctx) }

func (a *Archive) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("waiting for the archive: %w", err)
	}
	select {
	case a.room <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the archive: %w", ctx.Err())
	}
}

func (a *Archive) leave() { <-a.room }

// contentType is what a browser is told; by suffix, since the archive knows nothing of what it keeps.
func contentType(name string) string {
	switch filepath.Ext(name) {
	case ".json":
		return "application/json"
	case ".jsonl":
		return "application/x-ndjson"
	case ".html":
		return "text/html; charset=utf-8"
	case ".txt", ".note", ".log", ".yaml":
		return "text/plain; charset=utf-8"
	case ".png":
		return "image/png"
	}
	return "application/octet-stream"
}
