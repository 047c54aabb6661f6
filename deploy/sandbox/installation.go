package sandbox

import (
	"maps"
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox/awstwin"
)

// What the product's Terraform lays in a real organisation: the names that its configuration speaks of.
const (
	MemberRole    = "breakglass-bot-member" // in every account
	DeadManRole   = "arn:aws:iam::" + BotAccount + ":role/breakglass-scheduler"
	ScheduleGroup = "breakglass" // in the bot's account and Identity Center's home Region
	GuardPrefix   = "BreakGlassGuard"
	Fence         = "BreakGlassFence"
	CanaryRole    = "BreakGlassCanary" // in every production account
	CanaryGroup   = "grp-breakglass-canary"
	AdminRole     = "BreakGlassAdminRole" // in prod-wealth
	OnCallUser    = "oncall"              // the IAM user, with MFA, for whom it is
	OnCallARN     = "arn:aws:iam::" + ProdWealth + ":user/" + OnCallUser
)

// Guard is the name of the guard policy of a permission set.
func Guard(set string) string { return GuardPrefix + "-" + set }

// prods are the accounts with break-glass sets.
func prods() []string { return []string{ProdWealth, ProdCash, Prod9Squid} }

// closedSets are those whose guard refuses whoever has no line in it; the guard of the others has nothing but the lines.
func closedSets() []string {
	return []string{"Forge-Prod-BreakGlass-EC2", "Forge-Prod-BreakGlass-RDS", "Forge-Prod-BreakGlass-EKS"}
}

const readActions = `"ec2:Describe*","rds:Describe*","logs:Describe*","logs:Get*","s3:ListAllMyBuckets","dynamodb:ListTables","sts:GetCallerIdentity"`

// setPolicies are the permission sets with what they allow. Emergency may try to undo its own guard: the fence is there to stop it.
func setPolicies() map[string]string {
	return map[string]string{
		"Forge-Prod-Emergency":      document(allow(readActions + `,"ec2:*","rds:*","logs:*","s3:*","dynamodb:*","ssm:*","iam:*","sts:AssumeRole"`)),
		"Forge-Prod-BreakGlass-EC2": document(allow(readActions + `,"ssm:StartSession","ssm:TerminateSession","ec2:StopInstances","ec2:StartInstances","ec2:RebootInstances"`)),
		"Forge-Prod-BreakGlass-RDS": document(allow(readActions + `,"rds-db:connect","ssm:StartSession","sts:AssumeRole"`)),
		"Forge-Prod-BreakGlass-EKS": document(allow(readActions + `,"eks:DescribeCluster","eks:AccessKubernetesApi"`)),
		"Forge-Prod-ReadOnly":       document(allow(readActions)),
	}
}

// sets are the permission sets, the access that is meant to stand, and the empty groups that keep the roles in place.
func (w *World) sets() {
	policies := setPolicies()
	for _, name := range slices.Sorted(maps.Keys(policies)) { // in order, so that identifiers are the same each time
		w.AWS.AddPermissionSet(awstwin.PermissionSet{Name: name, InlinePolicy: policies[name], SessionDuration: time.Hour,
			CustomerManaged: []string{Guard(name), Fence}})
	}
	groups := map[string]string{}
	for _, g := range w.AWS.Groups() {
		groups[g.Name] = g.ID
	}
	w.AWS.Assign(groups["grp-forge-wealth-prod"], ProdWealth, "Forge-Prod-ReadOnly")
	for _, account := range prods() {
		for _, set := range append([]string{"Forge-Prod-Emergency"}, closedSets()...) {
			w.AWS.Assign(groups["grp-forge-breakglass-anchor"], account, set)
		}
	}
}

// install lays what the three ends need: guards and fences in their first versions, the role and the group of the schedules, the roles that
// are granted themselves, and what the proof of an installation is tried on.
func (w *World) install() {
	for _, account := range prods() {
		w.guards(account)
		w.AWS.SetRole(account, CanaryRole, trustOf("arn:aws:iam::"+BotAccount+":root"), map[string]string{"canary": document(
			allow(`"ec2:DescribeRegions"`), allowOn(`"iam:GetRole"`, roleARN(account, CanaryRole)))})
	}
	w.AWS.SetRole(ProdWealth, "developer-rds-access", trustOf("arn:aws:iam::"+ProdWealth+":root"), map[string]string{"connect": document(allow(`"rds-db:connect"`))})
	w.AWS.SetRole(ProdCash, "developer-rds-access", trustOf("arn:aws:iam::"+ProdCash+":root"), map[string]string{"connect": document(allow(`"rds-db:connect"`))})
	w.AWS.AddIAMUser(ProdWealth, awstwin.IAMUser{Name: OnCallUser, MFA: true, Policies: map[string]string{"assume": document(allowOn(`"sts:AssumeRole"`, roleARN(ProdWealth, AdminRole)))}})
	w.AWS.SetRole(ProdWealth, AdminRole, NobodyTrusted, map[string]string{"administrator": document(allow(`"*"`))})
	w.AWS.SetRoleBoundary(ProdWealth, AdminRole, Fence)
	w.AWS.SetRoleMaxSession(ProdWealth, AdminRole, time.Hour)
	w.deadMan()
}

// guards lays the first guards and the first fence in an account.
func (w *World) guards(account string) {
	w.AWS.SetPolicy(account, Fence, firstFence(account))
	for _, set := range slices.Sorted(maps.Keys(setPolicies())) {
		w.AWS.SetPolicy(account, Guard(set), FirstGuard(set))
	}
}

// AddAccount is another production account, with all that an installation lays there.
func (w *World) AddAccount(id, name string) {
	w.AWS.AddAccount(id, name)
	w.AWS.SetRole(id, MemberRole, trustOf("arn:aws:iam::"+BotAccount+":root"), map[string]string{"breakglass": memberPolicy(id)})
	w.guards(id)
}

// NobodyTrusted is the trust policy of a break-glass role between sessions.
const NobodyTrusted = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`

// FirstGuard is what a guard says before the bot has ever written it: refused is nobody where it is timed, everybody where it is closed.
func FirstGuard(set string) string {
	operator := "StringEquals"
	if slices.Contains(closedSets(), set) {
		operator = "StringNotEquals"
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"` + operator + `":{"identitystore:userId":["nobody"]}}}]}`
}

// firstFence refuses the least that a fence must, until the bot has written the whole. As an identity policy of a permission set it allows
// nothing; as the boundary of a break-glass role it has to allow, since a boundary that only denies leaves a role without any permission. The
// condition tells the two apart: a permission set's role lies under another path.
func firstFence(account string) string {
	own := `"arn:aws:iam::` + account + `:policy/` + Fence + `","arn:aws:iam::` + account + `:policy/` + GuardPrefix + `-*","` + roleARN(account, MemberRole) + `"`
	return document(`{"Effect":"Deny","Action":"iam:*","Resource":[`+own+`]}`,
		`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"`+roleARN(account, "BreakGlass*")+`"}}}`)
}

// deadMan is the role of the schedules, which can take away and nothing else, and their group.
func (w *World) deadMan() {
	group := "arn:aws:scheduler:us-east-1:" + BotAccount + ":schedule-group/" + ScheduleGroup
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"scheduler.amazonaws.com"},"Action":"sts:AssumeRole",` +
		`"Condition":{"StringEquals":{"aws:SourceAccount":"` + BotAccount + `","aws:SourceArn":"` + group + `"}}}]}`
	w.AWS.SetRole(BotAccount, strings.TrimPrefix(DeadManRole, "arn:aws:iam::"+BotAccount+":role/"), trust, map[string]string{"revoke": document(
		allowOn(`"sso:DeleteAccountAssignment"`, append(w.setARNs(), w.AWS.InstanceARN(), "arn:aws:sso:::account/*")...),
		allowOn(`"identitystore:DeleteGroupMembership"`, w.storeARN(), "arn:aws:identitystore:::membership/*"))})
	w.AWS.AddScheduleGroup(BotAccount, "us-east-1", ScheduleGroup)
}

// storeARN is the ARN of the directory. It belongs to the management account.
func (w *World) storeARN() string {
	return "arn:aws:identitystore::*:identitystore/" + w.AWS.IdentityStoreID()
}

func (w *World) setARNs() []string {
	var arns []string
	for _, s := range w.AWS.PermissionSets() {
		arns = append(arns, s.ARN)
	}
	return arns
}

// memberPolicy is what the bot may do in an account.
func memberPolicy(account string) string {
	policies := []string{"arn:aws:iam::" + account + ":policy/" + GuardPrefix + "-*", "arn:aws:iam::" + account + ":policy/" + Fence}
	return document(append(shellStatements(account),
		allow(`"cloudtrail:LookupEvents","ssm:DescribeSessions"`),
		allowOn(`"ssm:TerminateSession"`, "arn:aws:ssm:*:"+account+":session/*"),
		allowOn(`"iam:GetPolicy","iam:CreatePolicyVersion","iam:DeletePolicyVersion","iam:ListPolicyVersions","iam:GetPolicyVersion"`, policies...),
		allowOn(`"iam:GetRole","iam:UpdateAssumeRolePolicy","iam:PutRolePolicy","iam:GetRolePolicy","iam:DeleteRolePolicy"`, roleARN(account, "BreakGlass*")))...)
}

// RestrictBot holds the bot's own user to the least that it needs, in place of being allowed everything.
func (w *World) RestrictBot() {
	sso := append(w.setARNs(), w.AWS.InstanceARN(), "arn:aws:sso:::account/*")
	var granted []string
	for _, g := range w.AWS.Groups() {
		if strings.HasPrefix(g.Name, "grp-forge-vpn-") || g.Name == CanaryGroup {
			granted = append(granted, "arn:aws:identitystore:::group/"+g.ID)
		}
	}
	store := []string{w.storeARN(), "arn:aws:identitystore:::user/*", "arn:aws:identitystore:::membership/*"}
	schedules := []string{"arn:aws:scheduler:us-east-1:" + BotAccount + ":schedule/" + ScheduleGroup + "/*",
		"arn:aws:scheduler:us-east-1:" + BotAccount + ":schedule-group/" + ScheduleGroup}
	w.AWS.SetBotPolicy(map[string]string{
		"identity-center": document(
			allowOn(`"sso:CreateAccountAssignment","sso:DeleteAccountAssignment","sso:Describe*","sso:List*","sso:GetInlinePolicyForPermissionSet","sso:GetPermissionsBoundaryForPermissionSet"`, sso...),
			allow(`"sso:ListInstances"`),
			allowOn(`"identitystore:Get*","identitystore:Describe*","identitystore:List*","identitystore:IsMemberInGroups"`, append(store, "arn:aws:identitystore:::group/*")...),
			allowOn(`"identitystore:CreateGroupMembership","identitystore:DeleteGroupMembership"`, append(store, granted...)...),
			allow(`"organizations:ListAccounts","organizations:DescribeAccount","organizations:ListTagsForResource","organizations:ListParents","organizations:ListAccountsForParent"`)),
		"schedules": document(
			allowOn(`"scheduler:CreateSchedule","scheduler:GetSchedule","scheduler:UpdateSchedule","scheduler:DeleteSchedule","scheduler:GetScheduleGroup"`, schedules...),
			allow(`"scheduler:ListSchedules"`),
			`{"Effect":"Allow","Action":"iam:PassRole","Resource":"`+DeadManRole+`","Condition":{"StringEquals":{"iam:PassedToService":"scheduler.amazonaws.com"}}}`,
			allowOn(`"iam:GetRole"`, DeadManRole)),
		"archive": document(keeperStatements()...),
		"trail":   document(readerStatements()...),
		"signing": document(signerStatements()...),
		"elsewhere": document(
			allowOn(`"sts:AssumeRole"`, "arn:aws:iam::*:role/"+MemberRole, "arn:aws:iam::*:role/"+CanaryRole, roleARN(Management, PortalReader)),
			allow(`"ses:SendEmail","ses:GetAccount","ses:GetEmailIdentity","sqs:ReceiveMessage","sqs:DeleteMessage","sqs:ChangeMessageVisibility","sqs:GetQueueAttributes","sqs:GetQueueUrl",`+
				`"ssm:GetParameter","secretsmanager:GetSecretValue"`)),
	})
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func allow(actions string) string { return allowOn(actions, "*") }

func allowOn(actions string, resources ...string) string {
	return `{"Effect":"Allow","Action":[` + actions + `],"Resource":["` + strings.Join(resources, `","`) + `"]}`
}

// trustOf is a trust policy that lets a principal assume the role.
func trustOf(principal string) string {
	return document(`{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"}`)
}

func roleARN(account, name string) string { return "arn:aws:iam::" + account + ":role/" + name }
