package ledger

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is what a log was at a time.
type Checkpoint struct {
	Origin string    `json:"origin"` // which log: see Origin
	Size   uint64    `json:"size"`   // how many lines
	Root   Hash      `json:"root"`
	At     time.Time `json:"at"` // in whole seconds: what is less is cut off
}

// What can be wrong with a checkpoint.
var (
	ErrMalformed = errors.New("this is not a checkpoint")         // or not in its one form
	ErrUnknown   = errors.New("it is not signed by a known key")  // whole, but by somebody else, or by nobody
	ErrSignature = errors.New("the signature is not of its text") // by a known key's name
)

// The bounds of a checkpoint, so that reading one costs nothing.
const (
	mostNote = 16 << 10
	atFormat = "2006-01-02T15:04:05Z"
)

// Origin names the log of a store. After the store was restored from an older copy its log goes on differently, and the epoch is one more.
func Origin(store string, epoch int) string {
	if epoch < 2 {
		return "breakglass/" + store
	}
	return "breakglass/" + store + "/" + strconv.Itoa(epoch)
}

// ParseOrigin is Origin backwards.
func ParseOrigin(origin string) (store string, epoch int, err error) {
	rest, ok := strings.CutPrefix(origin, "breakglass/")
	store, number, more := strings.Cut(rest, "/")
	epoch = 1
	if more {
		epoch, err = strconv.Atoi(number)
	}
	if !ok || err != nil || !plain(store) || Origin(store, epoch) != origin {
		return "", 0, fmt.Errorf("%w: the origin %q is not of a log of ours", ErrMalformed, origin)
	}
	return store, epoch, nil
}

// plain is what a store's identity may consist of.
func plain(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == ""
}

// Text is what is signed.
func (c Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\nat %s\n", c.Origin, c.Size, c.Root, c.At.UTC().Format(atFormat))
}

// Sign makes the note of a checkpoint, signed by each.
func Sign(c Checkpoint, by ...note.Signer) ([]byte, error) {
	if len(by) == 0 {
		return nil, errors.New("sign a checkpoint: there is no key")
	}
	text := c.Text()
	if _, err := parseText(text); err != nil {
		return nil, fmt.Errorf("sign a checkpoint: %w", err)
	}
	b, err := note.Sign(&note.Note{Text: text}, by...)
	if err != nil {
		return nil, fmt.Errorf("sign a checkpoint: %w", err)
	}
	return b, nil
}

// Open reads a note all of whose signatures must be by known keys, and which must be byte for byte what Sign makes. Errors are ErrMalformed,
// ErrUnknown and ErrSignature.
func Open(msg []byte, known ...note.Verifier) (Checkpoint, error) {
	c, sigs, err := parseNote(msg)
	if err != nil {
		return Checkpoint{}, err
	}
	for _, s := range sigs {
		v := s.of(known)
		if v == nil {
			return c, fmt.Errorf("%w: it is by %s+%08x", ErrUnknown, s.name, s.hash)
		}
		if !v.Verify([]byte(c.Text()), s.sig) {
			return c, fmt.Errorf("%w: the key is %s+%08x", ErrSignature, s.name, s.hash)
		}
	}
	return c, nil
}

// Read reads a note without asking who signed it: to say what it claims to be. The error is ErrMalformed.
func Read(msg []byte) (Checkpoint, error) {
	c, _, err := parseNote(msg)
	return c, err
}

// Tidy gives a note that went through a message or a mail its form back: other line ends, blanks around it, a fence of backticks.
func Tidy(msg []byte) []byte {
	var out []string
	for line := range strings.Lines(string(msg)) {
		line = strings.Trim(line, " \t\r\n\u00a0\u200b\ufeff")
		if strings.Trim(line, "`") == "" && line != "" {
			continue
		}
		out = append(out, strings.Trim(line, "`"))
	}
	return []byte(strings.Trim(strings.Join(out, "\n"), "\n") + "\n")
}

// signature is one of a note's, as it stands there.
type signature struct {
	name string
	hash uint32
	sig  []byte
}

func (s signature) of(known []note.Verifier) note.Verifier {
	for _, v := range known {
		if v.Name() == s.name && v.KeyHash() == s.hash {
			return v
		}
	}
	return nil
}

// parseNote takes a note apart, and refuses one that would not come out the same if it were put together again: whoever compares two copies
// of a checkpoint may compare their bytes. The note package itself is more lenient: it passes over signatures it does not know or has seen, and
// over stray bits in base64.
func parseNote(msg []byte) (Checkpoint, []signature, error) {
	if len(msg) > mostNote {
		return Checkpoint{}, nil, fmt.Errorf("%w: it is too long", ErrMalformed)
	}
	text, rest, ok := bytes.Cut(msg, []byte("\n\n"))
	if !ok {
		return Checkpoint{}, nil, fmt.Errorf("%w: it has no signature", ErrMalformed)
	}
	c, err := parseText(string(text) + "\n")
	if err != nil {
		return Checkpoint{}, nil, err
	}
	var sigs []signature
	again := c.Text() + "\n"
	for line := range strings.Lines(string(rest)) {
		s, err := parseSignature(line)
		if err != nil {
			return Checkpoint{}, nil, err
		}
		for _, o := range sigs {
			if o.name == s.name && o.hash == s.hash {
				return Checkpoint{}, nil, fmt.Errorf("%w: %s signed it twice", ErrMalformed, s.name)
			}
		}
		sigs = append(sigs, s)
		again += "— " + s.name + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, s.hash), s.sig...)) + "\n"
	}
	if len(sigs) == 0 || again != string(msg) {
		return Checkpoint{}, nil, fmt.Errorf("%w: it is not in the form in which they are written", ErrMalformed)
	}
	return c, sigs, nil
}

func parseSignature(line string) (signature, error) {
	bad := fmt.Errorf("%w: its signature cannot be read", ErrMalformed)
	line, ok := strings.CutPrefix(line, "— ")
	name, b64, ok2 := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	b, err := base64.StdEncoding.Strict().DecodeString(b64)
	if !ok || !ok2 || err != nil || len(b) < 5 || !validName(name) {
		return signature{}, bad
	}
	return signature{name: name, hash: binary.BigEndian.Uint32(b), sig: b[4:]}, nil
}

// parseText reads what is signed. That it is what Text makes of it is for the caller to see.
func parseText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 {
		return Checkpoint{}, fmt.Errorf("%w: its text has %d lines instead of 4", ErrMalformed, len(lines)-1)
	}
	size, err := strconv.ParseUint(lines[1], 10, 62)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: its size cannot be read", ErrMalformed)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: its root cannot be read", ErrMalformed)
	}
	at, err := time.Parse("at "+atFormat, lines[3])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: its time cannot be read", ErrMalformed)
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root, At: at}
	if _, _, err := ParseOrigin(c.Origin); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}
