// The lists of a bucket, in pages. A page of versions may end between two versions of one key, so it is continued by both.

package awstwin

import (
	"cmp"
	"strconv"
	"strings"
)

// mostListed is the longest page of a bucket's lists.
const mostListed = 1000

// pageSize is what max-keys asks for, as far as S3 grants it.
func (c *call) pageSize() (int, error) {
	text := c.req.URL.Query().Get("max-keys")
	if text == "" {
		return mostListed, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fail("InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647")
	}
	return min(n, mostListed), nil
}

// folder is the part of a key up to the delimiter after the prefix: a common prefix; empty where there is none.
func folder(key, prefix, delimiter string) string {
	if delimiter == "" {
		return ""
	}
	if name, _, ok := strings.Cut(key[len(prefix):], delimiter); ok {
		return prefix + name + delimiter
	}
	return ""
}

func listObjects(c *call) (any, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	q := c.req.URL.Query()
	prefix, delimiter, after := q.Get("prefix"), q.Get("delimiter"), q.Get("start-after")
	size, err := c.pageSize()
	if err != nil {
		return nil, err
	}
	if t := q.Get("continuation-token"); t != "" {
		last, ok := openToken(t, "objects"+prefix)
		if !ok {
			return nil, fail("InvalidArgument", "The continuation token provided is incorrect")
		}
		after = last
	}
	n := el("ListBucketResult", val("Name", b.name), val("Prefix", prefix), opt("Delimiter", delimiter), val("MaxKeys", size)).in(s3xmlns)
	count, last, more := 0, "", false
	for _, k := range b.keys(prefix) {
		v, f := b.current(k), folder(k, prefix, delimiter)
		if v == nil || k <= after || (f != "" && (f == after || f == last)) {
			continue // gone, on an earlier page, or in a folder that is listed already
		}
		if more = count == size; more {
			break
		}
		count, last = count+1, cmp.Or(f, k)
		if f != "" {
			n.kids = append(n.kids, el("CommonPrefixes", val("Prefix", f)))
			continue
		}
		n.kids = append(n.kids, el("Contents", val("Key", k), val("LastModified", stamp(v.modified)), val("ETag", v.etag), val("Size", len(v.body)),
			val("StorageClass", "STANDARD")))
	}
	n.kids = append(n.kids, val("IsTruncated", more), val("KeyCount", count))
	if more {
		n.kids = append(n.kids, val("NextContinuationToken", sealToken(last, "objects"+prefix)))
	}
	return n, nil
}

// listVersions lists every version and delete marker, by key, the newest first.
func listVersions(c *call) (any, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	size, err := c.pageSize()
	if err != nil {
		return nil, err
	}
	q := c.req.URL.Query()
	fromKey, fromVersion := q.Get("key-marker"), q.Get("version-id-marker")
	if fromKey == "" && fromVersion != "" {
		return nil, fail("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
	}
	n := el("ListVersionsResult", val("Name", b.name), val("Prefix", q.Get("prefix")), val("KeyMarker", fromKey), val("VersionIdMarker", fromVersion),
		val("MaxKeys", size)).in(s3xmlns)
	var lastKey, lastVersion string
	count, more := 0, false
	for _, k := range b.keys(q.Get("prefix")) {
		if k < fromKey || (k == fromKey && fromVersion == "") {
			continue
		}
		vs := b.objects[k]
		skipping := k == fromKey
		for i := len(vs) - 1; i >= 0 && !more; i-- {
			if skipping {
				skipping = vs[i].id != fromVersion
				continue
			}
			if more = count == size; more {
				break
			}
			count, lastKey, lastVersion = count+1, k, vs[i].id
			n.kids = append(n.kids, vs[i].listed(k, i == len(vs)-1))
		}
	}
	n.kids = append(n.kids, val("IsTruncated", more))
	if more {
		n.kids = append(n.kids, val("NextKeyMarker", lastKey), val("NextVersionIdMarker", lastVersion))
	}
	return n, nil
}

func (v *version) listed(key string, latest bool) node {
	n := el("Version", val("Key", key), val("VersionId", v.id), val("IsLatest", latest), val("LastModified", stamp(v.modified)))
	if v.marker {
		n.name = "DeleteMarker"
		return n
	}
	n.kids = append(n.kids, val("ETag", v.etag), val("Size", len(v.body)), val("StorageClass", "STANDARD"))
	return n
}

// getPolicyStatus: no bucket here has a policy of its own that the API could show.
func getPolicyStatus(c *call) (any, error) {
	if _, err := c.bucket(); err != nil {
		return nil, err
	}
	return nil, fail("NoSuchBucketPolicy", "The bucket policy does not exist").status(404)
}

// getPublicAccess: since 2023 every new bucket blocks public access.
func getPublicAccess(c *call) (any, error) {
	if _, err := c.bucket(); err != nil {
		return nil, err
	}
	return el("PublicAccessBlockConfiguration", val("BlockPublicAcls", true), val("IgnorePublicAcls", true), val("BlockPublicPolicy", true),
		val("RestrictPublicBuckets", true)).in(s3xmlns), nil
}
