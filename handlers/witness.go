package handlers

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// mostNote bounds a checkpoint in a message; one with two signatures has some 400 characters.
const mostNote = 3000

// witness puts the day's checkpoint of the log where many people see it, and can keep it.
func witness(n store.Notice) message {
	size := oneLine(n.Data["size"], 20)
	head := "Checkpoint of the log"
	if size != "" {
		head += ": " + size + " lines"
	}
	w := words{}.bold(head).say(". It stands here because nobody can take back what others have read: whoever keeps it can prove later that no line up to it was changed, left out or added.")
	how := say("To check, save this block to the letter as FILE and run ").code("breakglass audit verify --checkpoint FILE").say(" where the bot runs, or anywhere else with ").code("--offline --archive COPY --key KEY").say(" as well.")
	return message{text: inert(head, limitName), blocks: []slack.Block{
		paragraph(w), listing(or(asSigned(n.Data["note"]), nothingToShow)), paragraph(how),
	}}
}

// asSigned is a checkpoint to the letter, since its signature is over each of them; only the line end at its end is left out, which a block
// of its own does not need. What holds anything that no checkpoint holds is made harmless instead, and will not verify.
func asSigned(note string) string {
	s := strings.TrimRight(note, "\n")
	plain := func(c rune) bool { return c == '\n' || c == '—' || c >= ' ' && c <= '~' }
	if width(s) > mostNote || strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) >= 0 || strings.Contains(s, "\n\n\n") {
		return manyLines(s, mostNote)
	}
	return s
}

// archiveFault says that evidence cannot be put into the archive, that none is lost, and what to do; or that it can be again.
func archiveFault(n store.Notice) message {
	if n.Data["done"] != "" {
		return message{text: "The archive takes evidence again", blocks: []slack.Block{
			paragraph(words{}.bold("The archive takes evidence again.").say(" What had waited is in it, and nothing was lost.")),
		}}
	}
	since, _ := time.Parse(time.RFC3339, n.Data["since"])
	w := say("Evidence cannot be put into the archive").onSince(since).say(": ").say(reasonOf(n.Data["error"]))
	if k, err := strconv.Atoi(n.Data["waiting"]); err == nil && k > 0 {
		w = w.say(" " + count(k, "part") + map[bool]string{true: " waits.", false: " wait."}[k == 1])
	}
	w = w.say(" Nothing is lost: it is kept in the store and tried again until the archive has it. Sessions go on and end as they should.")
	todo := words{}.bold("To do: ").say("see that the archive is there and that the bot may write to it (a bucket: s3:PutObject, and its KMS key; a folder: its owner and room on the disk). ").
		code("breakglass check").say(" asks for all of it. Until then do not lose the store: it holds the only copy.")
	return message{
		text:   "Evidence cannot be put into the archive",
		blocks: []slack.Block{header("The archive does not take evidence"), paragraph(w), paragraph(todo)},
	}
}

// archiveMoved says that evidence goes elsewhere from now on: nobody changes that in silence.
func archiveMoved(n store.Notice) message {
	w := say("Evidence goes to ").code(oneLine(n.Data["archive"], 200)).say(" from now on. Until now it went to ").code(oneLine(n.Data["was"], 200)).
		say(", where all of it stays. The whole log is put into the new archive as well.")
	todo := words{}.bold("To do: ").say("if nobody meant that, find out who changed ").code("BREAKGLASS_ARCHIVE").say(" or ").code("report.archive").
		say(". Keep the old archive as long as the new one: sessions from before are in it.")
	return message{text: "Evidence goes to another archive", blocks: []slack.Block{header("Evidence goes to another archive"), paragraph(w), paragraph(todo)}}
}

// rolledBack says that the archive remembers more than the log does. It is either a restore that somebody knows of, or somebody's hand in the log.
func rolledBack(n store.Notice) message {
	archive, errA := strconv.ParseUint(n.Data["archive"], 10, 63)
	log, errL := strconv.ParseUint(n.Data["log"], 10, 63)
	w := say("The archive holds a signed checkpoint that is no part of this log")
	switch {
	case errA != nil || errL != nil:
		w = w.say(".")
	case archive > log:
		w = w.say(fmt.Sprintf(": it is over %d lines, and the log has %d. Lines %d to %d are missing here.", archive, log, log+1, archive))
	default:
		w = w.say(fmt.Sprintf(": it is over %d lines, and the log has %d, but they are not the same lines.", archive, log))
	}
	if why := n.Data["why"]; why != "" {
		w = w.say(" In detail: " + reasonOf(why))
	}
	means := words{}.bold("What it means: ").say("the store was restored from an older copy, or somebody cut or changed its log. What happened in between stands in the archive and not here: sessions that were open then may not be known to the bot. Nothing in the archive is overwritten; the log goes on beside it.")
	todo := words{}.bold("To do: ").say("find out whether somebody restored the store, and say so in this thread. If nobody did, take it for tampering. ").
		code("breakglass audit verify").say(" names the first line that does not hold; compare who has access in AWS with ").code("/access status").say(".")
	return message{
		text:   "The archive knows more than this log",
		blocks: []slack.Block{header("The archive knows more than this log"), paragraph(w), paragraph(means), paragraph(todo)},
	}
}
