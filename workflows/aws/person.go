package aws

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	"github.com/aws/aws-sdk-go-v2/service/identitystore/document"
	"github.com/aws/aws-sdk-go-v2/service/identitystore/types"

	"breakglass/store"
)

// enterprise is the only extension DescribeUser knows; the manager is in it (API reference of DescribeUser, example 2).
const enterprise = "aws:identitystore:enterprise"

// describe reads one person. Where the extension is refused, which an identity store or a policy may do, people are read without
// it for a while, and have no manager.
func (d *Directory) describe(ctx context.Context, userID string) (store.Principal, error) {
	in, err := d.c.theInstance(ctx)
	if err != nil {
		return store.Principal{}, err
	}
	extensions := []string{enterprise}
	if d.plain.is() {
		extensions = nil
	}
	out, err := d.describeUser(ctx, in.store, userID, extensions)
	if c := code(err); extensions != nil && (c == "ValidationException" || c == "AccessDeniedException") {
		refused := err
		if out, err = d.describeUser(ctx, in.store, userID, nil); err == nil {
			d.plain.set(10 * time.Minute)
			d.c.log.Warn("the identity store refuses the enterprise extension: nobody has a manager", "error", refused)
		}
	}
	if missing(err) {
		return store.Principal{}, store.ErrNobody
	}
	if err != nil {
		return store.Principal{}, explain("reading a person", err)
	}
	return principal(out), nil
}

// describeUser asks with or without the extension; the error is the SDK's.
func (d *Directory) describeUser(ctx context.Context, identityStore, userID string, extensions []string) (*identitystore.DescribeUserOutput, error) {
	return call(ctx, d.c, d.c.identity, "DescribeUser", reading, func(ctx context.Context) (*identitystore.DescribeUserOutput, error) {
		return d.c.directory.DescribeUser(ctx, &identitystore.DescribeUserInput{
			IdentityStoreId: &identityStore, UserId: &userID, Extensions: extensions})
	})
}

// principal reads a description. A missing UserStatus is enabled: it came to the API late, and stores that do not know it have no way
// to disable anybody.
func principal(u *identitystore.DescribeUserOutput) store.Principal {
	return store.Principal{
		UserID:      sdk.ToString(u.UserId),
		UserName:    sdk.ToString(u.UserName),
		Email:       emailOf(u.Emails),
		DisplayName: clean(sdk.ToString(u.DisplayName), 200),
		Enabled:     u.UserStatus == "" || u.UserStatus == types.UserStatusEnabled,
		ManagerID:   managerOf(u.Extensions[enterprise]),
	}
}

// emailOf is the primary address, else the first. Identity Center keeps one.
func emailOf(all []types.Email) string {
	for _, e := range all {
		if e.Primary {
			return sdk.ToString(e.Value)
		}
	}
	if len(all) > 0 {
		return sdk.ToString(all[0].Value)
	}
	return ""
}

// managerOf reads the extension.
func managerOf(doc document.Interface) string {
	if doc == nil {
		return ""
	}
	var ext map[string]any
	if err := doc.UnmarshalSmithyDocument(&ext); err != nil {
		return ""
	}
	return managerIn(ext)
}

// managerIn finds the manager's user id in the extension: manager.value by the API reference. SCIM clients are seen to send
// other shapes, and what they send is handed on: names in another case, a bare string, or a $ref that ends in the id. What
// cannot be a user id is no manager.
func managerIn(ext map[string]any) string {
	switch m := field(ext, "manager").(type) {
	case string:
		return userID(m)
	case map[string]any:
		if id, ok := field(m, "value").(string); ok && userID(id) != "" {
			return userID(id)
		}
		if ref, ok := field(m, "$ref").(string); ok {
			return userID(ref[strings.LastIndexByte(ref, '/')+1:])
		}
	}
	return ""
}

// field finds a member by its name in any case.
func field(m map[string]any, name string) any {
	for k, v := range m {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return nil
}

// userID passes what is a user id by its form: a GUID, in older directories after ten hex digits and a hyphen (API reference of
// DescribeUser). Companies are seen to provision an employee number or an address as the manager; asking for that would be
// answered with a ValidationException, which reads like a directory that is out of order.
func userID(s string) string {
	s = strings.TrimSpace(s)
	groups := strings.Split(s, "-")
	if len(groups) == 6 && len(groups[0]) == 10 && isHex(groups[0]) {
		groups = groups[1:]
	}
	if len(groups) != 5 {
		return ""
	}
	for i, n := range []int{8, 4, 4, 4, 12} {
		if len(groups[i]) != n || !isHex(groups[i]) {
			return ""
		}
	}
	return s
}

func isHex(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'f') && (r < 'A' || r > 'F')
	}) < 0
}

// groupIDs remembers the ids of groups by their display names. Nothing about who is in them is kept.
type groupIDs struct {
	c    *Connection
	turn turn // one asks, the others find the answer: fifty forms at once must not ask for each group fifty times

	mu     sync.Mutex // never held while a call is on its way
	known  map[string]groupID
	warned map[string]bool
}

type groupID struct {
	id    string // "" for a group that does not exist
	until time.Time
}

// How long names of groups are believed: a renamed group is noticed after ten minutes, one that was made just now after one.
const (
	groupKept   = 10 * time.Minute
	noGroupKept = time.Minute
)

func newGroupIDs(c *Connection) *groupIDs {
	return &groupIDs{c: c, turn: newTurn(), known: map[string]groupID{}, warned: map[string]bool{}}
}

// lookup returns the id of each group, "" for one that does not exist, which is logged once. Unknown names are asked for at the
// same time.
func (g *groupIDs) lookup(ctx context.Context, names []string) (map[string]string, error) {
	ids, unknown := g.cached(names)
	if len(unknown) == 0 {
		return ids, nil
	}
	if err := g.turn.take(ctx); err != nil {
		return nil, err
	}
	defer g.turn.leave()
	if ids, unknown = g.cached(names); len(unknown) == 0 {
		return ids, nil
	}
	in, err := g.c.theInstance(ctx)
	if err != nil {
		return nil, err
	}
	answers, err := each(ctx, 8, unknown, func(ctx context.Context, name string) (string, error) {
		return g.ask(ctx, in.store, name)
	})
	if err != nil {
		return nil, err
	}
	for i, name := range unknown {
		ids[name] = answers[i]
		g.keep(name, answers[i])
	}
	return ids, nil
}

// cached is what is known and still believed, and the names that have to be asked for, each once.
func (g *groupIDs) cached(names []string) (ids map[string]string, unknown []string) {
	now := g.c.now()
	ids = make(map[string]string, len(names))
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		if _, twice := ids[name]; twice {
			continue
		}
		k, ok := g.known[name]
		if ids[name] = k.id; !ok || !now.Before(k.until) {
			unknown = append(unknown, name)
		}
	}
	return ids, unknown
}

// ask looks one group up. A display name is unique in an identity store, so there is one or none.
func (g *groupIDs) ask(ctx context.Context, identityStore, name string) (string, error) {
	out, err := call(ctx, g.c, g.c.identity, "GetGroupId", reading, func(ctx context.Context) (*identitystore.GetGroupIdOutput, error) {
		return g.c.directory.GetGroupId(ctx, &identitystore.GetGroupIdInput{IdentityStoreId: &identityStore,
			AlternateIdentifier: unique("displayName", name)})
	})
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", explain("looking up the group "+name, err)
	}
	if id := sdk.ToString(out.GroupId); id != "" {
		return id, nil
	}
	return "", errors.New("looking up the group " + name + ": AWS answered without an id")
}

// keep remembers an answer, and says once of each name that nobody has it: a typing error in a policy locks people out, which
// should be found in a log and not by night.
func (g *groupIDs) keep(name, id string) {
	kept := groupKept
	if id == "" {
		kept = noGroupKept
	}
	g.mu.Lock()
	g.known[name] = groupID{id: id, until: g.c.now().Add(kept)}
	first := id == "" && !g.warned[name]
	if first {
		g.warned[name] = true
	}
	g.mu.Unlock()
	if first {
		g.c.log.Warn("Identity Center has no such group: nobody counts as a member", "group", name)
	}
}

// forget makes the next lookup ask, as when AWS did not know an id that was remembered.
func (g *groupIDs) forget(names ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		delete(g.known, name)
	}
}

// expiring is something that is believed for a while.
type expiring struct {
	now   func() time.Time
	mu    sync.Mutex
	until time.Time
}

func (e *expiring) is() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now().Before(e.until)
}

func (e *expiring) set(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.until = e.now().Add(d)
}
