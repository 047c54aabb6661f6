// A little of EC2, for sessions to have something to look at and something to break. EC2 has its own ways with errors
// (Client.UnauthorizedOperation in the trail, UnauthorizedOperation on the wire) and with lists (InstanceId.1).

package awstwin

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

// instanceState is an EC2 instance. It stops and starts at once: the seconds between are of no use here.
type instanceState struct {
	id, name, state string
	launched        time.Time
	tags            map[string]string
}

// Instance is an EC2 instance as tests and the page see it.
type Instance struct{ ID, Name, State, AccountID, Region string }

// AddInstance puts a running EC2 instance into an account and Region.
func (o *Organization) AddInstance(accountID, region, id, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.must(accountID).in(region).instances[id] = &instanceState{id: id, name: name, state: "running", launched: o.cfg.Now(), tags: map[string]string{"Name": name}}
	o.changed()
}

// Instances are the EC2 instances of an account, in all Regions, by id.
func (o *Organization) Instances(accountID string) []Instance {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []Instance
	if a := o.accounts[accountID]; a != nil {
		for region, r := range a.regions {
			for _, i := range r.instances {
				all = append(all, Instance{i.id, i.name, i.state, accountID, region})
			}
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].ID < all[j].ID })
	return all
}

func ec2Service() *service {
	change := func(to string) *operation {
		return &operation{resources: instanceARNs, notes: noteInstances, run: func(c *call) (any, error) { return changeInstances(c, to) }}
	}
	return &service{name: "ec2", scope: "ec2", source: "ec2.amazonaws.com", prefix: "ec2", proto: protoEC2,
		ops: map[string]*operation{
			"DescribeInstances":  {run: describeInstances, read: true, notes: noteInstances},
			"DescribeRegions":    {run: describeRegions, read: true},
			"StartInstances":     change("running"),
			"StopInstances":      change("stopped"),
			"TerminateInstances": change("terminated"),
			"RebootInstances":    change(""),
		}}
}

func (c *call) numbered(prefix string) []string {
	var all []string
	for i := 1; ; i++ {
		v := c.form.Get(fmt.Sprintf("%s.%d", prefix, i))
		if v == "" {
			return all
		}
		all = append(all, v)
	}
}

func instanceARNs(c *call) []string {
	var arns []string
	for _, id := range c.numbered("InstanceId") {
		arns = append(arns, c.place().arn("ec2", "instance/"+id))
	}
	return arns
}

// noteInstances writes the request as CloudTrail has it for EC2: instancesSet with items.
func noteInstances(c *call) {
	items := []any{}
	for _, id := range c.numbered("InstanceId") {
		items = append(items, map[string]any{"instanceId": id})
		c.trail.resources = append(c.trail.resources, trailResource{"AWS::EC2::Instance", id})
	}
	c.trail.params = map[string]any{"instancesSet": map[string]any{"items": items}}
}

func stateNode(name, state string) node {
	code := map[string]int{"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}[state]
	return el(name, val("code", code), val("name", state))
}

func (c *call) pickInstances() ([]*instanceState, error) {
	var all []*instanceState
	ids := c.numbered("InstanceId")
	if len(ids) == 0 {
		for _, i := range c.place().instances {
			all = append(all, i)
		}
	}
	for _, id := range ids {
		i := c.place().instances[id]
		if i == nil {
			return nil, fail("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		}
		all = append(all, i)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].id < all[j].id })
	return all, nil
}

func describeInstances(c *call) (any, error) {
	all, err := c.pickInstances()
	if err != nil {
		return nil, err
	}
	each := func(i *instanceState) []node {
		tags := list("tagSet", "item", []string{"Name"}, func(k string) []node { return []node{val("key", k), val("value", i.tags[k])} })
		return []node{val("reservationId", "r-"+strings.TrimPrefix(i.id, "i-")), val("ownerId", c.who.account),
			el("instancesSet", el("item", val("instanceId", i.id), val("imageId", "ami-0sandbox"), stateNode("instanceState", i.state),
				val("instanceType", "m7g.large"), val("launchTime", stamp(i.launched)), val("privateIpAddress", "10.0.0.10"), tags))}
	}
	return []node{list("reservationSet", "item", all, each)}, nil
}

func changeInstances(c *call, to string) (any, error) {
	if len(c.numbered("InstanceId")) == 0 {
		return nil, fail("MissingParameter", "The request must contain the parameter InstanceId")
	}
	all, err := c.pickInstances()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if i.state == "terminated" && to != "terminated" {
			return nil, fail("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be changed.", i.id)
		}
	}
	if to == "" {
		return []node{val("return", true)}, nil
	}
	items, answer := []any{}, el("instancesSet")
	for _, i := range all {
		before := i.state
		i.state = to
		answer.kids = append(answer.kids, el("item", val("instanceId", i.id), stateNode("currentState", to), stateNode("previousState", before)))
		items = append(items, map[string]any{"instanceId": i.id, "currentState": map[string]any{"name": to}, "previousState": map[string]any{"name": before}})
	}
	c.trail.response = map[string]any{"requestId": c.id, "instancesSet": map[string]any{"items": items}}
	return []node{answer}, nil
}

// describeRegions gives the Regions in which the account has something, and those that every account begins with here.
func describeRegions(c *call) (any, error) {
	seen := map[string]bool{"us-east-1": true, "us-west-2": true, c.org.cfg.Region: true}
	for r := range c.account().regions {
		seen[r] = true
	}
	var names []string
	for r := range seen {
		names = append(names, r)
	}
	sort.Strings(names)
	each := func(r string) []node {
		return []node{val("regionName", r), val("regionEndpoint", "ec2."+r+".amazonaws.com"), val("optInStatus", "opt-in-not-required")}
	}
	return []node{list("regionInfo", "item", names, each)}, nil
}
