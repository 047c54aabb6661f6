package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/store"
)

// TestFullDisk runs the real process on a disk on which its store cannot grow: nothing new is granted, what is over is taken away all the same, and when there
// is room again the log says so.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const set = "Forge-Prod-BreakGlass-EC2"
	o := newOffice(t)
	o.env = append(o.env, "BREAKGLASS_DEADMAN_ROLE=") // it must be the bot that takes away
	bot := o.serve("--init")
	o.ask("dana", "ec2", "prod-wealth")
	o.press("lee", "Approve")
	o.await("active", func() bool { return o.state("BG-1001") == store.Active })
	_ = bot.cmd.Process.Kill()
	<-bot.done

	// The store is made as full as its file is, and no file may grow past that: every commit that needs a page more fails, as on a full disk.
	path := filepath.Join(o.dir, "breakglass.db")
	stuff(t, path)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	shell := o.bin
	o.bin = limited(t, shell, st.Size())
	bot = o.serve()
	errs, err := o.tryToAsk("dana", "ec2", "prod-cash")
	if said := fmt.Sprint(errs, err); !strings.Contains(said, "cannot write its own records, so nothing was asked for") {
		t.Errorf("a request that cannot be recorded is answered: %s", said)
	}
	o.clock.Skip(61 * time.Minute)
	o.await("the deletion, although nothing can be written", func() bool { return !o.has("dana", sandbox.ProdWealth, set) })
	_ = bot.cmd.Process.Kill()
	<-bot.done
	if !strings.Contains(bot.log.String(), "the store cannot be written") {
		t.Error("the store could be written after all: the test shows nothing")
	}

	o.bin = shell
	o.serve()
	o.await("the end is recorded", func() bool { return o.state("BG-1001") == store.Revoked })
	if o.has("dana", sandbox.ProdCash, "Forge-Prod-BreakGlass-EC2") {
		t.Error("a request that could not be recorded was granted")
	}
}

// limited is a program that runs another with files that cannot grow past size.
func limited(t *testing.T, bin string, size int64) string {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("sh is not there: it sets the limit on the size of files")
	}
	path := filepath.Join(t.TempDir(), "limited")
	script := fmt.Sprintf("#!/bin/sh\nulimit -f %d\nexec '%s' \"$@\"\n", size/512, bin)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// stuff fills a store to the brim: with ever smaller lines, as long as its file need not grow for them.
func stuff(t *testing.T, path string) {
	t.Helper()
	before := sizeOf(t, path)
	for _, line := range []int{1 << 20, 1 << 16, 1 << 12, 1} {
		for {
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			db, err := store.Open(path, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			by := store.By{Actor: store.Officer("test"), At: time.Now()}
			if err := errors.Join(db.Log(by, "filling", map[string]string{"n": strings.Repeat("x", line)}), db.Close()); err != nil {
				t.Fatal(err)
			}
			if sizeOf(t, path) == before {
				continue
			}
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}
