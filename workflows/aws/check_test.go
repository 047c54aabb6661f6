package aws

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

func TestCheck(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		w.trusting(wealth)
		w.AddPermissionSet(awstwin.PermissionSet{Name: "Long", SessionDuration: 8 * time.Hour})
		w.AddGroup("oncall", w.alice)
		w.AddAccount("100000000008", "gone")
		w.SetAccountState("100000000008", "SUSPENDED")
		w.AddUser(awstwin.User{UserName: "dis", Email: "dis@forge.example", Disabled: true})
		var told []Row
		rows := w.conn.Check(t.Context(), Needs{
			Accounts: []store.Account{{Name: "prod-wealth", ID: wealth, Regions: []string{"us-west-2"}}, {Name: "prod-cash", ID: cash},
				{Name: "gone", ID: "100000000008"}, {Name: "typo", ID: "999999999999"}},
			Sets: []string{set, "Long", "Typo"}, Groups: []string{"oncall", "typo"},
			Emails: []string{"alice@forge.example", "dis@forge.example", "typo@forge.example"},
		}, func(r Row) { told = append(told, r) })
		want := []struct {
			what   string
			ok     bool
			remedy bool
		}{
			{"AWS credentials", true, false}, {"Identity Center in us-east-1", true, false},
			{"permission set " + set, true, false}, {"permission set Long", true, true}, {"permission set Typo", false, true},
			{"account prod-wealth", true, false}, {"account prod-cash", true, false}, {"account gone", false, true}, {"account typo", false, true},
			{"CloudTrail of prod-wealth", true, false}, {"CloudTrail of prod-cash", false, true}, {"CloudTrail of gone", false, true}, {"CloudTrail of typo", false, true},
			{"group oncall", true, false}, {"group typo", false, true},
			{"person alice@forge.example", true, false}, {"person dis@forge.example", false, true}, {"person typo@forge.example", false, true},
		}
		if len(rows) != len(want) || len(told) != len(want) {
			t.Fatalf("%d rows, %d told, want %d", len(rows), len(told), len(want))
		}
		for i, x := range want {
			if r := rows[i]; !strings.HasPrefix(r.What, x.what) || r.OK != x.ok || (r.Remedy != "") != x.remedy || r.Found == "" {
				t.Errorf("row %d: %+v, want %+v", i, r, x)
			}
		}
	})
}

func TestCheckEndsEarly(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.FailNext("sts", "GetCallerIdentity", "InvalidClientTokenId", 1)
		rows := w.conn.Check(t.Context(), Needs{Sets: []string{set}}, nil)
		if len(rows) != 1 || rows[0].OK || rows[0].Remedy == "" {
			t.Errorf("%+v", rows)
		}
		w.connect(t, Config{Region: "eu-central-1"})
		rows = w.conn.Check(t.Context(), Needs{Sets: []string{set}}, nil)
		if len(rows) != 2 || rows[1].OK || !strings.Contains(rows[1].Remedy, "identity_center.region") {
			t.Errorf("%+v", rows)
		}
	})
}

// Six hundred accounts: the check asks about all of them at its own pace, and a grant in the last one costs what it costs in the first.
func TestSixHundredAccounts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		var all []store.Account
		for i := range 600 {
			id := fmt.Sprintf("200000000%03d", i)
			w.AddAccount(id, fmt.Sprint("acct-", i))
			w.trusting(id)
			all = append(all, store.Account{Name: fmt.Sprint("acct-", i), ID: id})
		}
		for _, r := range w.conn.Check(t.Context(), Needs{Accounts: all, Sets: []string{set}}, nil) {
			if !r.OK || r.Remedy != "" {
				t.Fatalf("%+v", r)
			}
		}
		w.ForgetCalls()
		last := store.Tuple{UserID: w.alice, Account: all[599].ID, Set: set}
		if _, err := w.ic.Assign(t.Context(), store.Grant{Tuple: last}); err != nil {
			t.Fatal(err)
		}
		if n := len(w.Calls()); n > 4 { // instance, names, one set, the creation
			t.Errorf("%d calls for one grant", n)
		}
		if n := w.refused("ThrottlingException"); n > 0 {
			t.Errorf("throttled %d times", n)
		}
	})
}
