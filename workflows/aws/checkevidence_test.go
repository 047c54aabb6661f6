package aws

import (
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/awstwin"
)

// Where the bot is in another account than Identity Center's, it says that the portal's events are out of reach, and how to reach them; a role that was given
// and does not work is more than that.
func TestCheckOfThePortal(t *testing.T) {

	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{})
		rows := w.conn.Trail().Ready(t.Context())
		if len(rows) != 1 || !rows[0].OK {
			t.Fatalf("%+v", rows)
		}
		for role, want := range map[string]string{
			"no-such-role": "cannot be assumed",
			"arn:aws:iam::" + wealth + ":role/not-here": "cannot be assumed",
		} {
			w.connect(t, Config{OwnerRole: role})
			r := w.conn.Trail().Ready(t.Context())[0]
			if r.OK || !strings.Contains(r.Found, want) || !strings.Contains(r.Remedy, "BREAKGLASS_OWNER_ROLE") {
				t.Errorf("%s: %+v", role, r)
			}
		}
	})
}

// An organisation's trail is asked as a reading asks it. A name that is not there, or a workgroup, is said; a group without lines is a warning.
func TestCheckOfAnOrganisationsTrail(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{})
		w.orgTrail(t)
		if r := w.conn.TrailFrom(orgGroup, "", "").Ready(t.Context()); len(r) != 1 || !r[0].OK || r[0].Remedy == "" {
			t.Errorf("without lines: %+v", r)
		}
		w.Assign(w.alice, wealth, set)
		s, err := w.SignIn(w.alice, wealth, set)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Do(t.Context(), awstwin.Action{Service: "ec2", Name: "DescribeInstances"})
		time.Sleep(10 * time.Minute)
		for _, x := range []struct {
			group, table, workgroup string
			ok                      bool
			found                   string
		}{
			{orgGroup, "", "", true, "found lines"},
			{"no-such-group", "", "", false, "ResourceNotFound"},
			{"", "default.trail", "breakglass", true, "columns"},
			{"", "default.no_such_table", "breakglass", false, "FAILED"},
			{"", "a.b.c.d", "breakglass", false, "is not one"},
			{"", "default.trail", "no-such-workgroup", false, "AWS"},
		} {
			trail := w.conn.TrailFrom(x.group, x.table, x.workgroup)
			r := trail.Ready(t.Context())[0]
			if r.OK != x.ok || !strings.Contains(r.Found, x.found) || r.OK == (r.Remedy != "") || !trail.Elsewhere() {
				t.Errorf("%+v: %+v", x, r)
			}
		}
		for _, r := range w.conn.Check(t.Context(), Needs{Elsewhere: true}, nil) {
			if strings.HasPrefix(r.What, "CloudTrail") {
				t.Errorf("asked for nothing: %+v", r)
			}
		}
	})
}
