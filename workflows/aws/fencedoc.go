package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"breakglass/store"
)

// FenceName is the name of the fence, the same in every account.
const FenceName = "BreakGlassFence"

// sessionPreferences is the document in which Systems Manager keeps how sessions are logged and when they end (user guide, "Session Manager
// preferences").
const sessionPreferences = "document/SSM-SessionManagerRunShell"

// FenceDocument is what the fence of an account says, as a function of nothing but its arguments: the Region's partition, the member role's
// name, the ARN of the schedules' role, which lies in one of the accounts, and the prefix of the guards among them.
//
// It is carried by every break-glass permission set as a customer managed policy, where it only takes away, and is the permissions
// boundary of a break-glass IAM role, never its policy. What it takes away, and why no more:
//
//   - Undoing the ends: any change to guards, fence, member role, break-glass roles and the schedules' role; to trails; to our EventBridge rules and
//     schedules and their group; to the preferences of SSM sessions; leaving the organisation, which would leave Identity Center with it. Other rules may be stopped: that can
//     be the emergency.
//   - Going on as somebody else: new users, keys, passwords, certificates, devices and identity providers; any policy made stronger and any
//     trust changed, since somebody who holds a weak role anyway would hold a strong one afterwards; roles, because their trust may name anybody;
//     machines outside that are given a role. What makes things weaker stays: policies may be detached, keys and users deleted, which is what a
//     leak asks for. UpdateAccessKey both stops and revives keys, so it is refused; DeleteAccessKey is not.
//   - Going on by STS: AssumeRole but for what MayAssume names, AssumeRoot, tokens that are federated or for elsewhere. The credentials of a role
//     that was assumed last an hour at most (role chaining) and are in no guard: that is what naming it means.
//
// What it does not stop: iam:PassRole to services stays, since without it no instance, task or function can be started anew, and what was
// started with a passed role goes on after the session; so does CloudFormation with a role of its own. CreateServiceLinkedRole stays: AWS
// fixes whom those trust. AssumeRoleWithSAML and AssumeRoleWithWebIdentity are not signed with the session's credentials, so no policy of the session
// bears on them: the target's trust decides. GetSessionToken cannot be refused by a policy and cannot be called with a role's credentials
// (IAM user guide, "Permissions for GetSessionToken"); EKS accepts a session's token until the session ends.
func FenceDocument(f store.Fence, region, memberRole, deadManRole, prefix string) string {
	iamARN := fmt.Sprintf("arn:%s:iam::%s:", partition(region), f.Account)
	all := []statement{
		deny("OurPolicies", nil, ours(f, iamARN, memberRole, deadManRole, prefix)),
		deny("GoingOn", goingOn(), values{"*"}),
		deny("Evidence", values{"cloudtrail:Delete*", "cloudtrail:Deregister*", "cloudtrail:Put*", "cloudtrail:Stop*", "cloudtrail:Update*"}, values{"*"}),
		deny("OurRules", values{"events:Delete*", "events:Disable*", "events:Put*", "events:Remove*", "scheduler:Delete*", "scheduler:Update*"}, rules(f, region)),
		deny("ShellPreferences", values{"ssm:CreateDocument", "ssm:DeleteDocument", "ssm:ModifyDocumentPermission", "ssm:UpdateDocument*"},
			values{fmt.Sprintf("arn:%s:ssm:*:%s:%s", partition(region), f.Account, sessionPreferences)}),
	}
	// Reading is no undoing, and going on to a role is the statements' below.
	all[0].NotAction = values{"iam:Get*", "iam:List*", "iam:Simulate*", "sts:*"}
	return policyText(append(append(all, assume(f, iamARN)...), boundary(iamARN)))
}

func deny(sid string, action, resource values) statement {
	return statement{Sid: sid, Effect: "Deny", Action: action, Resource: resource}
}

// ours are the policies and roles that hold a session.
func ours(f store.Fence, iamARN, memberRole, deadManRole, prefix string) values {
	v := values{iamARN + "policy/" + FenceName, iamARN + "role/BreakGlass*", iamARN + "role/*/BreakGlass*"}
	if prefix != "" {
		v = append(v, iamARN+"policy/"+prefix+"-*")
	}
	if memberRole != "" {
		v = append(v, iamARN+"role/"+strings.TrimPrefix(memberRole, "/"))
	}
	if strings.HasPrefix(deadManRole, iamARN+"role/") {
		v = append(v, literal(deadManRole))
	}
	for _, name := range slices.Sorted(maps.Keys(f.MayAssume)) {
		if role := iamARN + "role/" + literal(name); !strings.HasPrefix(name, "BreakGlass") {
			v = append(v, role)
		}
	}
	return v
}

func rules(f store.Fence, region string) values {
	var v values
	for _, name := range []string{"breakglass*", "BreakGlass*"} {
		v = append(v, fmt.Sprintf("arn:%s:events:*:%s:rule/%s", partition(region), f.Account, name))
	}
	// With a group go all of its schedules (API reference of DeleteScheduleGroup).
	for _, kind := range []string{"schedule", "schedule-group"} {
		v = append(v, fmt.Sprintf("arn:%s:scheduler:*:%s:%s/%s*", partition(region), f.Account, kind, scheduleGroup))
	}
	return v
}

// goingOn are the actions by which somebody could still be in after the session.
func goingOn() values {
	return values{
		"account-access:*", "identitystore:*", "sso:*", "sso-directory:*", "organizations:LeaveOrganization",
		"iam:*DelegationRequest", "iam:AddClientIDToOpenIDConnectProvider", "iam:AddUserToGroup", "iam:Attach*",
		"iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:CreateOpenIDConnectProvider", "iam:CreatePolicyVersion", "iam:CreateRole",
		"iam:CreateSAMLProvider", "iam:CreateServiceSpecificCredential", "iam:CreateUser", "iam:DeactivateMFADevice",
		"iam:Delete*PermissionsBoundary", "iam:EnableMFADevice", "iam:Put*", "iam:ResetServiceSpecificCredential", "iam:ResyncMFADevice",
		"iam:SendDelegationToken", "iam:Set*", "iam:Update*", "iam:UploadS*Key", "iam:UploadSigningCertificate",
		"rolesanywhere:Create*", "rolesanywhere:Enable*", "rolesanywhere:Import*", "rolesanywhere:Put*", "rolesanywhere:Update*", "ssm:CreateActivation",
		"sts:AssumeRoot", "sts:GetDelegatedAccessToken", "sts:GetFederationToken", "sts:GetWebIdentityToken",
	}
}

// assume is who may go on to which role: a statement for each list of roles, and one for everybody else.
func assume(f store.Fence, iamARN string) []statement {
	lists := map[string][]string{} // names by the roles they may assume
	for name, roles := range f.MayAssume {
		if len(roles) > 0 {
			key := strings.Join(slices.Compact(slices.Sorted(slices.Values(roles))), "\x00")
			lists[key] = append(lists[key], name)
		}
	}
	var all []statement
	var some values
	for n, key := range slices.Sorted(maps.Keys(lists)) {
		s := deny(fmt.Sprintf("MayAssume%d", n+1), values{"sts:AssumeRole"}, nil)
		for _, role := range strings.Split(key, "\x00") {
			s.NotResource = append(s.NotResource, roleARNs(iamARN, role)...)
		}
		var who values
		for _, name := range slices.Sorted(slices.Values(lists[key])) {
			who = append(who, carriers(iamARN, name)...)
		}
		s.Condition = conditions{"ArnLike": {"aws:PrincipalArn": who}}
		all, some = append(all, s), append(some, who...)
	}
	rest := deny("NoOtherRole", values{"sts:AssumeRole"}, values{"*"})
	if len(some) > 0 {
		// ArnNotLike also matches where there is no such key: then it is refused.
		rest.Condition = conditions{"ArnNotLike": {"aws:PrincipalArn": some}}
	}
	return append(all, rest)
}

// roleARNs are what a role of may_assume can be: a whole ARN, or a name, which says nothing of the role's path.
func roleARNs(iamARN, role string) values {
	if strings.HasPrefix(role, "arn:") {
		return values{literal(role)}
	}
	return values{iamARN + "role/" + literal(role), iamARN + "role/*/" + literal(role)}
}

// carriers are the ARNs by which aws:PrincipalArn may name the role of a permission set, or the IAM role of that name. A permission set's is
// AWSReservedSSO_NAME_ and sixteen characters that change whenever the role is made anew ("Referencing permission sets", Identity Center user guide), under
// a path that names a Region or none. The sixteen are counted, since the set Prod must not speak for the set Prod_Admin.
func carriers(iamARN, name string) values {
	n := literal(name)
	return append(values{iamARN + "role/*AWSReservedSSO_" + n + "_" + strings.Repeat("?", 16)}, roleARNs(iamARN, name)...)
}

// boundary is what makes the fence usable as a permissions boundary, which must allow what it does not mean to take away. It speaks of
// nothing but sessions of an IAM role that bear the name of a request, so that it gives a permission set nothing, by three facts each of
// which is enough: the role's path and name, the person's id, and the session's name.
func boundary(iamARN string) statement {
	return statement{Sid: "AsBoundaryOfRoles", Effect: "Allow", Action: values{"*"}, Resource: values{"*"}, Condition: conditions{
		"ArnLike":    {"aws:PrincipalArn": {iamARN + "role/*"}},
		"ArnNotLike": {"aws:PrincipalArn": {iamARN + "role/aws-reserved/*", iamARN + "role/AWSReservedSSO_*"}},
		"Null":       {"identitystore:userId": {"true"}},
		"StringLike": {"aws:userid": {"*:BG-*"}},
	}}
}
