package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// folder is a part of a session's or a review's archive.
type folder struct {
	place
	objects map[string]int64 // the names in it, with their sizes
	claim   *claim           // the checkpoint beside it, where it could be read
	named   []archivedLine   // the lines of the log that name it
	sum     string           // of its manifest, as the log has it; else as it is
}

// checkFolders goes through every folder, session by session, several at once.
func (v *verifier) checkFolders(ctx context.Context) error {
	for _, e := range v.inOrder() {
		for _, a := range e.archived {
			if f := v.folders[a.folder]; f != nil {
				f.named = append(f.named, a)
				f.sum = a.manifest
			}
		}
	}
	groups := map[string][]*folder{}
	for _, f := range v.folders {
		groups[f.group] = append(groups[f.group], f)
	}
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, group := range groups {
		slices.SortFunc(group, func(a, b *folder) int { return strings.Compare(a.folder, b.folder) })
		g.Go(func() error {
			for i, f := range group {
				if err := v.checkPart(ctx, group, i); err != nil {
					return err
				}
				v.counted(f)
			}
			return nil
		})
	}
	return g.Wait()
}

func (v *verifier) counted(f *folder) {
	v.mu.Lock()
	if f.session() && f.part == 1 {
		v.stats.sessions++
	}
	v.stats.folders++
	n := v.stats.folders
	v.mu.Unlock()
	v.progress("folders", n, len(v.folders))
}

func (v *verifier) folderFinding(code, object, text string, line uint64) {
	v.out.add(Finding{Code: code, Object: object, Line: line, rank: rankFolder, Text: text})
}

// checkPart checks that the parts are numbered without a gap, and then the part itself. A part that follows a missing one is checked all the same.
func (v *verifier) checkPart(ctx context.Context, group []*folder, i int) error {
	f, before := group[i], 0
	var previous *folder
	if i > 0 {
		previous = group[i-1]
		before = previous.part
	}
	switch {
	case f.part == before:
		v.folderFinding(CodePart, f.folder, fmt.Sprintf("there are two parts with number %d: the other is %s", f.part, previous.folder), 0)
	case f.part != before+1:
		if !v.allElsewhere(f, before) {
			v.folderFinding(CodePart, fmt.Sprintf("%s/%03d-", f.group, before+1), fmt.Sprintf("part %d is missing: the next that is there is %s", before+1, f.folder), 0)
		}
		previous = nil
	}
	return v.checkFolder(ctx, f, previous)
}

// checkFolder checks the manifest, then every file that it lists, then that nothing else is there.
func (v *verifier) checkFolder(ctx context.Context, f, previous *folder) error {
	name := f.folder + "/" + ManifestName
	if _, ok := f.objects[ManifestName]; !ok {
		v.noManifest(f, name)
		return nil
	}
	b, err := v.fetch(ctx, name, mostManifest)
	if err != nil {
		v.unreadable(name, rankFolder, err)
		return ctx.Err()
	}
	sum, good := Sum(b), true
	for _, a := range f.named {
		if a.manifest != sum {
			v.folderFinding(CodeManifest, name, fmt.Sprintf("it is not the one that line %d of the log names: it was changed, or written again", a.line), a.line)
			good = false
			break
		}
	}
	m, err := ReadManifest(b)
	if err != nil || m.Folder != f.folder {
		if good {
			text := fmt.Sprintf("it cannot be read as a manifest: %v", err)
			if err == nil {
				text = fmt.Sprintf("it is the manifest of %s: it was copied here", m.Folder)
			}
			v.folderFinding(CodeManifest, name, text, 0)
		}
		return nil
	}
	if len(f.named) == 0 {
		good, f.sum = false, sum
		v.unnamed(f, name)
	}
	for _, a := range f.named {
		if good && a.files != "" && a.files != strconv.Itoa(len(m.Files)) {
			v.folderFinding(CodeManifest, name, fmt.Sprintf("it lists %d files, and line %d of the log says %s", len(m.Files), a.line, a.files), a.line)
			good = false
		}
	}
	if previous != nil && previous.sum != "" && m.Previous != previous.sum {
		v.folderFinding(CodePrevious, name, "the manifest that it names as the one before is not that of "+previous.folder, 0)
		good = false
	}
	whole, err := v.checkFiles(ctx, f, m)
	if good && whole && err == nil {
		v.mu.Lock()
		v.stats.manifests++
		v.mu.Unlock()
	}
	return err
}

func (v *verifier) noManifest(f *folder, name string) {
	switch {
	case len(f.named) > 0 && f.named[0].live:
		v.out.later(Finding{Code: CodeUnfinished, Object: f.folder, Line: f.named[0].line, rank: rankFolder, Text: "it was completed while the archive was read: its manifest is the last of it"})
	case len(f.named) > 0:
		v.folderFinding(CodeNoManifest, name, fmt.Sprintf("line %d of the log names it, and it is not there", f.named[0].line), f.named[0].line)
	case v.leftAt(f) > 0:
		v.tellLeft(f)
	case v.isComing(f) != nil:
		n := v.isComing(f).line
		v.out.later(Finding{Code: CodeUnfinished, Object: f.folder, Line: n, rank: rankFolder, Text: fmt.Sprintf("it is on its way there, as line %d of the log says: its manifest comes last", n)})
	default:
		v.folderFinding(CodeUnfinished, f.folder, "it has no manifest and no line of the log names it: it was added, or the log was cut", 0)
	}
}

// leftAt is the line that says that a folder was left unfinished: its drawing was lost, and the part stands under a later number. 0: none does.
func (v *verifier) leftAt(f *folder) uint64 {
	for _, e := range v.epochs {
		if n := e.left[f.folder]; n > 0 {
			return n
		}
	}
	return 0
}

func (v *verifier) tellLeft(f *folder) {
	n := v.leftAt(f)
	v.out.tell(Finding{Code: CodeLeft, Object: f.folder, Line: n, rank: rankFolder, Text: fmt.Sprintf("line %d of the log says that it was left unfinished: nothing in it is vouched for, and its part stands under a later number", n)})
}

// isComing is the line that says a folder is about to be put there; nil: none does. What is put there is named by the log before any of it is there.
func (v *verifier) isComing(f *folder) *archivedLine {
	for _, e := range v.inOrder() {
		if all := e.coming[f.folder]; len(all) > 0 {
			return &all[len(all)-1]
		}
	}
	return nil
}

// unnamed is a folder of which no line says that it is complete.
func (v *verifier) unnamed(f *folder, name string) {
	if v.leftAt(f) > 0 {
		v.tellLeft(f)
		return
	}
	switch a := v.isComing(f); {
	case a == nil:
		v.folderFinding(CodeNotInLog, name, "no line of the log names this folder: it was added, or the log was cut", 0)
	case a.manifest != f.sum:
		v.folderFinding(CodeManifest, name, fmt.Sprintf("it is not the one that line %d of the log says will be put there: it was changed, or written by somebody else", a.line), a.line)
	default:
		v.out.later(Finding{Code: CodeNotInLog, Object: f.folder, Line: a.line, rank: rankFolder, Text: fmt.Sprintf("line %d of the log says that it is on its way there, and none yet that it is complete", a.line)})
	}
}

func (v *verifier) checkFiles(ctx context.Context, f *folder, m Manifest) (whole bool, err error) {
	whole = true
	listed := map[string]bool{ManifestName: true}
	for _, file := range m.Files {
		listed[file.Name] = true
		ok, err := v.checkFile(ctx, f, file)
		if err != nil {
			return false, err
		}
		whole = whole && ok
	}
	for name := range f.objects {
		if !listed[name] {
			v.folderFinding(CodeUnlisted, f.folder+"/"+name, "the folder's manifest does not list it: it was added", 0)
			whole = false
		}
	}
	if f.session() && (!listed[LinesName] || !listed[NoteName]) {
		v.folderFinding(CodeManifest, f.folder+"/"+ManifestName, "it lists no "+LinesName+" or no "+NoteName+", without which nothing proves the session's lines", 0)
		whole = false
	}
	return whole, nil
}

// checkFile reads a file once. The lines with their proofs are looked at on the way, whether or not the file is the one listed: they tell which line
// was changed.
func (v *verifier) checkFile(ctx context.Context, f *folder, want File) (ok bool, err error) {
	name := f.folder + "/" + want.Name
	if _, there := f.objects[want.Name]; !there {
		v.folderFinding(CodeFileMissing, name, "the folder's manifest lists it, and it is not there", 0)
		return false, nil
	}
	r, err := v.archive.Open(ctx, name)
	if err != nil {
		v.unreadable(name, rankFolder, err)
		return false, ctx.Err()
	}
	defer r.Close()
	h := sha256.New()
	body := io.TeeReader(r, h)
	ok = true
	if f.session() && want.Name == LinesName {
		ok = v.checkLines(f, name, body)
	}
	_, err = io.Copy(h, r) // what was read before went through the hash too
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		v.unreadable(name, rankFolder, err)
		return false, ctx.Err()
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want.SHA256 {
		v.folderFinding(CodeFile, name, fmt.Sprintf("its SHA-256 is %s, and the manifest says %s: it was changed", got, want.SHA256), 0)
		return false, nil
	}
	if size := f.objects[want.Name]; size != want.Size {
		v.folderFinding(CodeFile, name, fmt.Sprintf("it has %d bytes, and the manifest says %d", size, want.Size), 0)
		return false, nil
	}
	v.mu.Lock()
	v.stats.files++
	v.stats.bytes += want.Size
	v.mu.Unlock()
	return ok, nil
}

// checkArchived looks for the folders that the log names.
func (v *verifier) checkArchived() {
	told := map[string]bool{}
	for _, e := range v.inOrder() {
		var elsewhere []string
		moved := e.lastMove()
		for _, a := range e.archived {
			if v.folders[a.folder] != nil || told[a.folder] {
				continue
			}
			told[a.folder] = true
			if a.live {
				v.out.later(Finding{Code: CodeFolder, Object: a.folder, Line: a.line, rank: rankFolder, epoch: e.n, Text: "it was put there after the archive was listed"})
				continue
			}
			if a.line < moved.line {
				elsewhere = append(elsewhere, a.folder)
				continue
			}
			v.out.add(Finding{Code: CodeFolder, Object: a.folder, Line: a.line, rank: rankFolder, epoch: e.n, Text: fmt.Sprintf("line %d of the log says that it was archived, and nothing of it is there", a.line)})
		}
		if len(elsewhere) > 0 {
			v.out.tell(Finding{Code: CodeElsewhere, Object: moved.was, Others: elsewhere, Line: moved.line, rank: rankFolder, epoch: e.n,
				Text: fmt.Sprintf("line %d of the log says that evidence went there before; %d folders must be there and are not here, the first is %s: verify that archive as well", moved.line, len(elsewhere), elsewhere[0])})
		}
	}
}

// allElsewhere says whether the log names every part of a folder's group between before and this one, and says that what came before is in another archive.
func (v *verifier) allElsewhere(f *folder, before int) bool {
	there := map[int]bool{}
	for _, e := range v.inOrder() {
		moved := e.lastMove()
		for _, a := range e.archived {
			if p, ok := parseFolder(a.folder); ok && p.group == f.group && a.line < moved.line {
				there[p.part] = true
			}
		}
	}
	for n := before + 1; n < f.part; n++ {
		if !there[n] {
			return false
		}
	}
	return true
}
