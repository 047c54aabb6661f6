package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox"
)

// TestProve tries both ends in AWS, as an operator would once after installing: an empty group loses what a schedule takes away, a powerless role's session is
// refused, nothing is left behind, and check says when it was seen.
func TestProve(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve("--init")
	begin := o.world.AWS.Assignments()
	c := exec.Command(o.bin, "check", "--prove")
	c.Dir, c.Env = o.dir, o.env
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	for over := time.After(90 * time.Second); ; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("check --prove: %v\n%s\n%s", err, out.String(), said.String())
			}
			for _, want := range []string{"a schedule takes an assignment away", "a guard ends a live session", "seen"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, out.String())
				}
			}
			if got := o.world.AWS.Assignments(); len(got) != len(begin) {
				t.Errorf("%d assignments, and %d before", len(got), len(begin))
			}
			if left := o.world.AWS.ScheduleNames(); len(left) > 0 {
				t.Errorf("schedules are left: %v", left)
			}
			o.wants(exitOK, []string{"seen 20"}, "check")
			o.env = append(o.env, "BREAKGLASS_GUARD=")
			o.wants(exitFailed, []string{"no group", sandbox.CanaryGroup + "-other"}, "check", "--prove", "--canary", sandbox.CanaryGroup+"-other")
			return
		case <-over:
			_ = c.Process.Kill()
			t.Fatalf("it takes too long:\n%s", said.String())
		case <-time.After(500 * time.Millisecond):
			o.clock.Skip(5 * time.Second)
		}
	}
}
