// IAM users with keys and passwords: the way in that is left when Identity Center is down, and its traces. Rotation shows in
// the dates of keys and of the credential report; GetLoginProfile keeps the date of the first password.

package awstwin

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// iamUser is an IAM user with its keys, password and MFA device.
type iamUser struct {
	name, arn, id, account string
	created                time.Time
	admin                  bool // allowed everything; the bot without policies of its own
	inline                 map[string]*namedPolicy
	attached               []string
	mfa                    string // serial of the device
	keys                   []*accessKey
	login                  *loginProfile
	passwordUsed           time.Time
}

type accessKey struct {
	id, status string
	created    time.Time
	used       time.Time
	service    string
	region     string
}

// loginProfile keeps both dates: IAM's API tells the first alone ("the date you created the initial password"), the
// credential report the second.
type loginProfile struct{ created, changed time.Time }

// active says whether a key may be used; the bot's own keys and portal keys are not in the user's list and always may.
func (u *iamUser) active(key string) bool {
	for _, k := range u.keys {
		if k.id == key {
			return k.status == "Active"
		}
	}
	return true
}

func (u *iamUser) noteUse(c *call, key string) {
	for _, k := range u.keys {
		if k.id == key {
			k.used, k.service, k.region = c.at, c.svc.name, c.region
		}
	}
}

func (o *Organization) newIAMUser(a *account, name string) *iamUser {
	u := &iamUser{name: name, arn: "arn:aws:iam::" + a.id + ":user/" + name, id: o.unique("AIDA"), account: a.id, created: o.cfg.Now(),
		inline: map[string]*namedPolicy{}}
	a.users[name] = u
	return u
}

// IAMUser is what AddIAMUser takes.
type IAMUser struct {
	Name     string
	MFA      bool // has a device, whose serial is arn:aws:iam::ACCOUNT:mfa/NAME
	Password bool // has a login profile
	Policies map[string]string
}

// Keys are a pair of access keys.
type Keys struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// AddIAMUser adds an IAM user with one access key to an account.
func (o *Organization) AddIAMUser(accountID string, in IAMUser) Keys {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	u := o.newIAMUser(o.must(accountID), in.Name)
	if in.MFA {
		u.mfa = "arn:aws:iam::" + accountID + ":mfa/" + in.Name
	}
	if in.Password {
		u.login = &loginProfile{o.cfg.Now(), o.cfg.Now()}
	}
	for name, text := range in.Policies {
		u.inline[name] = mustPolicy(name, text)
	}
	k := o.addKey(u, o.cfg.Now())
	o.changed()
	return Keys{AccessKeyID: k.accessKey, SecretAccessKey: k.secret}
}

func (o *Organization) addKey(u *iamUser, now time.Time) *identity {
	k := &accessKey{id: o.unique("AKIA"), status: "Active", created: now}
	u.keys = append(u.keys, k)
	id := &identity{kind: kindIAMUser, account: u.account, arn: u.arn, userID: u.id, name: u.name, user: u, accessKey: k.id, secret: o.lower(40)}
	o.keys[k.id] = id
	return id
}

func iamUserOperations() map[string]*operation {
	return map[string]*operation{
		"CreateUser":               onUser(&operation{run: createUser}),
		"GetUser":                  onUser(&operation{run: getUser, read: true}),
		"DeleteUser":               onUser(&operation{run: deleteUser}),
		"CreateAccessKey":          onUser(&operation{run: createAccessKey}),
		"ListAccessKeys":           onUser(&operation{run: listAccessKeys, read: true}),
		"UpdateAccessKey":          onUser(&operation{run: updateAccessKey}),
		"DeleteAccessKey":          onUser(&operation{run: deleteAccessKey}),
		"GetAccessKeyLastUsed":     {run: keyLastUsed, read: true},
		"CreateLoginProfile":       onUser(&operation{run: createLogin}),
		"GetLoginProfile":          onUser(&operation{run: getLogin, read: true}),
		"UpdateLoginProfile":       onUser(&operation{run: updateLogin}),
		"DeleteLoginProfile":       onUser(&operation{run: deleteLogin}),
		"ListMFADevices":           onUser(&operation{run: listMFA, read: true}),
		"GenerateCredentialReport": {run: generateReport},
		"GetCredentialReport":      {run: getReport, read: true},
	}
}

func onUser(op *operation) *operation {
	op.notes = func(c *call) {
		if n := c.userName(); n != "" {
			c.trail.params = map[string]any{"userName": n}
			c.trail.resources = []trailResource{{"AWS::IAM::User", n}}
		}
	}
	return op.on(func(c *call) []string { return []string{"arn:aws:iam::" + c.who.account + ":user/" + c.userName()} })
}

// userName defaults to the caller's own.
func (c *call) userName() string {
	if n := c.form.Get("UserName"); n != "" || c.who.user == nil {
		return n
	}
	return c.who.user.name
}

func (c *call) user() (*iamUser, error) {
	if u := c.account().users[c.userName()]; u != nil {
		return u, nil
	}
	return nil, noEntity("The user with name %s cannot be found.", c.userName())
}

func (u *iamUser) nodes() []node {
	n := []node{val("Path", "/"), val("UserName", u.name), val("UserId", u.id), val("Arn", u.arn), val("CreateDate", stamp(u.created))}
	if !u.passwordUsed.IsZero() {
		n = append(n, val("PasswordLastUsed", stamp(u.passwordUsed)))
	}
	return n
}

func createUser(c *call) (any, error) {
	name := c.form.Get("UserName")
	if c.account().users[name] != nil {
		return nil, fail("EntityAlreadyExists", "User with name %s already exists.", name).status(409)
	}
	u := c.org.newIAMUser(c.account(), name)
	c.trail.response = map[string]any{"user": map[string]any{"userName": u.name, "userId": u.id, "arn": u.arn}}
	return []node{el("User", u.nodes()...)}, nil
}

func getUser(c *call) (any, error) {
	u, err := c.user()
	if err != nil {
		return nil, err
	}
	return []node{el("User", u.nodes()...)}, nil
}

func deleteUser(c *call) (any, error) {
	u, err := c.user()
	if err != nil {
		return nil, err
	}
	if len(u.keys) > 0 || u.login != nil {
		return nil, fail("DeleteConflict", "Cannot delete entity, must delete access keys and login profile first.").status(409)
	}
	delete(c.account().users, u.name)
	return nil, nil
}

// createAccessKey: two keys for each user at most.
func createAccessKey(c *call) (any, error) {
	u, err := c.user()
	if err != nil {
		return nil, err
	}
	if len(u.keys) >= 2 {
		return nil, fail("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2").status(409)
	}
	id := c.org.addKey(u, c.at)
	c.trail.response = map[string]any{"accessKey": map[string]any{"userName": u.name, "accessKeyId": id.accessKey, "status": "Active"}}
	return []node{el("AccessKey", val("UserName", u.name), val("AccessKeyId", id.accessKey), val("Status", "Active"),
		val("SecretAccessKey", id.secret), val("CreateDate", stamp(c.at)))}, nil
}

func listAccessKeys(c *call) (any, error) {
	u, err := c.user()
	if err != nil {
		return nil, err
	}
	each := func(k *accessKey) []node {
		return []node{val("UserName", u.name), val("AccessKeyId", k.id), val("Status", k.status), val("CreateDate", stamp(k.created))}
	}
	return []node{list("AccessKeyMetadata", "member", u.keys, each), val("IsTruncated", false)}, nil
}

func (c *call) key() (*iamUser, int, error) {
	u, err := c.user()
	if err != nil {
		return nil, 0, err
	}
	for i, k := range u.keys {
		if k.id == c.form.Get("AccessKeyId") {
			return u, i, nil
		}
	}
	return nil, 0, noEntity("The Access Key with id %s cannot be found.", c.form.Get("AccessKeyId"))
}

func updateAccessKey(c *call) (any, error) {
	u, i, err := c.key()
	if err != nil {
		return nil, err
	}
	if s := c.form.Get("Status"); s != "Active" && s != "Inactive" {
		return nil, stsInvalid("status", s, "Member must satisfy enum value set: [Active, Inactive]")
	}
	u.keys[i].status = c.form.Get("Status")
	return nil, nil
}

func deleteAccessKey(c *call) (any, error) {
	u, i, err := c.key()
	if err != nil {
		return nil, err
	}
	delete(c.org.keys, u.keys[i].id)
	u.keys = append(u.keys[:i:i], u.keys[i+1:]...)
	return nil, nil
}

func keyLastUsed(c *call) (any, error) {
	id := c.org.keys[c.form.Get("AccessKeyId")]
	if id == nil || id.user == nil || id.account != c.who.account {
		return nil, fail("AccessDenied", "no such key in this account").status(403)
	}
	used := el("AccessKeyLastUsed", val("ServiceName", "N/A"), val("Region", "N/A"))
	for _, k := range id.user.keys {
		if k.id == id.accessKey && !k.used.IsZero() {
			used = el("AccessKeyLastUsed", val("LastUsedDate", stamp(k.used)), val("ServiceName", k.service), val("Region", k.region))
		}
	}
	return []node{val("UserName", id.user.name), used}, nil
}

func loginNode(u *iamUser) []node {
	return []node{el("LoginProfile", val("UserName", u.name), val("CreateDate", stamp(u.login.created)), val("PasswordResetRequired", false))}
}

func createLogin(c *call) (any, error) {
	u, err := c.user()
	if err != nil {
		return nil, err
	}
	if u.login != nil {
		return nil, fail("EntityAlreadyExists", "Login Profile for user %s already exists.", u.name).status(409)
	}
	u.login = &loginProfile{c.at, c.at}
	return loginNode(u), nil
}

func getLogin(c *call) (any, error) {
	u, err := c.user()
	if err != nil {
		return nil, err
	}
	if u.login == nil {
		return nil, noEntity("Login Profile for User %s cannot be found.", u.name)
	}
	return loginNode(u), nil
}

// updateLogin moves the report's date and leaves GetLoginProfile's where it was.
func updateLogin(c *call) (any, error) {
	u, err := c.user()
	if err != nil {
		return nil, err
	}
	if u.login == nil {
		return nil, noEntity("Login Profile for User %s cannot be found.", u.name)
	}
	u.login.changed = c.at
	return nil, nil
}

func deleteLogin(c *call) (any, error) {
	u, err := c.user()
	if err != nil {
		return nil, err
	}
	if u.login == nil {
		return nil, noEntity("Login Profile for User %s cannot be found.", u.name)
	}
	u.login = nil
	return nil, nil
}

func listMFA(c *call) (any, error) {
	u, err := c.user()
	if err != nil {
		return nil, err
	}
	var serials []string
	if u.mfa != "" {
		serials = append(serials, u.mfa)
	}
	each := func(s string) []node {
		return []node{val("UserName", u.name), val("SerialNumber", s), val("EnableDate", stamp(u.created))}
	}
	return []node{list("MFADevices", "member", serials, each), val("IsTruncated", false)}, nil
}

func generateReport(c *call) (any, error) {
	return []node{val("State", "COMPLETE"), val("Description", "No report exists. Starting a new report generation task")}, nil
}

// getReport is made when it is asked for; AWS makes one every four hours at most.
func getReport(c *call) (any, error) {
	var b strings.Builder
	b.WriteString("user,arn,user_creation_time,password_enabled,password_last_changed,mfa_active\n")
	for _, u := range c.account().users {
		changed := "N/A"
		if u.login != nil {
			changed = u.login.changed.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(&b, "%s,%s,%s,%t,%s,%t\n", u.name, u.arn, u.created.UTC().Format(time.RFC3339), u.login != nil, changed, u.mfa != "")
	}
	return []node{val("Content", base64.StdEncoding.EncodeToString([]byte(b.String()))), val("ReportFormat", "text/csv"),
		val("GeneratedTime", stamp(c.at))}, nil
}
