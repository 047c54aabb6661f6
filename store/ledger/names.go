package ledger

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The names of the objects of an archive. Each is written once and never again.

// SegmentName is the object with the lines first to last of an epoch's log, each followed by a newline.
func SegmentName(epoch int, first, last uint64) string {
	return fmt.Sprintf("%s/%012d-%012d.jsonl", ofEpoch("log", epoch), first, last)
}

// CheckpointName is the object with a checkpoint as signed; the epoch is that of its origin.
func CheckpointName(c Checkpoint) string {
	_, epoch, _ := ParseOrigin(c.Origin)
	return fmt.Sprintf("%s/%012d-%s.note", ofEpoch("checkpoints", epoch), c.Size, hex.EncodeToString(c.Root[:4]))
}

// CheckpointPrefix is how the names of an epoch's checkpoints begin; in their order the newest is the last.
func CheckpointPrefix(epoch int) string { return ofEpoch("checkpoints", epoch) + "/" }

// SegmentPrefix is how the names of an epoch's segments begin; in their order the newest is the last.
func SegmentPrefix(epoch int) string { return ofEpoch("log", epoch) + "/" }

// SegmentFrom is how the name of a segment begins whose first line is that one.
func SegmentFrom(epoch int, first uint64) string {
	return fmt.Sprintf("%s%012d-", SegmentPrefix(epoch), first)
}

// SegmentLast is the last line of a segment by its name; 0 where it is not the name of one.
func SegmentLast(name string) uint64 {
	s, ok := parseSegment(name)
	if !ok {
		return 0
	}
	return s.last
}

// SessionFolder is where a part of a session's archive stands; parts are numbered from 1.
func SessionFolder(session string, part int, kind string) string {
	return fmt.Sprintf("sessions/%s/%03d-%s", session, part, kind)
}

// ReviewFolder is where a part of a month's review stands; month is as 2026-10.
func ReviewFolder(month string, part int, kind string) string {
	return fmt.Sprintf("reviews/%s/%03d-%s", month, part, kind)
}

// The objects of a folder that have a meaning here.
const (
	ManifestName = "manifest.json"
	LinesName    = "lines.jsonl"
	NoteName     = "checkpoint.note"
)

func ofEpoch(what string, epoch int) string {
	if epoch < 2 {
		return what
	}
	return what + "-" + strconv.Itoa(epoch)
}

var (
	segmentForm    = regexp.MustCompile(`^log(?:-(\d{1,9}))?/(\d{12,18})-(\d{12,18})\.jsonl$`)
	checkpointForm = regexp.MustCompile(`^checkpoints(?:-(\d{1,9}))?/(\d{12,18})-([0-9a-f]{8})\.note$`)
	folderForm     = regexp.MustCompile(`^(sessions|reviews)/([A-Za-z0-9][A-Za-z0-9._-]*)/(\d{3,9})-([a-z0-9][a-z0-9-]*)$`)
)

// segment is an object of the log.
type segment struct {
	object      string
	epoch       int
	first, last uint64
}

func parseSegment(name string) (s segment, ok bool) {
	m := segmentForm.FindStringSubmatch(name)
	if m == nil {
		return s, false
	}
	s.object, s.epoch = name, 1
	if m[1] != "" {
		s.epoch, _ = strconv.Atoi(m[1])
	}
	s.first, _ = strconv.ParseUint(m[2], 10, 64)
	s.last, _ = strconv.ParseUint(m[3], 10, 64)
	return s, s.first > 0 && s.first <= s.last && SegmentName(s.epoch, s.first, s.last) == name
}

// isCheckpoint says whether an object has the name of one; that the name fits its contents is asked when they are read.
func isCheckpoint(name string) bool { return checkpointForm.MatchString(name) }

// place is a folder's name taken apart.
type place struct {
	folder string // sessions/BG-1042/002-ended
	group  string // sessions/BG-1042
	of     string // BG-1042
	part   int
	kind   string
}

func (p place) session() bool { return strings.HasPrefix(p.folder, "sessions/") }

func parseFolder(name string) (p place, ok bool) {
	m := folderForm.FindStringSubmatch(name)
	if m == nil {
		return p, false
	}
	p = place{folder: name, group: m[1] + "/" + m[2], of: m[2], kind: m[4]}
	p.part, _ = strconv.Atoi(m[3])
	return p, p.part > 0 && fmt.Sprintf("%s/%03d-%s", p.group, p.part, p.kind) == name
}

// parseFile takes the name of an object in a folder apart.
func parseFile(name string) (p place, file string, ok bool) {
	parts := strings.SplitN(name, "/", 4)
	if len(parts) != 4 || !cleanName(parts[3]) {
		return p, "", false
	}
	p, ok = parseFolder(strings.Join(parts[:3], "/"))
	return p, parts[3], ok
}

// cleanName is a relative name without anything that would be read as another.
func cleanName(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return !strings.ContainsAny(name, "\\\x00") && len(name) <= 512
}
