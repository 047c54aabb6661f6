package aws

import (
	"context"
	"strings"
	"testing"
	"time"
)

const looksAtItself = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:GetRole","Resource":"arn:aws:iam::` + wealth + `:role/BreakGlassCanary"}]}`

// TestProveTheGuard sees a session end, and says what it saw where it did not.
func TestProveTheGuard(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		prove := func(ctx context.Context) (string, error) {
			var said []string
			begun := time.Now()
			err := g.Prove(ctx, wealth, func(s string) { said = append(said, s) })
			if took := time.Since(begun); took > 7*time.Minute {
				t.Errorf("it took %s", took)
			}
			if left := w.RolePolicy(wealth, CanaryRole, prefix); left != "" && ctx.Err() == nil {
				t.Errorf("left behind: %s", left)
			}
			return strings.Join(said, "\n"), err
		}
		fails := func(want string) {
			t.Helper()
			if said, err := prove(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q; said:\n%s", err, want, said)
			}
		}
		fails("there is no role BreakGlassCanary")
		w.SetRole(wealth, CanaryRole, nobodyIsIn, map[string]string{"look": looksAtItself})
		fails("must trust the bot")
		w.SetRole(wealth, CanaryRole, botTrusts, nil)
		fails("refused before its end")

		w.SetRole(wealth, CanaryRole, botTrusts, map[string]string{"look": looksAtItself})
		said, err := prove(t.Context())
		if err != nil || !strings.Contains(said, "the same credentials must be refused") || !strings.Contains(said, "after its end") {
			t.Fatalf("%v; said:\n%s", err, said)
		}

		soon, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := prove(soon); err == nil || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("interrupted: %v", err)
		}
		if left := w.RolePolicy(wealth, CanaryRole, prefix); left != "" {
			t.Errorf("left behind by an interrupted proof: %s", left)
		}
	})
}

// TestProveTheGuardSeesThatNothingEnds where somebody takes the guard away meanwhile.
func TestProveTheGuardSeesThatNothingEnds(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		w.SetRole(wealth, CanaryRole, botTrusts, map[string]string{"look": looksAtItself})
		err := g.Prove(t.Context(), wealth, func(said string) {
			if strings.Contains(said, "must be refused") {
				w.SetRole(wealth, CanaryRole, botTrusts, map[string]string{"look": looksAtItself})
			}
		})
		if err == nil || !strings.Contains(err.Error(), "still allowed 5m0s after") {
			t.Errorf("%v", err)
		}
		w.connect(t, Config{})
		if err := w.conn.Guards().Prove(t.Context(), wealth, func(string) {}); err == nil || !strings.Contains(err.Error(), "switched off") {
			t.Errorf("%v", err)
		}
	})
}
