package policy

import (
	"fmt"
	"slices"
)

// maxAllOf is more people than anybody can gather during an incident.
const maxAllOf = 10

// approval reads whose word it takes. sound is false when something in it was at fault, and nothing more
// should be concluded from it.
func (r *reader) approval(s fields) (a Approval, sound bool) {
	const remedy = "write none, {any_of: [...]}, {any_of: [...], count: 2} or {all_of: [...]}"
	if !s.need("approval", remedy) {
		return a, false
	}
	e := s.n.get("approval")
	if e.value.kind == isText && e.value.text == "none" {
		return Approval{None: true}, true
	}
	switch e.value.kind {
	case isMap:
	case isNull, isSpoilt:
		r.is(e.value, isMap, join(s.path, "approval"))
		return a, false
	default:
		s.bad("approval", "is neither none nor a mapping", remedy)
		return a, false
	}
	before := len(r.faults) + r.untold
	f, _ := r.open(e.value, e.at, join(s.path, "approval"), "any_of", "all_of", "count")
	if f.has("any_of") == f.has("all_of") {
		s.bad("approval", "must have one of any_of and all_of", remedy)
		return a, false
	}
	const people = "name the sets of people whose word it takes"
	if f.has("all_of") {
		a.AllOf = texts(r.deciders(f.filled("all_of", r.any, people), true))
		if len(a.AllOf) > maxAllOf {
			f.bad("all_of", fmt.Sprintf("has more than %d sets", maxAllOf), "ask for fewer people")
		}
		if f.has("count") {
			f.bad("count", "goes with any_of only", "all_of takes one person for each set; remove the key")
		}
	} else {
		a.AnyOf = texts(r.deciders(f.filled("any_of", r.any, people), true))
		a.Count = f.number("count", 1, 1, 100)
	}
	sound = len(r.faults)+r.untold == before && !slices.ContainsFunc(a.Sets(), func(n string) bool { return r.broken[n] })
	return a, sound
}

// reachable finds approvals that can never be given: too few different people for the count, one person
// for two sets of all_of, or a requester who is needed for their own request. Groups are taken to have
// as many members as it needs, and the manager to be somebody else: only the directory knows better,
// and asking it is the work of check.
func (r *reader) reachable(s fields, sc Scenario) {
	const add = "add people to the sets, or ask for fewer"
	sets, need := r.scarce(sc.Approval)
	if need == 0 {
		return
	}
	if !enough(sets, need, "") {
		s.bad("approval", fmt.Sprintf("can never be given: it takes %s, and the sets have not as many", differ(sc.Approval)), add)
		return
	}
	known := map[string]bool{}
	for _, set := range sets {
		for _, mail := range set {
			known[mail] = true
		}
	}
	for _, set := range sc.Eligible {
		for _, mail := range r.policy.People[set].Emails {
			if known[lower(mail)] && !enough(sets, need, lower(mail)) {
				s.bad("approval", quote(mail)+" may ask for this, and without them too few are left to approve it",
					"add another approver, or take them out of eligible")
				return
			}
		}
	}
}

func differ(a Approval) string {
	if n := len(a.AllOf); n > 0 {
		return fmt.Sprintf("%d different people, one for each set", n)
	}
	if a.Count == 1 {
		return "one person"
	}
	return fmt.Sprintf("%d different people", a.Count)
}

// scarce reduces an approval to what can run out: addresses (folded) of the sets that could leave it
// without people, and how many different people those sets must give, one for each set; 0 when nothing
// can run out. Of any_of it makes as many sets as people are needed, each with everybody in it.
func (r *reader) scarce(a Approval) (sets [][]string, need int) {
	if n := len(a.AllOf); n > 0 {
		for _, name := range a.AllOf {
			set := r.policy.People[name]
			// A set of more people than there are sets can always be served last, whoever is left out.
			if name != Manager && len(set.Groups) == 0 && len(set.Emails) <= n {
				sets = append(sets, folded(set.Emails))
			}
		}
		return sets, len(sets)
	}
	need = a.Count
	var all []string
	for _, name := range a.AnyOf {
		set := r.policy.People[name]
		if len(set.Groups) > 0 {
			return nil, 0
		}
		if name == Manager {
			need--
			continue
		}
		all = append(all, folded(set.Emails)...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if need <= 0 || len(all) > need {
		return nil, 0 // as many as needed are left without any one of them
	}
	for range need {
		sets = append(sets, all)
	}
	return sets, need
}

func folded(mails []string) (out []string) {
	for _, m := range mails {
		out = append(out, lower(m))
	}
	return out
}

// enough says whether each of the sets can be given a person of its own, none of them without.
func enough(sets [][]string, need int, without string) bool {
	number := map[string]int{}
	in := make([][]int, len(sets))
	for i, set := range sets {
		for _, mail := range set {
			if mail == without {
				continue
			}
			if _, seen := number[mail]; !seen {
				number[mail] = len(number)
			}
			in[i] = append(in[i], number[mail])
		}
	}
	return matched(in) >= need
}

// matched counts the sets that can each be given a person of their own.
func matched(sets [][]int) int {
	n := 0
	for _, ok := range match(sets) {
		if ok {
			n++
		}
	}
	return n
}

// match gives sets a person each, nobody to two of them, and says for each set whether it got one. As
// many are served as can be at once, and among equals those that stand first in the policy; that does
// not depend on the order of the people. It is Kuhn's search for augmenting paths.
func match(sets [][]int) []bool {
	holder := map[int]int{} // person -> set
	served := make([]bool, len(sets))
	var seek func(set int, tried map[int]bool) bool
	seek = func(set int, tried map[int]bool) bool {
		for _, person := range sets[set] {
			if tried[person] {
				continue
			}
			tried[person] = true
			other, held := holder[person]
			if !held || seek(other, tried) {
				holder[person] = set
				return true
			}
		}
		return false
	}
	for i := range sets {
		served[i] = seek(i, map[int]bool{})
	}
	return served
}

// rings refuses scenarios that are granted along with each other in a circle, and says whether there is none.
func (r *reader) rings(scenarios []Scenario, f fields) (none bool) {
	with := map[string][]string{}
	for _, s := range scenarios {
		with[s.Name] = s.With
	}
	var reaches func(from, to string, seen map[string]bool) bool
	reaches = func(from, to string, seen map[string]bool) bool {
		for _, next := range with[from] {
			if next == to {
				return true
			}
			if !seen[next] {
				seen[next] = true
				if reaches(next, to, seen) {
					return true
				}
			}
		}
		return false
	}
	none = true
	for _, s := range scenarios {
		if !reaches(s.Name, s.Name, map[string]bool{}) {
			continue
		}
		none = false
		entry := f.n.get("scenarios").value.get(s.Name)
		r.fault(entry.value.get("with").value.at, join(join("scenarios", s.Name), "with"),
			"comes back to the scenario itself", "a circle has no beginning; remove one of its steps")
	}
	return none
}
