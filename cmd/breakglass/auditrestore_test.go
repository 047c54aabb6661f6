package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/store"
)

// TestRestoredFromAnOlderCopy: whoever brings back yesterday's store, or yesterday's store and archive together, is found out: by the archive, or by a checkpoint
// that somebody kept out of the channel.
func TestRestoredFromAnOlderCopy(t *testing.T) {
	t.Parallel()
	o, bot := auditedOffice(t)
	o.session("BG-1001")
	o.wants(exitOK, nil, "audit", "verify")
	o.wants(exitOK, nil, "store", "backup", "early.db")
	key := o.keys().Signing.Public
	a := o.auditor(key)
	a.whole(filepath.Join(o.dir, "archive"))
	a.copied("EARLY", filepath.Join(o.dir, "archive"))
	o.clock.Skip(24 * time.Hour)
	o.await("the second checkpoint in the channel", func() bool { return len(o.witnessed()) == 2 })
	o.session("BG-1002")
	o.clock.Skip(24 * time.Hour) // the second may be of no more lines than the copy has
	o.await("the third checkpoint in the channel", func() bool { return len(o.witnessed()) == 3 })
	a.whole(filepath.Join(o.dir, "archive"))
	a.copied("LATE", filepath.Join(o.dir, "archive"))
	o.stop(bot)

	// Both were cut back: they agree with each other, and not with what stands in the channel.
	notes := o.witnessed()
	for i, note := range []string{notes[0], notes[2]} {
		for _, dir := range []string{a.dir, o.dir} {
			if err := os.WriteFile(filepath.Join(dir, []string{"first.note", "second.note"}[i]), []byte(note), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.verifies(exitOK, []string{"Everything holds."}, "LATE", "--checkpoint", "first.note", "--checkpoint", "second.note")
	a.verifies(exitOK, []string{"Everything holds."}, "EARLY", "--checkpoint", "first.note")
	a.verifies(exitFailed, []string{"second.note", "[cut]"}, "EARLY", "--checkpoint", "first.note", "--checkpoint", "second.note")
	cut := *o
	cut.env = append(o.env[:len(o.env):len(o.env)], "BREAKGLASS_STORE=bolt:early.db", "BREAKGLASS_ARCHIVE=file:"+filepath.Join(a.dir, "EARLY"))
	cut.wants(exitOK, []string{"Everything holds."}, "audit", "verify", "--key", key)
	cut.wants(exitFailed, []string{"second.note", "[cut]"}, "audit", "verify", "--key", key, "--checkpoint", "second.note")
	a.wants(exitUsage, []string{"--checkpoint"}, "audit", "verify", "--offline", "--archive", "file:EARLY", "--key", "KEY", "--checkpoint", "nothing.note")

	// Only the store was: the archive remembers.
	early, err := os.ReadFile(filepath.Join(o.dir, "early.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.dir, "breakglass.db"), early, 0o600); err != nil {
		t.Fatal(err)
	}
	o.wants(exitFailed, []string{"[live-short]"}, "audit", "verify", "--key", key)
	bot = o.serve()
	o.await("the incidents channel is told", func() bool {
		for _, m := range o.world.Slack.Messages(o.world.Slack.ChannelID("platform-incidents")) {
			if strings.Contains(m.PlainText(), "The archive knows more than this log") {
				return true
			}
		}
		return false
	})
	o.await("the second log in the archive", func() bool {
		all, err := os.ReadDir(filepath.Join(o.dir, "archive", "checkpoints-2"))
		return err == nil && len(all) > 0
	})
	o.wants(exitOK, []string{"restored from an older copy", "log-2/"}, "audit", "verify", "--key", key)
	// BG-1002 was forgotten, and nothing of it stands in AWS: its number is not given twice.
	o.ask("dana", "ec2", "prod-cash")
	o.await("the next id", func() bool { return o.state("BG-1003") == store.Pending })
	if s := o.state("BG-1002"); s != "" {
		t.Errorf("BG-1002 was given twice; it is %s", s)
	}
	o.stop(bot)
	o.wants(exitOK, []string{"restored from an older copy", "log-2/"}, "audit", "verify", "--key", key)

	// Without any copy, a new store is not begun by accident.
	if err := os.Remove(filepath.Join(o.dir, "breakglass.db")); err != nil {
		t.Fatal(err)
	}
	o.wants(exitUsage, []string{"has the log of an earlier store", "restore a backup", "BREAKGLASS_ARCHIVE"}, "serve", "--init")
}

// TestKeyRotation: another key signs from the next start on. The log says so, and whoever knows either key can follow it; who knows neither believes nothing.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	o, bot := auditedOffice(t)
	old := o.keys().Signing.Public
	o.stop(bot)
	o.env = append(o.env, "BREAKGLASS_KEY=file:unknown.key")
	unknown := o.keys().Signing.Public
	o.env = append(o.env, "BREAKGLASS_KEY=file:second.key")
	second := o.keys().Signing
	if second.Public == "" || second.Public == old || len(second.Named) != 1 || second.Named[0] != old {
		t.Fatalf("%+v", second)
	}
	o.wants(exitOK, []string{"the log names another key last"}, "check")
	bot = o.serve()
	o.await("the log names the second key", func() bool { return len(o.keys().Signing.Named) == 2 })
	o.clock.Skip(6 * time.Minute)
	was := o.checkpoints()
	o.await("a checkpoint by the second key", func() bool { return o.checkpoints() > was })
	if out := o.wants(exitOK, nil, "audit", "export"); !strings.Contains(out, `"was":"`+old) || !strings.Contains(out, `"key":"`+second.Public) {
		t.Errorf("the log does not tell of the change:\n%s", out)
	}
	o.wants(exitOK, []string{"Everything holds.", "names a new key"}, "audit", "verify", "--key", old, "--key", second.Public)
	o.wants(exitOK, []string{"Everything holds."}, "audit", "verify", "--key", second.Public)
	o.wants(exitFailed, []string{"none of the known keys"}, "audit", "verify", "--key", unknown)
	o.stop(bot)
	a := o.auditor(second.Public)
	a.copied("COPY", filepath.Join(o.dir, "archive"))
	a.verifies(exitOK, []string{"Everything holds."}, "COPY")
}

// checkpoints counts those in the archive.
func (o *office) checkpoints() int {
	all, _ := os.ReadDir(filepath.Join(o.dir, "archive", "checkpoints"))
	return len(all)
}

// TestAuditOfABucket reads a bucket itself, as an auditor who has credentials and no policy file: what was put over an object, or marked as deleted, shows there
// although the oldest version is whole.
func TestAuditOfABucket(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	bot := o.serve("--init")
	o.await("the first checkpoint in the channel", func() bool { return len(o.witnessed()) == 1 })
	o.wants(exitOK, []string{"Everything holds."}, "audit", "verify")
	a := o.auditor(o.keys().Signing.Public)
	for _, kv := range o.env {
		if strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "AWS_REGION=") {
			a.env = append(a.env, kv)
		}
	}
	verify := []string{"audit", "verify", "--offline", "--archive", "s3://" + sandbox.ArchiveBucket, "--key", a.key}
	a.wants(exitOK, []string{"Everything holds."}, verify...)
	o.stop(bot)
	all := o.world.AWS.Objects(sandbox.ArchiveBucket)
	name := all[len(all)-1].Key
	o.world.AWS.CoverObject(sandbox.ArchiveBucket, name, []byte("another"))
	a.wants(exitFailed, []string{name, "[versions]"}, verify...)
	o.world.AWS.EraseObject(sandbox.ArchiveBucket, name)
	a.wants(exitFailed, []string{"log"}, verify...)
	a.wants(exitFailed, nil, "audit", "verify", "--offline", "--archive", "s3://no-such-bucket", "--key", a.key)
}
