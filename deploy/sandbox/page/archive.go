package page

import (
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
)

// foreign is the policy of documents that somebody else wrote: mails and reports. They run nothing, fetch nothing, and are alone; what they show
// travels with them. They come as documents of their own, since a part of the page would be held to the page's policy, which has no styles in lines.
const foreign = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// mostListed is how many objects of a folder are listed.
const mostListed = 100

// archive is the bucket of evidence.
type archive struct {
	Bucket, Count string
	Folders       []folder
}

type folder struct {
	Name, Count string
	Objects     []object
	More        int
	n           int
}

type object struct {
	Name, URL, At, Until string
	Size                 int
	Odd                  string // what should not be: another version, a delete marker
}

// archive lists the bucket by its folders, down to the parts of a session.
func (s *site) archive(w writer) *archive {
	out := &archive{Bucket: sandbox.ArchiveBucket}
	byKey := map[string][]awstwin.Object{}
	var keys []string
	for _, v := range s.world.AWS.ListObjects(out.Bucket) {
		if byKey[v.Key] == nil {
			keys = append(keys, v.Key)
		}
		byKey[v.Key] = append(byKey[v.Key], v)
	}
	out.Count = plural(len(keys), "object")
	for _, k := range keys {
		parts := strings.SplitN(k, "/", 4)
		depth := max(0, min(len(parts)-1, 3))
		name := strings.Join(parts[:depth], "/") + "/"
		i := slices.IndexFunc(out.Folders, func(f folder) bool { return f.Name == name })
		if i < 0 {
			out.Folders = append(out.Folders, folder{Name: name})
			i = len(out.Folders) - 1
		}
		f := &out.Folders[i]
		if f.n++; f.n > mostListed {
			f.More++
		} else {
			f.Objects = append(f.Objects, s.archived(w, strings.TrimPrefix(k, name), byKey[k]))
		}
		f.Count = plural(f.n, "object")
	}
	return out
}

func (s *site) archived(w writer, name string, versions []awstwin.Object) object {
	v := versions[len(versions)-1]
	one := object{Name: name, URL: "/archive/" + (&url.URL{Path: v.Key}).EscapedPath(), Size: v.Size, At: w.when(v.Modified, "{date_short_pretty} at {time}")}
	if v.Mode != "" {
		one.Until = w.when(v.RetainUntil, "{date_short_pretty}")
	}
	switch {
	case v.Marker:
		one.Odd = "a delete marker is in front"
	case len(versions) > 1:
		one.Odd = plural(len(versions), "version")
	}
	return one
}

// object shows an object of the archive: text as text, HTML and pictures as themselves, alone and without scripts.
func (s *site) object(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	body := s.world.AWS.ObjectBody(sandbox.ArchiveBucket, key, "")
	if body == nil {
		http.NotFound(w, r)
		return
	}
	kind := map[string]string{".html": "text/html; charset=utf-8", ".png": "image/png"}[path.Ext(key)]
	w.Header().Set("Content-Security-Policy", foreign)
	w.Header().Set("Content-Type", first(kind, "text/plain; charset=utf-8"))
	_, _ = w.Write(body)
}

func letterURL(n int) string     { return "/mail/" + strconv.Itoa(n) + "/html" }
func mailURL(n, file int) string { return "/mail/" + strconv.Itoa(n) + "/" + strconv.Itoa(file) }

func (s *site) mailOf(r *http.Request) (awstwin.Mail, bool) {
	n, err := strconv.Atoi(r.PathValue("mail"))
	all := s.world.AWS.Mails()
	if err != nil || n < 0 || n >= len(all) {
		return awstwin.Mail{}, false
	}
	return all[n], true
}

// byCID is a reference to a part of the mail.
var byCID = regexp.MustCompile(`(?i)cid:[^"'\s)>]+`)

// letter shows a mail as HTML. Pictures that came with it are put in; nothing else is to be had.
func (s *site) letter(w http.ResponseWriter, r *http.Request) {
	m, ok := s.mailOf(r)
	if !ok || m.HTML == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", foreign)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(byCID.ReplaceAllStringFunc(m.HTML, func(ref string) string {
		id, err := url.PathUnescape(ref[len("cid:"):])
		if err != nil {
			id = ref[len("cid:"):]
		}
		for _, a := range m.Attachments {
			if a.ContentID == id && slices.Contains([]string{"image/png", "image/jpeg", "image/gif"}, a.ContentType) {
				return "data:" + a.ContentType + ";base64," + base64.StdEncoding.EncodeToString(a.Content)
			}
		}
		return ref
	})))
}

// file hands out what was attached to a mail. It is never shown in the page: a report may be HTML that somebody else wrote.
func (s *site) file(w http.ResponseWriter, r *http.Request) {
	m, ok := s.mailOf(r)
	i, err := strconv.Atoi(r.PathValue("file"))
	if !ok || err != nil || i < 0 || i >= len(m.Attachments) {
		http.NotFound(w, r)
		return
	}
	a := m.Attachments[i]
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(a.Name)}))
	_, _ = w.Write(a.Content)
}
