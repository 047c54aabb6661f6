package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Report is what a verification came to.
type Report struct {
	OK        bool        `json:"ok"` // there are no findings
	Findings  []Finding   `json:"findings"`
	More      int         `json:"more,omitempty"`      // findings beyond MostFindings
	Uncovered []Finding   `json:"uncovered,omitempty"` // what nothing vouches for yet, because it is newer than the newest checkpoint
	Notes     []Finding   `json:"notes,omitempty"`     // what an auditor should know although it is as it should be
	Logs      []LogReport `json:"logs"`                // one for each epoch
	Newest    *Checkpoint `json:"newest,omitempty"`    // the newest checkpoint that holds, of the newest epoch that has one
	Keys      []string    `json:"keys"`                // the public keys whose signatures were taken: those given, and those the log names under one of them

	Lines       uint64        `json:"lines"`
	Checkpoints int           `json:"checkpoints"` // that hold, among them those beside the sessions and those that were given
	Sessions    int           `json:"sessions"`
	Manifests   int           `json:"manifests"` // that are as the log says, with every file they list
	Files       int           `json:"files"`     // that are as their manifest says
	Bytes       int64         `json:"bytes"`     // of those
	Took        time.Duration `json:"took"`      // nanoseconds
}

// LogReport is what was found of one epoch's log.
type LogReport struct {
	Origin    string      `json:"origin"`
	Epoch     int         `json:"epoch"`
	Lines     uint64      `json:"lines"`              // in the archive
	Live      uint64      `json:"live,omitempty"`     // further ones, in the store alone
	Newest    *Checkpoint `json:"newest,omitempty"`   // the newest that holds
	Uncovered uint64      `json:"uncovered"`          // lines that no checkpoint vouches for
	Broken    uint64      `json:"broken,omitempty"`   // the first line that does not hold, or the first of those among which it is; 0: all do
	Unproven  int         `json:"unproven,omitempty"` // checkpoints that could not be compared, since the log does not hold before them
}

// Finding is one thing that is not as it must be.
type Finding struct {
	Code   string   `json:"code"`             // for machines; see the constants
	Object string   `json:"object,omitempty"` // the object's name
	Others []string `json:"others,omitempty"` // others that may be it, or that tell of it
	Line   uint64   `json:"line,omitempty"`   // the first line of the log that does not hold
	Last   uint64   `json:"last,omitempty"`   // where it is only known to be one of several, the last of those
	Text   string   `json:"text"`             // in plain words

	rank, epoch int
}

func (f Finding) String() string {
	if f.Object == "" {
		return f.Text
	}
	return f.Object + ": " + f.Text
}

// The codes of findings.
const (
	CodeUnreadable   = "unreadable"         // an object cannot be read
	CodeUnknown      = "unknown-object"     // its name is none that an archive has
	CodeVersions     = "versions"           // it was written again
	CodeDeleted      = "deleted"            // it has a delete marker
	CodeListedTwice  = "listed-twice"       // the listing has it more than once
	CodeGap          = "gap"                // lines are missing between two segments, or at the beginning
	CodeOverlap      = "overlap"            // two segments have the same lines
	CodeSegment      = "segment"            // it has more or fewer lines than its name says, or does not end with a newline
	CodeLine         = "line"               // a line cannot be read, or says another number than it has
	CodeRoot         = "root"               // lines are not those that were signed
	CodeFork         = "fork"               // a signed checkpoint is of other lines than the log has
	CodeCut          = "cut"                // more lines are known than there are
	CodeUnsigned     = "unsigned"           // no checkpoint vouches for any line
	CodeUncovered    = "uncovered"          // no checkpoint vouches for the last lines
	CodeCheckpoint   = "checkpoint"         // it cannot be read, or its name does not fit
	CodeNoCheckpoint = "checkpoint-missing" // the log names it, and it is not there
	CodeSignature    = "signature"          // its signature is not of its text
	CodeKeyUnknown   = "key-unknown"        // it is signed by a key that nobody vouches for
	CodeKeyUnnamed   = "key-unnamed"        // by one that the log never named
	CodeKeyRetired   = "key-retired"        // by one that the log had replaced
	CodeOtherLog     = "other-log"          // it is of another store's log
	CodeTime         = "checkpoint-time"    // it says an earlier time than one before it
	CodeBackDated    = "back-dated"         // a line says a time before a checkpoint that it stands after
	CodePostDated    = "post-dated"         // a line says a time after a checkpoint that it stands before
	CodeFolder       = "folder-missing"     // the log names it, and it is not there
	CodeManifest     = "manifest"           // it is not the one that the log names, or cannot be read
	CodeNoManifest   = "manifest-missing"   // of a folder that the log names
	CodeNotInLog     = "not-in-log"         // a folder that no line of the log names
	CodeUnfinished   = "unfinished"         // a folder without a manifest that the log does not name
	CodePart         = "part-missing"       // a session's parts have a gap, or one number twice
	CodePrevious     = "previous"           // a manifest names another one before it
	CodeFileMissing  = "file-missing"       // a manifest lists it
	CodeFile         = "file"               // it is not what the manifest says
	CodeUnlisted     = "unlisted"           // no manifest lists it
	CodeProof        = "proof"              // a line beside a session is not what its checkpoint proves
	CodeLeftOut      = "left-out"           // a line of a session is missing beside it
	CodeLineChanged  = "line-changed"       // a line of the log is another than was proved
	CodeLiveShort    = "live-short"         // the store has fewer lines than the archive
	CodeLiveDiffers  = "live-differs"       // the store has another line than the archive
	CodeHash         = "hash"               // a stored hash is not that of the lines
	CodeLogBegins    = "log-begins"         // note: a log begins anew, since the store was restored from an older copy
	CodeElsewhere    = "elsewhere"          // note: the log says that what came before is in another archive
	CodeClock        = "clock"              // note: the log says that an earlier time was taken for right
	CodeLeft         = "left"               // note: the log says that a folder was left unfinished
	CodeKeyNamed     = "key-named"          // note: the log names a new key
)

// The bounds of a report. What is beyond is counted: a damaged archive has as many findings as objects.
const (
	MostFindings = 50
	mostOfRank   = 500 // kept before they are put in order, of each of the ranks below
	leastOfRank  = 9   // told of each, so that none hides another
	mostOfOne    = 3   // of one object, for the same reason
	mostOthers   = 8
)

// In which order findings are told: the log first, since the rest follows from it.
const (
	rankLog = iota
	rankCheckpoint
	rankLive
	rankFolder
	rankListing
	ranks
)

// findings collects, from several goroutines.
type findings struct {
	mu   sync.Mutex
	list []Finding
	of   map[string]int
	kept [ranks]int
	more int
	soft []Finding
	note []Finding
}

func (o *findings) add(f Finding) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of == nil {
		o.of = map[string]int{}
	}
	if o.kept[f.rank] == mostOfRank || o.of[f.Object] == mostOfOne {
		o.more++
		return
	}
	o.kept[f.rank]++
	o.of[f.Object]++
	o.list = append(o.list, bounded(f))
}

// later is what will be vouched for, or not, by a checkpoint to come.
func (o *findings) later(f Finding) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.soft) < mostOfRank {
		o.soft = append(o.soft, bounded(f))
	}
}

func (o *findings) tell(f Finding) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.note) < mostOfRank {
		o.note = append(o.note, bounded(f))
	}
}

func bounded(f Finding) Finding {
	if n := len(f.Others); n > mostOthers {
		f.Others = append(slices.Clone(f.Others[:mostOthers]), fmt.Sprintf("and %d more", n-mostOthers))
	}
	return f
}

// into puts everything in order.
func (o *findings) into(r *Report) {
	r.Findings, r.More = first(o.list, MostFindings)
	r.More += o.more
	r.Uncovered, _ = first(o.soft, MostFindings)
	r.Notes, _ = first(o.note, MostFindings)
	r.OK = len(r.Findings) == 0
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
}

func first(list []Finding, most int) ([]Finding, int) {
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Code, b.Code))
	})
	if len(list) <= most {
		return list, 0
	}
	var of [ranks]int
	for _, f := range list {
		of[f.rank]++
	}
	room := most
	for r := range of {
		of[r] = min(of[r], leastOfRank)
		room -= of[r]
	}
	var out []Finding
	for _, f := range list {
		switch {
		case of[f.rank] > 0:
			of[f.rank]--
		case room > 0:
			room--
		default:
			continue
		}
		out = append(out, f)
	}
	return out, len(list) - len(out)
}
