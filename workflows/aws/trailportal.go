package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"breakglass/store"
)

// The access portal, where people take their credentials: its events are in the account that owns Identity Center, in Identity Center's Region, and say whose they
// are by onBehalfOf alone (Identity Center user guide, CloudTrail use cases). They have no user name to look them up by, so they are looked up by
// what was done. Looking them up by the service would bring all administration of Identity Center along, the bot's own calls first of all.
var portalActions = []string{"Authenticate", "Federate", "GetRoleCredentials", "ListAccountRoles", "ListAccounts", "ListApplications"}

// portalSource is the event source of the portal, and of Identity Center's administration.
const portalSource = "sso.amazonaws.com"

func (t *Trail) portalPlace(q store.Query) place {
	p := place{name: portalName}
	q.To = q.To.Add(-after) // what is done in the portal after the end is no part of the session: nothing outlives it there
	for _, action := range portalActions {
		p.questions = append(p.questions, question{of: portalName + " " + action, needs: needsLookup, ask: func(ctx context.Context, m store.Mark, give func(batch)) error {
			cfg, account, err := t.c.owner(ctx)
			if err != nil {
				return err
			}
			region := t.c.cfg.Region
			return t.lookup(ctx, lookupsOf(cfg, region), t.c.trailQuota(account, region), account, q, m, types.LookupAttributeKeyEventName, action, give)
		}})
	}
	return p
}

// owner is the configuration for calls into the account that owns Identity Center, and that account: through the owner role, which is a name or an ARN, or with
// the bot's own credentials, if they are of that account. In any other they would find nothing, and nobody would know that there was something.
func (c *Connection) owner(ctx context.Context) (sdk.Config, string, error) {
	in, err := c.theInstance(ctx)
	if err != nil {
		return sdk.Config{}, "", told(clean("it is not known which account owns Identity Center: "+plain(err), 120))
	}
	cfg, account, role := c.home.Copy(), in.owner, c.cfg.OwnerRole
	if role == "" {
		out, err := call(ctx, c, c.stsCalls, "GetCallerIdentity", reading, func(ctx context.Context) (*sts.GetCallerIdentityOutput, error) {
			return c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		})
		if err != nil {
			return cfg, "", fmt.Errorf("asking whose credentials these are: %w", err)
		}
		if own := sdk.ToString(out.Account); account == "" || own == account {
			return cfg, own, nil
		}
		return cfg, "", told(fmt.Sprintf("its events are in account %s, which no role was given for (BREAKGLASS_OWNER_ROLE)", clean(account, 12)))
	}
	if parts := strings.SplitN(role, ":", 6); len(parts) == 6 {
		account = parts[4]
	} else if account == "" {
		return cfg, "", told("AWS does not say which account owns Identity Center: give the owner role as an ARN")
	} else {
		role = fmt.Sprintf("arn:%s:iam::%s:role/%s", partition(c.cfg.Region), account, strings.TrimPrefix(role, "/"))
	}
	cfg.Credentials = c.role(role)
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return cfg, "", &roleError{role: role, err: err}
	}
	return cfg, account, nil
}

// ofPortal says whether an event is the person's own doing in the access portal during the session. What names an account or a permission set must name the
// session's; what names none (signing in, listing the accounts) leads to it and counts too. The type of the identity says nothing: it is IdentityCenterUser or
// Unknown (Identity Center user guide).
func (e *trailEvent) ofPortal(q store.Query) bool {
	if e.EventSource != portalSource || q.Set == "" || q.UserID == "" || e.UserIdentity.OnBehalfOf.UserID != q.UserID {
		return false
	}
	d := e.ServiceEventDetails
	return slices.Contains(portalActions, e.EventName) && (d.AccountID == "" || d.AccountID == q.Account.ID) && (d.RoleName == "" || d.RoleName == q.Set) &&
		!e.EventTime.Before(q.From.Add(-before)) && !e.EventTime.After(q.To)
}
