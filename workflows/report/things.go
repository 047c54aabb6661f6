package report

import (
	"slices"
	"strings"

	"breakglass/store"
)

// things are what changes went to, by name: tables and databases apart, since a change there is the one that nobody can undo by a
// deployment.
type things struct {
	tables, others map[string]struct{}
	more           int // changes to a thing for which there was no room; some may be of one thing
}

// add takes a change that went through.
func (t *things) add(r store.Record) {
	if r.Resource == "" {
		return
	}
	if t.tables == nil {
		t.tables, t.others = map[string]struct{}{}, map[string]struct{}{}
	}
	place, isTable := tableStore(r)
	for part := range strings.SplitSeq(r.Resource, ", ") {
		if isTable {
			if name := tableName(r.Service, part); name != "" {
				t.put(t.tables, place+" "+name)
			}
			continue
		}
		t.put(t.others, r.Service+" "+part)
	}
}

func (t *things) put(set map[string]struct{}, name string) {
	if _, ok := set[name]; ok {
		return
	}
	if len(set) >= mostThings {
		t.more++
		return
	}
	set[name] = struct{}{}
}

// names are both lists, sorted, and how many names they leave out.
func (t *things) names() (tables, others []string, more int) {
	more = t.more
	first := func(set map[string]struct{}) []string {
		all := make([]string, 0, len(set))
		for n := range set {
			all = append(all, n)
		}
		slices.Sort(all)
		if len(all) > store.MostNames {
			more += len(all) - store.MostNames
			all = slices.Clip(all[:store.MostNames])
		}
		if len(all) == 0 {
			return nil
		}
		return all
	}
	return first(t.tables), first(t.others), more
}

// tableStore is what people call the kind of database that a change went to; ok is false where it went to none. RDS has much that
// is no database, and Glue much that is no table.
func tableStore(r store.Record) (name string, ok bool) {
	a := r.Action
	switch r.Service {
	case "dynamodb":
		return "DynamoDB", true
	case "rds":
		if strings.Contains(a, "ParameterGroup") || strings.Contains(a, "SubnetGroup") || strings.Contains(a, "SecurityGroup") || strings.Contains(a, "OptionGroup") || strings.Contains(a, "EventSubscription") {
			return "", false
		}
		return "RDS", strings.Contains(a, "DB") || strings.Contains(a, "GlobalCluster")
	case "rds-data":
		return "RDS", true
	case "redshift", "redshift-serverless", "redshift-data":
		return "Redshift", !strings.Contains(a, "ParameterGroup") && !strings.Contains(a, "SubnetGroup")
	case "cassandra":
		return "Keyspaces", true
	case "glue":
		return "Glue", strings.Contains(a, "Table") || strings.Contains(a, "Database") || strings.Contains(a, "Partition")
	}
	return "", false
}

// tableName is the name in an ARN or, where it is none, the name itself. "" is what names something of another service, such as the key
// that encrypts a table.
func tableName(service, resource string) string {
	if !strings.HasPrefix(resource, "arn:") {
		return resource
	}
	parts := strings.SplitN(resource, ":", 6)
	if len(parts) != 6 || parts[2] != service && !(service == "rds-data" && parts[2] == "rds") {
		return ""
	}
	name := parts[5]
	for _, kind := range []string{"table/", "/keyspace/", "database/", "db:", "cluster:", "cluster/", "global-table/"} {
		if rest, ok := strings.CutPrefix(name, kind); ok {
			name = rest
			break
		}
	}
	if service == "dynamodb" { // table/orders/index/by-day, table/orders/backup/0157…
		name, _, _ = strings.Cut(name, "/")
	}
	return strings.Replace(name, "/table/", ".", 1) // a keyspace's
}
