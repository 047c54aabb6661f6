//go:build seededfaults

package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestSeededFaultsAreFound makes the defects that the product must never have, one after the other (workflows/seeded_on.go), and requires the
// simulation to find each. It is what says that a green simulation means something. A build with the tag is never released:
//
//	go test -tags seededfaults -run TestSeededFaultsAreFound -count=1 ./cmd/breakglass
func TestSeededFaultsAreFound(t *testing.T) {
	simulationEnvironment(t)
	for _, c := range []struct {
		name  string   // of the defect
		where []string // moods that find it soon; all of them find it in time
	}{
		{"intent", []string{"kills"}},                        // access is created before the intent is written
		{"ack", []string{"kills"}},                           // a click is acknowledged before it is on disk
		{"due", []string{"everything"}},                      // a grant without the time of its revocation
		{"shared", []string{"overlaps"}},                     // access is deleted that another session needs
		{"schedule", []string{"everything"}},                 // the ends are made after the access
		{"listing", []string{"kills", "kills and overlaps"}}, // what the person had before is asked again after a crash
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("BREAKGLASS_SEEDED_FAULT", c.name)
			var among []mood
			for _, m := range moods {
				if strings.Contains("|"+strings.Join(c.where, "|")+"|", "|"+m.name+"|") {
					among = append(among, m)
				}
			}
			const most = 30
			seeds := make([]uint64, most)
			for i := range seeds {
				seeds[i] = uint64(i)
			}
			found, n := "", 0
			playAll(t, seeds, among, func(seed uint64, out outcome) bool {
				n++
				if len(out.wrong) > 0 && found == "" {
					found = fmt.Sprintf("seed %d: %s", seed, out.wrong[0])
				}
				return found != ""
			})
			if found == "" {
				t.Fatalf("%d histories did not find it", most)
			}
			t.Logf("found in %d histories: %s", n, found)
		})
	}
}
