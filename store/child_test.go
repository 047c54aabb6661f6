package store_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"breakglass/store"
)

// play is what a child process does. It answers on standard output and goes when it is killed, or its input ends.
func play(role, path string) int {
	switch role {
	case "hold":
		db, err := store.Open(path, noon)
		if err != nil {
			fmt.Println("error", err)
			return 1
		}
		defer db.Close()
		fmt.Println("open")
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		return 0
	case "open":
		db, err := store.Open(path, noon)
		fmt.Println("error", err)
		if err == nil {
			db.Close()
		}
		return 0
	case "write":
		db, err := store.Open(path, noon)
		if err != nil {
			fmt.Println("error", err)
			return 1
		}
		// Several at once, so that the kill meets commits that are shared. Each line is said after its change was promised.
		for g := range 4 {
			go func() {
				for i := 0; ; i++ {
					word := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i)
					r := asked("user" + fmt.Sprint(g))
					r.Reason = word
					got, err := db.Submit(store.By{Actor: store.Bot(), At: noon, Delivery: word}, r, func(c *store.Change) error {
						return c.Tell(store.Notice{Kind: word})
					})
					if err != nil {
						fmt.Println("error", err)
						os.Exit(1)
					}
					fmt.Printf("done %s %s\n", got.ID, word)
				}
			}()
		}
		select {}
	}
	return 2
}

// inChild starts this test binary in a role.
func inChild(t *testing.T, role, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "STORE_TEST_ROLE="+role, "STORE_TEST_PATH="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewScanner(out)
}

// A process is killed in the middle of its work, over and over. Whatever it was told was done is there, whole, and once.
func TestKilledProcessLosesNothing(t *testing.T) {
	db := fresh(t)
	path := db.Path()
	db.Close()
	promised := map[string]store.ID{}
	for round := range 6 {
		cmd, lines := inChild(t, "write", path)
		for enough := 10 + 15*round; enough > 0 && lines.Scan(); enough-- {
			word := strings.Fields(lines.Text())
			if word[0] != "done" {
				t.Fatal(lines.Text())
			}
			promised[word[2]] = store.ID(word[1])
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // said before the kill, read after it
			if word := strings.Fields(lines.Text()); len(word) == 3 && word[0] == "done" && strings.Count(word[2], "-") == 2 {
				promised[word[2]] = store.ID(word[1])
			}
		}
		_ = cmd.Wait()

		db, err := store.Open(path, noon)
		if err != nil {
			t.Fatal(err)
		}
		verify(t, db, promised)
		db.Close()
	}
	t.Logf("%d promises kept", len(promised))
}

func verify(t *testing.T, db *store.DB, promised map[string]store.ID) {
	t.Helper()
	if err := db.Check(); err != nil {
		t.Fatal(err)
	}
	words := map[string]store.ID{}
	open, err := db.Open()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range open {
		if _, twice := words[r.Reason]; twice {
			t.Errorf("%s was recorded twice", r.Reason)
		}
		words[r.Reason] = r.ID
	}
	for w, id := range promised {
		if words[w] != id {
			t.Errorf("%s was promised as %s and is %q", w, id, words[w])
		}
	}
	notices, _ := db.Notices(0, 1<<30)
	events, _ := db.Events(0, 1<<30)
	seen := db.Dump()["seen"]
	if len(notices) != len(open) || len(events) != len(open) || len(seen) != len(open) {
		t.Errorf("half of a change: %d requests, %d notices, %d events, %d seen", len(open), len(notices), len(events), len(seen))
	}
	for i, e := range events {
		if e.Seq != uint64(i+1) || e.Request != notices[i].Request {
			t.Fatalf("line %d of the log is %+v", i, e)
		}
	}
	if due, _ := db.Due(noon.Add(24*time.Hour), 1<<30); len(due) != len(open) {
		t.Errorf("%d of %d are due", len(due), len(open))
	}
}
