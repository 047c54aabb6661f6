package handlers

import (
	"strings"

	"breakglass/store"
)

// guideForGroup has nothing to type: what a membership opens is somebody else's to say, and AWS takes its time.
func guideForGroup(r store.Request) []step {
	return []step{{say: "There is nothing to type. " + slowGroup +
		" If what it opens does not work yet, sign in to it again after a while; when the membership ends, sign out of it."}}
}

// guideForRole takes the role on with the keys of one's own IAM user and its MFA. The session's name is the request's id: the role's trust
// lets no other in, and CloudTrail shows it with each call. Source: AWS CLI reference, sts assume-role; AWS CLI user guide, "Use an IAM role in the AWS CLI".
func guideForRole(r store.Request) []step {
	role, serial, name := roleARN(r), mfaSerial(r.IAMUser), oneLine(string(r.ID), 40)
	return []step{{
		say: "Take on the role, in a shell that has the keys of your IAM user, with the code of your MFA device in place of <CODE>:",
		lines: []string{
			"CREDS=$(aws sts assume-role --role-arn " + shellQuote(role) + " --role-session-name " + shellQuote(name) + " --serial-number " + shellQuote(serial) +
				" --token-code '<CODE>' --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)",
			exportCredentials,
			"aws sts get-caller-identity",
		},
	}, {
		say: "Or add this to ~/.aws/config, where source_profile is the one with the keys of your IAM user; the CLI then asks for the code itself:",
		lines: []string{
			"[profile " + profileName(r) + "]",
			"role_arn = " + oneLine(role, 300),
			"source_profile = default",
			"mfa_serial = " + oneLine(serial, 300),
			"role_session_name = " + name,
			"region = " + regionOf(r),
		},
	}, {
		say:   "The name of your MFA device is taken to be your user's. If AWS says that it cannot validate it, look up its serial number:",
		lines: []string{"aws iam list-mfa-devices --query 'MFADevices[].SerialNumber' --output text"},
	}}
}

// dropCredentials is the last step of whoever carries a role's credentials in a shell.
func dropCredentials() step {
	return step{
		say:   "When you are done, drop the credentials:",
		lines: []string{"unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN CREDS"},
	}
}

// partition is the first part of an ARN that differs between AWS's partitions, from the IAM user's.
func partition(arn string) string {
	parts := strings.SplitN(arn, ":", 3)
	if len(parts) == 3 && parts[0] == "arn" && strings.HasPrefix(parts[1], "aws") && len(parts[1]) <= 20 && isRegion(parts[1]) {
		return parts[1]
	}
	return "aws"
}

// roleARN is the role's ARN in the request's account.
func roleARN(r store.Request) string {
	return "arn:" + partition(r.IAMUser) + ":iam::" + oneLine(r.Account.ID, 20) + ":role/" + oneLine(r.Role, limitName)
}

// mfaSerial is the ARN of a user's virtual MFA device, which the console names after the user unless told otherwise. A user's path is not part of it.
func mfaSerial(user string) string {
	user = oneLine(user, 300)
	before, after, ok := strings.Cut(user, ":user/")
	if !ok || !strings.HasPrefix(user, "arn:") {
		return "<MFA_SERIAL>"
	}
	return before + ":mfa/" + after[strings.LastIndexByte(after, '/')+1:]
}
