package aws

import (
	"context"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"breakglass/store"
)

// turn lets one at a time in. It is a channel and no mutex, because its holder calls AWS meanwhile.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave lets the next one in.
func (t turn) leave() { <-t }

// instance is Identity Center's instance and its directory. Neither ever changes for an instance, so they are looked up once.
type instance struct {
	wanted string // the ARN that the policy names, or ""
	turn   turn
	found  chan found // holds the answer once there is one; read and put back by whoever has the turn
}

type found struct {
	arn   string // arn:aws:sso:::instance/ssoins-…
	store string // d-…
	owner string // account that owns it; "" where AWS does not say
}

func newInstance(wanted string) instance {
	return instance{wanted: wanted, turn: newTurn(), found: make(chan found, 1)}
}

// theInstance looks the instance up, or remembers it. A failed lookup is not remembered.
func (c *Connection) theInstance(ctx context.Context) (found, error) {
	in := &c.instance
	if err := in.turn.take(ctx); err != nil {
		return found{}, fmt.Errorf("waiting for the Identity Center instance: %w", err)
	}
	defer in.turn.leave()
	select {
	case f := <-in.found:
		in.found <- f
		return f, nil
	default:
	}
	all, err := c.listInstances(ctx)
	if err != nil {
		return found{}, err
	}
	f, err := choose(all, in.wanted)
	if err != nil {
		return found{}, err
	}
	in.found <- f
	return f, nil
}

// listInstances reads all pages: an organisation's instance and account instances are listed alike. Whoever comes while it is asked waits for it,
// a removal that is overdue among them, so it is nobody's turn before it.
func (c *Connection) listInstances(ctx context.Context) ([]types.InstanceMetadata, error) {
	ctx = store.Overdue(ctx, time.Unix(0, 0))
	var all []types.InstanceMetadata
	var next *string
	for {
		out, err := call(ctx, c, c.ssoAdmin, "ListInstances", reading, func(ctx context.Context) (*ssoadmin.ListInstancesOutput, error) {
			return c.admin.ListInstances(ctx, &ssoadmin.ListInstancesInput{NextToken: next})
		})
		if err != nil {
			return nil, explain("looking up the Identity Center instance", err)
		}
		all = append(all, out.Instances...)
		if next = out.NextToken; sdk.ToString(next) == "" {
			return all, nil
		}
	}
}

// choose takes the instance the policy names, or the only one. An account can see its own account instance beside the
// organisation's, and assignments in the wrong one would open nothing: that choice is the operator's.
func choose(all []types.InstanceMetadata, wanted string) (found, error) {
	var arns []string
	for _, i := range all {
		arn := sdk.ToString(i.InstanceArn)
		if arn == wanted || wanted == "" && len(all) == 1 {
			return found{arn: arn, store: sdk.ToString(i.IdentityStoreId), owner: sdk.ToString(i.OwnerAccountId)}, nil
		}
		arns = append(arns, arn)
	}
	r := &store.Refusal{Code: "NoInstance"}
	switch {
	case len(all) == 0:
		r.Message = "there is no IAM Identity Center instance in this Region for these credentials: check identity_center.region, " +
			"and that the bot runs in the management account or in Identity Center's delegated administrator"
	case wanted != "":
		r.Message = fmt.Sprintf("the instance %s of identity_center.instance_arn is not among those these credentials see: %s",
			wanted, strings.Join(arns, ", "))
	default:
		r.Code = "SeveralInstances"
		r.Message = "several IAM Identity Center instances are visible: set identity_center.instance_arn in the policy to one of " +
			strings.Join(arns, ", ")
	}
	return found{}, r
}
