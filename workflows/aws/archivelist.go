package aws

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Listings are always of versions: a plain one leaves out what somebody has put a delete marker in front of.

// spot is how far a listing has come: nil, nil at its beginning; a key alone, behind all of its versions.
type spot struct{ key, version *string }

// versions is one page of a listing: names in order, of each the newest first. more is nil at its end.
func (b *bucket) versions(ctx context.Context, prefix string, from spot, most int32) (*s3.ListObjectVersionsOutput, *spot, error) {
	for {
		out, err := call(ctx, b.c, b.calls, "ListObjectVersions", reading, func(ctx context.Context) (*s3.ListObjectVersionsOutput, error) {
			// Names that others put there may have characters that XML cannot hold.
			return b.client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &b.name, Prefix: b.key(prefix), MaxKeys: &most, ExpectedBucketOwner: b.owner,
				KeyMarker: from.key, VersionIdMarker: from.version, EncodingType: types.EncodingTypeUrl})
		})
		if err != nil {
			return nil, nil, err
		}
		plainNames(out)
		if !sdk.ToBool(out.IsTruncated) {
			return out, nil, nil
		}
		next := spot{out.NextKeyMarker, out.NextVersionIdMarker}
		if next.key == nil || (*next.key == sdk.ToString(from.key) && sdk.ToString(next.version) == sdk.ToString(from.version)) {
			return nil, nil, fmt.Errorf("S3 does not say how the list of %s goes on", b.name)
		}
		if from = next; len(out.Versions)+len(out.DeleteMarkers) > 0 {
			return out, &next, nil
		}
	}
}

// plainNames takes the names of a page out of their encoding, which the SDK leaves to us.
func plainNames(out *s3.ListObjectVersionsOutput) {
	if out.EncodingType != types.EncodingTypeUrl {
		return
	}
	plain := func(s *string) *string {
		if p, err := url.QueryUnescape(sdk.ToString(s)); err == nil && s != nil {
			return &p
		}
		return s
	}
	for i := range out.Versions {
		out.Versions[i].Key = plain(out.Versions[i].Key)
	}
	for i := range out.DeleteMarkers {
		out.DeleteMarkers[i].Key = plain(out.DeleteMarkers[i].Key)
	}
	out.NextKeyMarker = plain(out.NextKeyMarker)
}

const fullPage = 1000

func (b *bucket) objects(ctx context.Context, prefix string) ([]Object, error) {
	found := map[string]*Object{}
	at := func(key *string) *Object {
		name := strings.TrimPrefix(sdk.ToString(key), b.prefix)
		if found[name] == nil {
			found[name] = &Object{Name: name}
		}
		return found[name]
	}
	for from := (&spot{}); from != nil; {
		out, more, err := b.versions(ctx, prefix, *from, fullPage)
		if err != nil {
			return nil, b.explain("listing the archive", err)
		}
		for _, v := range out.Versions {
			o := at(v.Key)
			o.Versions++
			o.Size, o.Modified = sdk.ToInt64(v.Size), sdk.ToTime(v.LastModified) // the last that comes is the oldest
		}
		for _, m := range out.DeleteMarkers {
			at(m.Key).Deleted = true
		}
		from = more
	}
	all := make([]Object, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		all = append(all, *found[name])
	}
	return all, nil
}

// oldest is the id of the first version of a name.
func (b *bucket) oldest(ctx context.Context, name string) (*string, error) {
	var id *string
	for from := (&spot{}); from != nil; {
		// Most names have one version; of a name that is the beginning of others the first page has all of its own.
		out, more, err := b.versions(ctx, name, *from, 10)
		if err != nil {
			return nil, err
		}
		for _, v := range out.Versions {
			if sdk.ToString(v.Key) != *b.key(name) {
				more = nil
				continue
			}
			id = v.VersionId
		}
		from = more
	}
	if id == nil {
		return nil, fs.ErrNotExist
	}
	return id, nil
}

// newest looks for the last name by halves, where names go on with a number: S3 lists in one direction only, and in years there are many.
func (b *bucket) newest(ctx context.Context, prefix string) (string, error) {
	l := lastName{b: b, prefix: prefix}
	err := l.find(ctx)
	return strings.TrimPrefix(l.name, b.prefix), b.explain("looking for the newest of "+cmp.Or(prefix, "the archive"), err)
}

// lastName is the search for the last name under a prefix: the last one that was seen, and whether any can follow.
type lastName struct {
	b      *bucket
	prefix string
	name   string // with the bucket's prefix
	width  int    // digits of the number behind the prefix; 0 where there is none
	number uint64 // in name
	done   bool
}

// look reads a page behind a name and says whether there was anything.
func (l *lastName) look(ctx context.Context, behind *string) (bool, error) {
	out, more, err := l.b.versions(ctx, l.prefix, spot{key: behind}, fullPage)
	if err != nil {
		return false, err
	}
	was := l.name
	for _, v := range out.Versions {
		l.name = max(l.name, sdk.ToString(v.Key))
	}
	for _, m := range out.DeleteMarkers {
		l.name = max(l.name, sdk.ToString(m.Key))
	}
	if l.name == was {
		return false, nil
	}
	l.done = more == nil
	rest := strings.TrimPrefix(l.name, l.b.prefix+l.prefix)
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	n, err := strconv.ParseUint(rest[:digits], 10, 64)
	if err != nil || digits > 18 {
		digits = 0
	}
	l.width, l.number = digits, n
	return true, nil
}

func (l *lastName) find(ctx context.Context) error {
	if some, err := l.look(ctx, nil); err != nil || !some {
		return err
	}
	if !l.done && l.width > 0 {
		if err := l.halve(ctx); err != nil {
			return err
		}
	}
	for !l.done { // from where the halves have brought us, or all the way
		some, err := l.look(ctx, sdk.String(l.name))
		if err != nil {
			return err
		}
		l.done = l.done || !some
	}
	return nil
}

// halve leaps ahead, twice as far each time, until there is nothing, and then closes in: some twenty pages for a million names. It stops where
// names turn out not to be numbers of one width.
func (l *lastName) halve(ctx context.Context) error {
	width, none := l.width, uint64(1) // nothing has the number none, or a higher one
	for range width {
		none *= 10
	}
	for leap := l.number + 1; !l.done && l.width == width && none > l.number+1; {
		probe := l.number + min(leap, (none-l.number)/2)
		some, err := l.look(ctx, sdk.String(fmt.Sprintf("%s%s%0*d", l.b.prefix, l.prefix, width, probe)))
		if err != nil {
			return err
		}
		if some {
			leap *= 2
		} else {
			none = probe
		}
	}
	return nil
}
