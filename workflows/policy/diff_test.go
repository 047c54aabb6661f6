package policy

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	before := example(t)
	for name, tt := range map[string]struct {
		change []string
		want   []string
	}{
		"nothing":      {nil, nil},
		"a comment":    {[]string{"# What the scenarios leave open.", "# Else."}, nil},
		"duration":     {[]string{"    max_duration: 2h\n    ticket: required\n    guide: ec2-ssm", "    max_duration: 3h\n    ticket: {within: 2h}\n    guide: ec2-ssm"}, []string{"scenario ec2: max_duration is now 3h, was 2h", "scenario ec2: max_total is now 3h, was 2h", "scenario ec2: durations gained 3h; lost 15m", "scenario ec2: ticket is now may follow within 2h, was required"}},
		"eligible":     {[]string{"eligible: [sre-oncall]", "eligible: [developers]"}, []string{"scenario emergency: eligible gained developers; lost sre-oncall"}},
		"approval":     {[]string{"approval: {any_of: [senior-engineers]}", "approval: none"}, []string{"scenario console: approval is now none needed, was 1 of senior-engineers"}},
		"people":       {[]string{"groups: [grp-forge-platform-leads], ", "groups: [grp-forge-platform-leads, everybody], "}, []string{"people platform-leads: groups gained everybody"}},
		"account":      {[]string{`"100000000001"`, `"100000000009"`}, []string{"account dev: id is now 100000000009, was 100000000001"}},
		"account gone": {[]string{"  qa:           {id: \"100000000002\", regions: [us-east-1]}\n", ""}, []string{"account qa is removed"}},
		"new account":  {[]string{"  qa:   ", "  uat: {id: \"200000000002\", regions: [us-east-1]}\n  qa:   "}, []string{"account uat is new: id 200000000002; regions us-east-1"}},
		"order":        {[]string{"  dev:          {id: \"100000000001\", regions: [us-east-1]}\n", "", "  prod-wealth:  {id", "  dev:          {id: \"100000000001\", regions: [us-east-1]}\n  prod-wealth:  {id"}, []string{"accounts have a new order: qa, dev, prod-wealth, prod-cash, prod-9squid"}},
		"regions":      {[]string{"[us-east-1, us-west-2]", "[us-west-2, us-east-1]"}, []string{"account prod-wealth: regions has a new order: us-west-2, us-east-1"}},
		"section":      {[]string{`{pattern: "^(OPS|SEC)-[0-9]+$"}`, "{}"}, []string{"tracker: pattern is now none, was ^(OPS|SEC)-[0-9]+$"}},
		"standing":     {[]string{"group: grp-forge-wealth-prod}", "group: other}"}, []string{"reconcile: standing gained {account prod-wealth; permission_set Forge-Prod-ReadOnly; group other}; lost {account prod-wealth; permission_set Forge-Prod-ReadOnly; group grp-forge-wealth-prod}"}},
		"lockdown":     {[]string{"lockdown: [security-lead, incident-manager]", "lockdown: [security-lead]"}, []string{"lockdown lost incident-manager"}},
		"identity":     {[]string{"#: identities: {}", "identities: {U012ABCDEF: a@forge.example}"}, []string{"identities U012ABCDEF is new: a@forge.example"}},
	} {
		if diff := cmp.Diff(tt.want, Diff(before, parsed(t, tt.change...))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	scenario := Diff(before, parsed(t, "  eks:\n    title", "  kubernetes:\n    title"))
	if len(scenario) != 2 || !strings.HasPrefix(scenario[0], "scenario kubernetes is new: title EKS: kubectl logs, exec, describe; tier 1; ") || scenario[1] != "scenario eks is removed" {
		t.Error(scenario)
	}
}

// No field of a policy can change without a word: each is changed in turn, those of a section that is
// empty in the example included.
func TestDiffSeesEverything(t *testing.T) {
	before, after := example(t), example(t)
	leaves := 0
	var each func(path string, v reflect.Value, put func(reflect.Value))
	each = func(path string, v reflect.Value, put func(reflect.Value)) {
		was := reflect.New(v.Type()).Elem()
		was.Set(v)
		try := func(changed reflect.Value) {
			leaves++
			put(changed)
			if len(Diff(before, after)) == 0 {
				t.Errorf("%s: %v changed to %v in silence", path, was, changed)
			}
			put(was)
		}
		switch x := v.Interface().(type) {
		case Approval:
			try(reflect.ValueOf(Approval{AnyOf: []string{"other"}, Count: 2}))
			return
		case TicketRule:
			try(reflect.ValueOf(TicketRule{Within: 77 * time.Hour}))
			return
		case *time.Location:
			try(reflect.ValueOf(time.FixedZone("X", 1)))
			return
		case *regexp.Regexp:
			try(reflect.ValueOf(regexp.MustCompile("other")))
			return
		case string:
			try(reflect.ValueOf(x + "x").Convert(v.Type()))
			return
		}
		switch v.Kind() {
		case reflect.String:
			try(reflect.ValueOf(v.String() + "x").Convert(v.Type()))
		case reflect.Bool:
			try(reflect.ValueOf(!v.Bool()))
		case reflect.Int, reflect.Int64:
			try(reflect.ValueOf(v.Int() + int64(time.Minute)).Convert(v.Type()))
		case reflect.Slice:
			try(reflect.Append(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, 0), v), reflect.Zero(v.Type().Elem())))
			for i := range v.Len() {
				each(path+"[]", v.Index(i), func(to reflect.Value) { v.Index(i).Set(to) })
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				item := reflect.New(v.Type().Elem()).Elem()
				item.Set(v.MapIndex(k))
				each(path+"."+k.String(), item, func(to reflect.Value) {
					item.Set(to)
					v.SetMapIndex(k, item)
				})
			}
		case reflect.Struct:
			for i := range v.NumField() {
				f := v.Type().Field(i)
				if !f.IsExported() || f.Name == "Hash" || f.Name == "Text" { // of the whole file, comments included
					continue
				}
				each(path+"."+f.Name, v.Field(i), func(to reflect.Value) {
					v.Field(i).Set(to)
					put(v)
				})
			}
		}
	}
	each("", reflect.ValueOf(after).Elem(), func(reflect.Value) {})
	if leaves < 200 {
		t.Errorf("only %d changes were tried", leaves)
	}
}
