// Objects and their versions. SDKs stream uploads in aws-chunked framing with a checksum in the trailer, so both are read.

package awstwin

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// payload is the body of an upload, out of the aws-chunked framing where a client streams it with a trailer.
func (c *call) payload() ([]byte, http.Header, error) {
	h := c.req.Header
	if !strings.HasPrefix(h.Get("X-Amz-Content-Sha256"), "STREAMING-") && !strings.Contains(h.Get("Content-Encoding"), "aws-chunked") {
		return c.body, nil, nil
	}
	var out bytes.Buffer
	r := bufio.NewReader(bytes.NewReader(c.body))
	bad := fail("IncompleteBody", "The request body terminated unexpectedly")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, nil, bad
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil {
			return nil, nil, bad
		}
		if n == 0 {
			break
		}
		if _, err := io.CopyN(&out, r, n); err != nil {
			return nil, nil, bad
		}
		_, _ = r.Discard(2)
	}
	trailer := http.Header{}
	for {
		line, err := r.ReadString('\n')
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			trailer.Set(k, strings.TrimSpace(v))
		}
		if err != nil {
			return out.Bytes(), trailer, nil
		}
	}
}

// checksums verifies every checksum that came with an upload and returns those to keep.
func checksums(h, trailer http.Header, body []byte) (http.Header, error) {
	kept := http.Header{}
	sum5 := md5.Sum(body)
	if v := h.Get("Content-Md5"); v != "" && v != base64.StdEncoding.EncodeToString(sum5[:]) {
		return nil, fail("BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	for name, want := range sums(body) {
		for _, from := range []http.Header{h, trailer} {
			if v := from.Get(name); v != "" {
				if v != want {
					return nil, fail("BadDigest", "The %s you specified did not match the calculated checksum.", strings.TrimPrefix(name, "X-Amz-Checksum-"))
				}
				kept.Set(name, v)
			}
		}
	}
	return kept, nil
}

// sums are the checksums that S3 knows of, by their headers.
func sums(body []byte) map[string]string {
	of := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	sum1, sum256 := sha1.Sum(body), sha256.Sum256(body)
	return map[string]string{
		"X-Amz-Checksum-Sha256":    of(sum256[:]),
		"X-Amz-Checksum-Sha1":      of(sum1[:]),
		"X-Amz-Checksum-Crc32":     of(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body))),
		"X-Amz-Checksum-Crc32c":    of(binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))),
		"X-Amz-Checksum-Crc64nvme": of(binary.BigEndian.AppendUint64(nil, crc64.Checksum(body, crc64.MakeTable(0x9a6c9329ac4bc9b5)))),
	}
}

// putObject: preconditions first, then the lock, then the bytes.
func putObject(c *call) (any, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	h, key := c.req.Header, c.vars["key"]
	if err := b.precondition(h, key); err != nil {
		return nil, err
	}
	body, trailer, err := c.payload()
	if err != nil {
		return nil, err
	}
	kept, err := checksums(h, trailer, body)
	if err != nil {
		return nil, err
	}
	v := &version{id: "null", contentType: h.Get("Content-Type"), body: bytes.Clone(body), modified: c.at, meta: kept}
	v.etag = etag(body)
	for k, vals := range h {
		if strings.HasPrefix(k, "X-Amz-Meta-") {
			v.meta[k] = vals
		}
	}
	if err := c.lock(b, v); err != nil {
		return nil, err
	}
	b.put(c.org, key, v)
	c.setHeader("Etag", v.etag)
	for k := range kept {
		if strings.HasPrefix(k, "X-Amz-Checksum-") {
			c.setHeader(k, kept.Get(k))
		}
	}
	if b.versioned {
		c.setHeader("X-Amz-Version-Id", v.id)
	}
	return raw{status: 200}, nil
}

func etag(body []byte) string {
	sum := md5.Sum(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func (b *bucket) put(o *Organization, key string, v *version) {
	if b.versioned {
		v.id = o.lower(32)
		b.objects[key] = append(b.objects[key], v)
		return
	}
	b.objects[key] = []*version{v}
}

// precondition: If-None-Match: * refuses a key that exists (a delete marker does not count as existing), If-Match another ETag.
func (b *bucket) precondition(h http.Header, key string) error {
	now := b.current(key)
	if h.Get("If-None-Match") == "*" && now != nil {
		return fail("PreconditionFailed", "At least one of the pre-conditions you specified did not hold").status(412)
	}
	if want := h.Get("If-Match"); want != "" {
		if now == nil {
			return fail("NoSuchKey", "The specified key does not exist.").status(404)
		}
		if strings.Trim(want, `"`) != strings.Trim(now.etag, `"`) {
			return fail("PreconditionFailed", "At least one of the pre-conditions you specified did not hold").status(412)
		}
	}
	return nil
}

func (c *call) version(b *bucket) (*version, error) {
	id := c.req.URL.Query().Get("versionId")
	if id == "" {
		if v := b.current(c.vars["key"]); v != nil {
			return v, nil
		}
		return nil, c.missing("NoSuchKey", "The specified key does not exist.")
	}
	for _, v := range b.objects[c.vars["key"]] {
		if v.id == id {
			return v, nil
		}
	}
	return nil, c.missing("NoSuchVersion", "The specified version does not exist.")
}

// missing says that something is not there only to who may list the bucket; to others S3 says AccessDenied.
func (c *call) missing(code, text string) error {
	if c.also("s3:ListBucket", bucketARN, nil) != nil {
		return fail("AccessDenied", "Access Denied").status(403)
	}
	return fail(code, "%s", text).status(404)
}

func getObject(c *call) (any, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	v, err := c.version(b)
	if err != nil {
		return nil, err
	}
	if v.marker {
		return nil, fail("MethodNotAllowed", "The specified method is not allowed against this resource.").status(405)
	}
	if want := c.req.Header.Get("If-Match"); want != "" && strings.Trim(want, `"`) != strings.Trim(v.etag, `"`) {
		return nil, fail("PreconditionFailed", "At least one of the pre-conditions you specified did not hold").status(412)
	}
	body, status, err := c.ranged(v.body)
	if err != nil {
		return nil, err
	}
	for k, vals := range v.meta {
		if strings.HasPrefix(k, "X-Amz-Checksum-") && (c.req.Header.Get("X-Amz-Checksum-Mode") == "" || status == http.StatusPartialContent) {
			continue
		}
		c.headers[k] = vals
	}
	c.setHeader("Etag", v.etag)
	c.setHeader("Content-Type", v.contentType)
	c.setHeader("Content-Length", strconv.Itoa(len(body)))
	c.setHeader("Accept-Ranges", "bytes")
	c.setHeader("Last-Modified", v.modified.UTC().Format(http.TimeFormat))
	if b.versioned {
		c.setHeader("X-Amz-Version-Id", v.id)
	}
	if v.mode != "" {
		c.setHeader("X-Amz-Object-Lock-Mode", v.mode)
		c.setHeader("X-Amz-Object-Lock-Retain-Until-Date", stamp(v.until))
	}
	if v.hold {
		c.setHeader("X-Amz-Object-Lock-Legal-Hold", "ON")
	}
	return raw{status: status, body: body}, nil
}

// ranged is the part of an object that Range asks for: bytes=0-99, bytes=100- or bytes=-50. What is no range of this kind gets all of it.
func (c *call) ranged(body []byte) ([]byte, int, error) {
	text, ok := strings.CutPrefix(c.req.Header.Get("Range"), "bytes=")
	from, to, two := strings.Cut(text, "-")
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	switch {
	case !ok || !two || (from == "" && err2 != nil) || (from != "" && err1 != nil) || (to != "" && err2 != nil) || (from != "" && to != "" && last < first):
		return body, http.StatusOK, nil
	case from == "":
		first, last = max(0, len(body)-last), len(body)-1
	case to == "" || last >= len(body):
		last = len(body) - 1
	}
	if first >= len(body) {
		return nil, 0, fail("InvalidRange", "The requested range is not satisfiable").status(http.StatusRequestedRangeNotSatisfiable)
	}
	c.setHeader("Content-Range", "bytes "+strconv.Itoa(first)+"-"+strconv.Itoa(last)+"/"+strconv.Itoa(len(body)))
	return body[first : last+1], http.StatusPartialContent, nil
}

// deleteObject without a version puts a delete marker; of a version it takes the version, if no lock holds it.
func deleteObject(c *call) (any, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	key := c.vars["key"]
	id := c.req.URL.Query().Get("versionId")
	if id == "" {
		if b.versioned {
			m := &version{marker: true, modified: c.at}
			b.put(c.org, key, m)
			c.setHeader("X-Amz-Delete-Marker", "true")
			c.setHeader("X-Amz-Version-Id", m.id)
		} else {
			delete(b.objects, key)
		}
		return raw{status: 204}, nil
	}
	for i, v := range b.objects[key] {
		if v.id != id {
			continue
		}
		if c.held(v, b) {
			return nil, fail("AccessDenied", "Access Denied because object protected by object lock.").status(403)
		}
		b.objects[key] = append(b.objects[key][:i:i], b.objects[key][i+1:]...)
	}
	return raw{status: 204}, nil
}
