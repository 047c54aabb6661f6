package report

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func cases() map[string]Case {
	return map[string]Case{"plain": plainCase(), "late": lateCase(), "quiet": quietCase(), "denied": deniedCase()}
}

// The reports as people and programs read them. A difference is looked at before it is written down: go test ./workflows/report -update.
func TestGoldenReports(t *testing.T) {
	for name, c := range cases() {
		html, text, err := c.Write(Filed)
		if err != nil {
			t.Fatal(err)
		}
		data, err := c.JSON()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".html", html)
		golden(t, name+".txt", "Subject: "+c.Subject()+"\n\n"+text)
		golden(t, name+".json", string(data))
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
