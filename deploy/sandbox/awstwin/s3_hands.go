// Buckets in the hands of tests and the page, past the protocol: what is in them, and what somebody could do to them who sits at the
// storage itself, where no lock and no policy is asked.

package awstwin

import (
	"bytes"
	"maps"
	"slices"
	"time"
)

// AddBucket makes a bucket; with lock it has versioning and Object Lock from its creation.
func (o *Organization) AddBucket(accountID, region, name string, lock bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.buckets[name] = &bucket{name: name, account: accountID, region: region, versioned: lock, locked: lock, created: o.cfg.Now(), objects: map[string][]*version{}}
}

// ShareBucket lets other accounts into a bucket, as a bucket policy that names them does: what their people and roles may do there is then
// for their own policies to say.
func (o *Organization) ShareBucket(name string, accounts ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buckets[name]
	b.shared = map[string]bool{}
	for _, a := range accounts {
		b.shared[a] = true
	}
}

// Buckets are the names of all buckets.
func (o *Organization) Buckets() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(maps.Keys(o.buckets))
}

// Object is one version of an object as tests and the page see it.
type Object struct {
	Bucket, Key, VersionID string
	Body                   []byte
	Size                   int
	ContentType, ETag      string
	SHA256                 string // base64, where the upload had it
	Modified               time.Time
	Mode                   string // of Object Lock
	RetainUntil            time.Time
	LegalHold              bool
	Latest, Marker         bool // a delete marker has no body
}

// Objects are all versions of all objects of a bucket, by key, the oldest first; delete markers are left out.
func (o *Organization) Objects(name string) []Object {
	return slices.DeleteFunc(o.ObjectVersions(name), func(v Object) bool { return v.Marker })
}

// ObjectVersions is Objects with the delete markers.
func (o *Organization) ObjectVersions(name string) []Object {
	all := o.ListObjects(name)
	for i := range all {
		all[i].Body = o.ObjectBody(name, all[i].Key, all[i].VersionID)
	}
	return all
}

// ObjectBody is the content of one version of an object; an empty version means what a plain GET finds. nil where there is none.
func (o *Organization) ObjectBody(name, key, versionID string) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buckets[name]
	if b == nil {
		return nil
	}
	if versionID == "" {
		if v := b.current(key); v != nil {
			return append([]byte{}, v.body...)
		}
		return nil
	}
	for _, v := range b.objects[key] {
		if v.id == versionID && !v.marker {
			return append([]byte{}, v.body...)
		}
	}
	return nil
}

// ListObjects is ObjectVersions without what is in them.
func (o *Organization) ListObjects(name string) []Object {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buckets[name]
	if b == nil {
		return nil
	}
	var all []Object
	for _, key := range b.keys("") {
		for i, v := range b.objects[key] {
			all = append(all, Object{Bucket: name, Key: key, VersionID: v.id, Size: len(v.body), ContentType: v.contentType, ETag: v.etag,
				SHA256: v.meta.Get("X-Amz-Checksum-Sha256"), Modified: v.modified, Mode: v.mode, RetainUntil: v.until, LegalHold: v.hold,
				Latest: i == len(b.objects[key])-1, Marker: v.marker})
		}
	}
	return all
}

// CurrentObjects are the objects of a bucket as a plain GET finds them, by key.
func (o *Organization) CurrentObjects(name string) map[string][]byte {
	out := map[string][]byte{}
	for _, v := range o.Objects(name) {
		if v.Latest {
			out[v.Key] = v.Body
		}
	}
	return out
}

// OverwriteObject changes the bytes of the newest version of an object where they lie, whatever lock it has: its version, its dates and its
// retention stay, its ETag and checksums are made to fit. It says whether there was one.
func (o *Organization) OverwriteObject(name, key string, body []byte) bool {
	return o.tamper(name, key, func(b *bucket, vs []*version) {
		v := vs[len(vs)-1]
		v.body, v.etag = bytes.Clone(body), etag(body)
		for header, sum := range sums(body) {
			if v.meta.Get(header) != "" {
				v.meta.Set(header, sum)
			}
		}
	})
}

// CoverObject puts a newer version in front, as everybody can who may put objects and does not ask for If-None-Match.
func (o *Organization) CoverObject(name, key string, body []byte) bool {
	return o.tamper(name, key, func(b *bucket, _ []*version) {
		b.put(o, key, &version{id: "null", body: bytes.Clone(body), etag: etag(body), modified: o.cfg.Now(), meta: map[string][]string{}})
	})
}

// HideObject puts a delete marker in front, as a plain DELETE does: no lock is in its way.
func (o *Organization) HideObject(name, key string) bool {
	return o.tamper(name, key, func(b *bucket, _ []*version) {
		b.put(o, key, &version{marker: true, modified: o.cfg.Now()})
	})
}

// EraseObject takes all versions of an object away.
func (o *Organization) EraseObject(name, key string) bool {
	return o.tamper(name, key, func(b *bucket, _ []*version) { delete(b.objects, key) })
}

// PlaceObject makes an object that was never uploaded.
func (o *Organization) PlaceObject(name, key string, body []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.place(name, key, body)
}

// place puts an object for a service of the twin's own; a bucket that is not there takes nothing. Lock held.
func (o *Organization) place(name, key string, body []byte) {
	if b := o.buckets[name]; b != nil {
		b.put(o, key, &version{id: "null", body: bytes.Clone(body), etag: etag(body), modified: o.moment(), contentType: "binary/octet-stream", meta: map[string][]string{}})
		o.changed()
	}
}

func (o *Organization) tamper(name, key string, do func(*bucket, []*version)) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buckets[name]
	if b == nil || len(b.objects[key]) == 0 {
		return false
	}
	do(b, b.objects[key])
	o.changed()
	return true
}
