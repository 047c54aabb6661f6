// A little of RDS and DynamoDB, so that a session has something to read and to write.

package awstwin

import (
	"maps"
	"slices"
	"sort"
)

type database struct {
	id, engine, endpoint string
}

// AddDatabase puts an RDS instance into an account and Region.
func (o *Organization) AddDatabase(accountID, region, id, engine string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.must(accountID).in(region).databases[id] = &database{id: id, engine: engine, endpoint: id + ".c" + o.lower(11) + "." + region + ".rds.amazonaws.com"}
}

// AddTable puts a DynamoDB table into an account and Region.
func (o *Organization) AddTable(accountID, region, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.must(accountID).in(region).tables[name] = map[string]any{}
}

func rdsService() *service {
	return &service{name: "rds", scope: "rds", source: "rds.amazonaws.com", prefix: "rds", proto: protoQuery, xmlns: "http://rds.amazonaws.com/doc/2014-10-31/",
		ops: map[string]*operation{"DescribeDBInstances": {run: describeDatabases, read: true}}}
}

func describeDatabases(c *call) (any, error) {
	want, all := c.form.Get("DBInstanceIdentifier"), []*database{}
	for _, d := range c.place().databases {
		if want == "" || d.id == want {
			all = append(all, d)
		}
	}
	if want != "" && len(all) == 0 {
		return nil, fail("DBInstanceNotFound", "DBInstance %s not found.", want).status(404)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].id < all[j].id })
	each := func(d *database) []node {
		return []node{val("DBInstanceIdentifier", d.id), val("Engine", d.engine), val("DBInstanceStatus", "available"),
			val("DBInstanceArn", c.place().arn("rds", "db:"+d.id)), val("IAMDatabaseAuthenticationEnabled", true),
			el("Endpoint", val("Address", d.endpoint), val("Port", 5432))}
	}
	return []node{list("DBInstances", "DBInstance", all, each)}, nil
}

func dynamoService() *service {
	onTable := func(op *operation) *operation {
		return op.on(func(c *call) []string {
			var in struct{ TableName string }
			_ = c.decode(&in)
			return []string{c.place().arn("dynamodb", "table/"+in.TableName)}
		})
	}
	put, get := onTable(writes(putItem)), onTable(reads(scanTable))
	put.data, get.data = true, true // items are data events: LookupEvents never has them
	return &service{name: "dynamodb", scope: "dynamodb", target: "DynamoDB_20120810", source: "dynamodb.amazonaws.com", prefix: "dynamodb", proto: protoJSON,
		ops: map[string]*operation{
			"ListTables": reads(func(c *call, _ *empty) (any, error) {
				return map[string]any{"TableNames": some(slices.Sorted(maps.Keys(c.place().tables)))}, nil
			}),
			"PutItem": put, "Scan": get,
			"DeleteTable": onTable(writes(deleteTable)),
		}}
}

type tableInput struct {
	TableName string
	Item      map[string]any
}

func (in *tableInput) table(c *call) (map[string]any, error) {
	if t := c.place().tables[in.TableName]; t != nil {
		return t, nil
	}
	return nil, fail("ResourceNotFoundException", "Requested resource not found: Table: %s not found", in.TableName)
}

func putItem(c *call, in *tableInput) (any, error) {
	t, err := in.table(c)
	if err != nil {
		return nil, err
	}
	t[string(encoded(in.Item))] = in.Item
	return empty{}, nil
}

func scanTable(c *call, in *tableInput) (any, error) {
	t, err := in.table(c)
	if err != nil {
		return nil, err
	}
	items := slices.Collect(maps.Values(t))
	return map[string]any{"Items": some(items), "Count": len(items), "ScannedCount": len(items)}, nil
}

func deleteTable(c *call, in *tableInput) (any, error) {
	if _, err := in.table(c); err != nil {
		return nil, err
	}
	delete(c.place().tables, in.TableName)
	return map[string]any{"TableDescription": map[string]any{"TableName": in.TableName, "TableStatus": "DELETING"}}, nil
}
