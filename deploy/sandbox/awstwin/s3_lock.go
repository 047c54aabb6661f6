// Object Lock (S3 user guide, "Locking objects"). It protects versions, not keys: a plain DELETE still puts a marker in
// front, and an overwrite adds a version. COMPLIANCE yields to nobody before its date; GOVERNANCE to whoever may bypass it.

package awstwin

import (
	"encoding/xml"
	"strings"
	"time"
)

// lock gives a new version its retention and hold: from the headers, else from the bucket's default.
func (c *call) lock(b *bucket, v *version) error {
	h := c.req.Header
	mode, until, hold := h.Get("X-Amz-Object-Lock-Mode"), h.Get("X-Amz-Object-Lock-Retain-Until-Date"), h.Get("X-Amz-Object-Lock-Legal-Hold")
	if mode == "" && until == "" && hold == "" {
		return c.defaultLock(b, v)
	}
	if !b.locked {
		return fail("InvalidRequest", "Bucket is missing Object Lock Configuration")
	}
	if !c.hasChecksum() {
		return fail("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
	}
	v.hold = hold == "ON"
	if hold != "" {
		if err := c.alsoAllowed("s3:PutObjectLegalHold"); err != nil {
			return err
		}
	}
	if mode == "" && until == "" {
		return nil
	}
	if err := c.alsoAllowed("s3:PutObjectRetention"); err != nil {
		return err
	}
	t, err := c.retention(mode, until)
	v.mode, v.until = mode, t
	return err
}

func (c *call) retention(mode, until string) (time.Time, error) {
	if mode == "" || until == "" {
		return time.Time{}, fail("InvalidArgument", "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
	}
	if mode != "COMPLIANCE" && mode != "GOVERNANCE" {
		return time.Time{}, fail("InvalidArgument", "Unknown wormMode directive.")
	}
	t, err := time.Parse(time.RFC3339, until)
	if err != nil {
		return time.Time{}, fail("InvalidArgument", "The retain until date must be provided in ISO 8601 format")
	}
	if !t.After(c.at) {
		return time.Time{}, fail("InvalidArgument", "The retain until date must be in the future!")
	}
	return t, nil
}

func (c *call) defaultLock(b *bucket, v *version) error {
	r := b.retention
	if r.mode == "" {
		return nil
	}
	if !c.hasChecksum() {
		return fail("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
	}
	v.mode, v.until = r.mode, c.at.AddDate(r.years, 0, r.days)
	return nil
}

// hasChecksum: an upload with a retention needs Content-MD5 or a checksum header (PutObject, API reference).
func (c *call) hasChecksum() bool {
	h := c.req.Header
	if h.Get("Content-Md5") != "" || h.Get("X-Amz-Sdk-Checksum-Algorithm") != "" || strings.HasPrefix(strings.ToLower(h.Get("X-Amz-Trailer")), "x-amz-checksum-") {
		return true
	}
	for k := range h {
		if strings.HasPrefix(k, "X-Amz-Checksum-") {
			return true
		}
	}
	return false
}

// alsoAllowed asks for a further action that a call needs on its object.
func (c *call) alsoAllowed(action string) error { return c.also(action, objectARN, nil) }

// held says whether a lock keeps a version from being deleted or its lock from being loosened.
func (c *call) held(v *version, b *bucket) bool {
	if v.hold {
		return true
	}
	if v.mode == "" || !v.until.After(c.at) {
		return false
	}
	if v.mode == "GOVERNANCE" && c.req.Header.Get("X-Amz-Bypass-Governance-Retention") == "true" {
		return c.alsoAllowed("s3:BypassGovernanceRetention") != nil
	}
	return true
}

type lockRule struct {
	XMLName xml.Name `xml:"ObjectLockConfiguration"`
	Enabled string   `xml:"ObjectLockEnabled"`
	Mode    string   `xml:"Rule>DefaultRetention>Mode"`
	Days    int      `xml:"Rule>DefaultRetention>Days"`
	Years   int      `xml:"Rule>DefaultRetention>Years"`
}

func getLockConfig(c *call) (any, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	if !b.locked {
		return nil, fail("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket").status(404)
	}
	n := el("ObjectLockConfiguration", val("ObjectLockEnabled", "Enabled")).in(s3xmlns)
	if r := b.retention; r.mode != "" {
		d := el("DefaultRetention", val("Mode", r.mode))
		if r.days > 0 {
			d.kids = append(d.kids, val("Days", r.days))
		} else {
			d.kids = append(d.kids, val("Years", r.years))
		}
		n.kids = append(n.kids, el("Rule", d))
	}
	return n, nil
}

func putLockConfig(c *call) (any, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	var r lockRule
	if xml.Unmarshal(c.body, &r) != nil {
		return nil, fail("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	if !b.versioned {
		return nil, fail("InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration").status(409)
	}
	b.locked, b.retention = true, defaultRetention{r.Mode, r.Days, r.Years}
	return raw{status: 200}, nil
}

func (c *call) lockedVersion() (*bucket, *version, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, nil, err
	}
	if !b.locked {
		return nil, nil, fail("InvalidRequest", "Bucket is missing Object Lock Configuration")
	}
	v, err := c.version(b)
	return b, v, err
}

func getRetention(c *call) (any, error) {
	_, v, err := c.lockedVersion()
	if err != nil {
		return nil, err
	}
	if v.mode == "" {
		return nil, fail("NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration").status(404)
	}
	return el("Retention", val("Mode", v.mode), val("RetainUntilDate", stamp(v.until))).in(s3xmlns), nil
}

// putRetention lengthens any lock; COMPLIANCE is never shortened or loosened, GOVERNANCE only with the bypass.
func putRetention(c *call) (any, error) {
	b, v, err := c.lockedVersion()
	if err != nil {
		return nil, err
	}
	var in struct {
		Mode            string
		RetainUntilDate string
	}
	if xml.Unmarshal(c.body, &in) != nil {
		return nil, fail("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	until, err := c.retention(in.Mode, in.RetainUntilDate)
	if err != nil {
		return nil, err
	}
	looser := until.Before(v.until) || (v.mode == "COMPLIANCE" && in.Mode != "COMPLIANCE")
	held := v.hold
	v.hold = false
	blocked := looser && c.held(v, b)
	v.hold = held
	if blocked {
		return nil, fail("AccessDenied", "Access Denied because object protected by object lock.").status(403)
	}
	v.mode, v.until = in.Mode, until
	return raw{status: 200}, nil
}

func getHold(c *call) (any, error) {
	_, v, err := c.lockedVersion()
	if err != nil {
		return nil, err
	}
	state := "OFF"
	if v.hold {
		state = "ON"
	}
	return el("LegalHold", val("Status", state)).in(s3xmlns), nil
}

func putHold(c *call) (any, error) {
	_, v, err := c.lockedVersion()
	if err != nil {
		return nil, err
	}
	v.hold = strings.Contains(string(c.body), "<Status>ON</Status>")
	return raw{status: 200}, nil
}
