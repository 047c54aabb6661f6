// S3 by path, for an archive that nobody can rewrite. Only what such an archive needs is here; the lock is in s3_lock.go.

package awstwin

import (
	"net/http"
	"sort"
	"strings"
	"time"
)

// bucket is an S3 bucket, addressed by path.
type bucket struct {
	name, account, region string
	versioned, locked     bool
	retention             defaultRetention
	created               time.Time
	objects               map[string][]*version // the newest last
	shared                map[string]bool       // accounts that the bucket's policy lets in, beside its own
}

type defaultRetention struct {
	mode        string
	days, years int
}

type version struct {
	id, etag, contentType string
	body                  []byte
	modified              time.Time
	mode                  string // GOVERNANCE, COMPLIANCE, or none
	until                 time.Time
	hold, marker          bool
	meta                  http.Header // x-amz-meta-*, x-amz-checksum-*
}

func s3Service() *service {
	object := func(op *operation) *operation { op.data = true; return op.on(objectARN) }
	return &service{name: "s3", scope: "s3", source: "s3.amazonaws.com", prefix: "s3", proto: protoS3, route: s3Route,
		ops: map[string]*operation{
			"ListBuckets":                {run: listBuckets, read: true, action: "s3:ListAllMyBuckets"},
			"GetBucketPolicyStatus":      {run: getPolicyStatus, read: true, resources: bucketARN},
			"GetPublicAccessBlock":       {run: getPublicAccess, read: true, action: "s3:GetBucketPublicAccessBlock", resources: bucketARN},
			"CreateBucket":               {run: createBucket, resources: bucketARN},
			"HeadBucket":                 {run: headBucket, read: true, action: "s3:ListBucket", resources: bucketARN},
			"GetBucketLocation":          {run: bucketLocation, read: true, resources: bucketARN},
			"GetBucketVersioning":        {run: getVersioning, read: true, resources: bucketARN},
			"PutBucketVersioning":        {run: putVersioning, resources: bucketARN},
			"GetObjectLockConfiguration": {run: getLockConfig, read: true, action: "s3:GetBucketObjectLockConfiguration", resources: bucketARN},
			"PutObjectLockConfiguration": {run: putLockConfig, action: "s3:PutBucketObjectLockConfiguration", resources: bucketARN},
			"ListObjectsV2":              {run: listObjects, read: true, data: true, action: "s3:ListBucket", resources: bucketARN},
			"ListObjectVersions":         {run: listVersions, read: true, data: true, action: "s3:ListBucketVersions", resources: bucketARN},
			"PutObject":                  object(&operation{run: putObject}),
			"GetObject":                  object(&operation{run: getObject, read: true, actionOf: versioned("s3:GetObject")}),
			"HeadObject":                 object(&operation{run: getObject, read: true, actionOf: versioned("s3:GetObject")}),
			"DeleteObject":               object(&operation{run: deleteObject, actionOf: versioned("s3:DeleteObject")}),
			"GetObjectRetention":         object(&operation{run: getRetention, read: true}),
			"PutObjectRetention":         object(&operation{run: putRetention}),
			"GetObjectLegalHold":         object(&operation{run: getHold, read: true}),
			"PutObjectLegalHold":         object(&operation{run: putHold}),
		}}
}

func bucketARN(c *call) []string { return []string{"arn:aws:s3:::" + c.vars["bucket"]} }
func objectARN(c *call) []string {
	return []string{"arn:aws:s3:::" + c.vars["bucket"] + "/" + c.vars["key"]}
}

// versioned: what is done to one version is another action than what is done to the object.
func versioned(action string) func(*call) string {
	return func(c *call) string {
		if c.req != nil && c.req.URL.Query().Get("versionId") != "" {
			return action + "Version"
		}
		return action
	}
}

// s3Route tells the operation from verb, path and the sub-resource in the query.
func s3Route(c *call) string {
	name, key, _ := strings.Cut(strings.TrimPrefix(c.req.URL.Path, "/"), "/")
	q := c.req.URL.Query()
	has := func(k string) bool { _, ok := q[k]; return ok }
	if name == "" {
		return "ListBuckets"
	}
	c.vars["bucket"] = name
	verb := map[string]string{"GET": "Get", "PUT": "Put", "DELETE": "Delete", "HEAD": "Head"}[c.req.Method]
	if key == "" {
		return bucketRoute(verb, has)
	}
	c.vars["key"] = key
	for k, op := range map[string]string{"retention": "ObjectRetention", "legal-hold": "ObjectLegalHold"} {
		if has(k) {
			return verb + op
		}
	}
	return verb + "Object"
}

func bucketRoute(verb string, has func(string) bool) string {
	switch {
	case has("policyStatus"):
		return verb + "BucketPolicyStatus"
	case has("publicAccessBlock"):
		return verb + "PublicAccessBlock"
	case has("versioning"):
		return verb + "BucketVersioning"
	case has("object-lock"):
		return verb + "ObjectLockConfiguration"
	case has("location"):
		return "GetBucketLocation"
	case has("versions"):
		return "ListObjectVersions"
	case verb == "Get":
		return "ListObjectsV2"
	case verb == "Put":
		return "CreateBucket"
	case verb == "Head":
		return "HeadBucket"
	}
	return verb + "Bucket"
}

// bucket finds the bucket of a call. Those of other accounts are closed unless ShareBucket has opened them; one of another Region says where it
// is; and who expects another owner is refused.
func (c *call) bucket() (*bucket, error) {
	b := c.org.buckets[c.vars["bucket"]]
	if b == nil {
		return nil, fail("NoSuchBucket", "The specified bucket does not exist").status(404)
	}
	if b.region != c.region {
		c.setHeader("X-Amz-Bucket-Region", b.region)
		return nil, fail("PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.").status(301)
	}
	expected := c.req.Header.Get("X-Amz-Expected-Bucket-Owner")
	if (b.account != c.who.account && !b.shared[c.who.account]) || (expected != "" && expected != b.account) {
		return nil, fail("AccessDenied", "Access Denied").status(403)
	}
	return b, nil
}

func (b *bucket) keys(prefix string) []string {
	var keys []string
	for k := range b.objects {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}

// current is the newest version of a key; nil where there is none or a delete marker stands in front.
func (b *bucket) current(key string) *version {
	vs := b.objects[key]
	if len(vs) == 0 || vs[len(vs)-1].marker {
		return nil
	}
	return vs[len(vs)-1]
}

const s3xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"

func listBuckets(c *call) (any, error) {
	var all []*bucket
	for _, b := range c.org.buckets {
		if b.account == c.who.account {
			all = append(all, b)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	each := func(b *bucket) []node { return []node{val("Name", b.name), val("CreationDate", stamp(b.created))} }
	return el("ListAllMyBucketsResult", el("Owner", val("ID", digest(c.who.account))), list("Buckets", "Bucket", all, each)).in(s3xmlns), nil
}

func createBucket(c *call) (any, error) {
	name := c.vars["bucket"]
	if b := c.org.buckets[name]; b != nil {
		if b.account == c.who.account {
			return nil, fail("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.").status(409)
		}
		return nil, fail("BucketAlreadyExists", "The requested bucket name is not available.").status(409)
	}
	lock := c.req.Header.Get("X-Amz-Bucket-Object-Lock-Enabled") == "true"
	c.org.buckets[name] = &bucket{name: name, account: c.who.account, region: c.region, versioned: lock, locked: lock, created: c.at, objects: map[string][]*version{}}
	c.setHeader("Location", "/"+name)
	return raw{status: 200}, nil
}

func (c *call) setHeader(k, v string) {
	if c.headers != nil {
		c.headers.Set(k, v)
	}
}

func headBucket(c *call) (any, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	c.setHeader("X-Amz-Bucket-Region", b.region)
	return raw{status: 200}, nil
}

func bucketLocation(c *call) (any, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	where := b.region
	if where == "us-east-1" {
		where = ""
	}
	return node{name: "LocationConstraint", ns: s3xmlns, text: where}, nil
}

func getVersioning(c *call) (any, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	n := el("VersioningConfiguration").in(s3xmlns)
	if b.versioned {
		n.kids = append(n.kids, val("Status", "Enabled"))
	}
	return n, nil
}

// putVersioning: a bucket with Object Lock cannot lose its versioning.
func putVersioning(c *call) (any, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	on := strings.Contains(string(c.body), "<Status>Enabled</Status>")
	if b.locked && !on {
		return nil, fail("InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.").status(409)
	}
	b.versioned = on
	return raw{status: 200}, nil
}
