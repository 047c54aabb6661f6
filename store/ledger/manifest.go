package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Manifest lists a folder of the archive. Its own SHA-256 is a line of the log (kind "archived"), so that nothing in the folder can be
// changed, left out or added later.
type Manifest struct {
	Format   int       `json:"format"`            // 1
	Folder   string    `json:"folder"`            // sessions/BG-1042/002-ended
	Session  string    `json:"session,omitempty"` // BG-1042; empty for a review
	Part     int       `json:"part"`              // 2
	Kind     string    `json:"kind"`              // ended
	At       time.Time `json:"at"`
	Previous string    `json:"previous"` // SHA-256 of the manifest of the part before, in hex; empty for part 1
	Files    []File    `json:"files"`    // by name; the manifest itself is not among them
}

// File is an object of a folder.
type File struct {
	Name   string `json:"name"` // within the folder
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// FileOf is the entry for some bytes.
func FileOf(name string, b []byte) File {
	return File{Name: name, Size: int64(len(b)), SHA256: Sum(b)}
}

// Sum is the SHA-256 in hex, as manifests and the log write it.
func Sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

const manifestFormat = 1

// Encode puts the files in order, and makes the manifest's bytes and their SHA-256 in hex, which is what the log's line must say.
func (m Manifest) Encode() (b []byte, sum string, err error) {
	m.Format = manifestFormat
	m.At = m.At.UTC()
	m.Files = slices.Clone(m.Files)
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	if m.Files == nil {
		m.Files = []File{}
	}
	if err := m.check(); err != nil {
		return nil, "", fmt.Errorf("manifest of %q: %w", m.Folder, err)
	}
	b, err = json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, "", fmt.Errorf("manifest of %q: %w", m.Folder, err)
	}
	b = append(b, '\n')
	return b, Sum(b), nil
}

// ReadManifest reads what Encode made; whether its SHA-256 is the log's is for the caller to ask.
func ReadManifest(b []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("read a manifest: %w", err)
	}
	if m.Format != manifestFormat {
		return m, fmt.Errorf("read a manifest: it has format %d, and only %d is known here", m.Format, manifestFormat)
	}
	if err := m.check(); err != nil {
		return m, fmt.Errorf("read a manifest: %w", err)
	}
	return m, nil
}

func (m *Manifest) check() error {
	p, ok := parseFolder(m.Folder)
	switch {
	case !ok:
		return fmt.Errorf("%q is not the name of a folder", m.Folder)
	case p.part != m.Part || p.kind != m.Kind:
		return fmt.Errorf("it is part %d, %q", m.Part, m.Kind)
	case m.Session != p.of && (p.session() || m.Session != ""):
		return fmt.Errorf("it is of %q", m.Session)
	case m.Part == 1 && m.Previous != "": // a later one may have none: where those before it were left unfinished
		return errors.New("the first part has none before it")
	}
	for i, f := range m.Files {
		switch {
		case !cleanName(f.Name) || f.Name == ManifestName:
			return fmt.Errorf("%q cannot be the name of a file", f.Name)
		case i > 0 && m.Files[i-1].Name >= f.Name:
			return fmt.Errorf("%q stands out of order", f.Name)
		}
	}
	return nil
}

// ProvedLine is a line of the log with its proof against the checkpoint that stands beside it: a line of lines.jsonl.
type ProvedLine struct {
	N     uint64 `json:"n"`    // its number, from 1
	Line  string `json:"line"` // exactly as in the log
	Proof []Hash `json:"proof"`
}

// Encode is one line with its newline.
func (l ProvedLine) Encode() ([]byte, error) {
	if l.Proof == nil {
		l.Proof = []Hash{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil {
		return nil, fmt.Errorf("encode line %d: %w", l.N, err)
	}
	return b.Bytes(), nil
}

// ProveLine is a line of lines.jsonl: line n as it stands in the log, proved against the log's first size lines.
func ProveLine(n uint64, line []byte, size uint64, r HashReader) ([]byte, error) {
	p, err := Prove(n, size, r)
	if err != nil {
		return nil, err
	}
	return ProvedLine{N: n, Line: string(line), Proof: p}.Encode()
}

// The kinds of lines that say something about the log itself, as the store writes them.
const (
	kindArchived  = "archived"  // data: folder, manifest, files
	kindKey       = "key"       // data: key
	kindIntent    = "intent"    // with data effect archive: folder, manifest, files
	kindMoved     = "archive"   // data: archive, was
	kindFault     = "fault"     // with data clock: an earlier time was taken for right
	kindWitnessed = "witnessed" // data: size, root, where
)

// entry is what is read of a line.
type entry struct {
	Seq     uint64          `json:"seq"`
	At      time.Time       `json:"at"`
	Request string          `json:"request"`
	Kind    string          `json:"kind"`
	Data    json.RawMessage `json:"data"`
}

// data is decoded for the few lines that need it.
func (e *entry) data() map[string]string {
	var m map[string]string
	if json.Unmarshal(e.Data, &m) != nil {
		return nil
	}
	return m
}
