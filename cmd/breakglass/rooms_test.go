package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRooms keeps the walls of the house: who may know of whom. It asks the Go tool what each room links.
func TestRooms(t *testing.T) {
	const (
		slackLib = "github.com/slack-go/"
		awsLib   = "github.com/aws/"
		ours     = "breakglass/"
	)
	rooms := []struct {
		room string
		not  []string // prefixes that must not be linked
		only []string // of ours, what may be
	}{
		{"store", []string{slackLib, awsLib}, []string{"breakglass/store"}},
		{"workflows", []string{slackLib, awsLib}, []string{"breakglass/workflows", "breakglass/store"}},
		{"workflows/policy", []string{slackLib, awsLib}, []string{"breakglass/workflows/policy"}},
		{"workflows/report", []string{slackLib, awsLib}, []string{"breakglass/workflows/report", "breakglass/store"}},
		{"workflows/aws", []string{slackLib}, []string{"breakglass/workflows/aws", "breakglass/store"}},
		{"workflows/tracker", []string{slackLib, awsLib}, []string{"breakglass/workflows/tracker", "breakglass/store"}},
		{"bot", []string{awsLib}, []string{"breakglass/bot"}},
		{"handlers", []string{awsLib}, []string{"breakglass/handlers", "breakglass/workflows", "breakglass/store"}},
		{"deploy/sandbox/...", []string{slackLib, awsLib}, []string{"breakglass/deploy/sandbox"}},
		{"deploy/manifest", []string{slackLib, awsLib}, []string{"breakglass/deploy/manifest"}},
	}
	for _, r := range rooms {
		t.Run(r.room, func(t *testing.T) {
			out, err := exec.Command("go", "list", "-deps", ours+r.room).Output()
			if err != nil {
				t.Fatalf("go list: %v", err)
			}
			for dep := range strings.FieldsSeq(string(out)) {
				for _, not := range r.not {
					if strings.HasPrefix(dep, not) {
						t.Errorf("links %s", dep)
					}
				}
				if strings.HasPrefix(dep, ours) && !underAny(dep, r.only) {
					t.Errorf("knows of %s", dep)
				}
			}
		})
	}
}

func underAny(pkg string, roots []string) bool {
	for _, r := range roots {
		if pkg == r || strings.HasPrefix(pkg, r+"/") {
			return true
		}
	}
	return false
}

// TestReleaseReadsNoOtherClock builds the program as it is released and looks for the twins' clock in it.
func TestReleaseReadsNoOtherClock(t *testing.T) {
	for tag, want := range map[string]bool{"": false, "twinclock": true} {
		bin := filepath.Join(t.TempDir(), "breakglass")
		if out, err := exec.Command("go", "build", "-tags", tag, "-o", bin, ".").CombinedOutput(); err != nil {
			t.Fatalf("build with tag %q: %v\n%s", tag, err, out)
		}
		data, err := os.ReadFile(bin)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(data), "BREAKGLASS_TWIN_CLOCK"); got != want {
			t.Errorf("tag %q: the twins' clock is in the program: %v, want %v", tag, got, want)
		}
	}
}
