package sandbox

import (
	"time"

	"breakglass/deploy/sandbox/awstwin"
)

// What an installation lays for evidence: where it is kept, what it is read from, and the key it is signed with. Which of it a program uses is
// its own affair.
const (
	Management      = "100000000000"             // owns the organisation and Identity Center
	PortalReader    = "breakglass-portal-reader" // a role there, to read the access portal's events
	ArchiveBucket   = "forge-breakglass-archive" // in the bot's account, with versions and Object Lock
	KeyAlias        = "alias/breakglass"         // an Ed25519 key of KMS in the bot's account
	TrailGroup      = "aws-cloudtrail-logs-forge"
	TrailDatabase   = "forge_trail"
	TrailTable      = "cloudtrail_logs"
	AthenaGroup     = "breakglass"
	AthenaResults   = "forge-athena-results"
	ShellBucket     = "forge-prod-wealth-shells" // where shells of prod-wealth are logged
	ShellLogGroup   = "/forge/shells"            // where those of prod-cash are; prod-9squid has no preferences
	SecretsOfTheBot = "breakglass/"              // names of secrets that it may read and write begin with it
)

// evidence lays all of it.
func (w *World) evidence() {
	w.AWS.SetRole(Management, PortalReader, trustOf("arn:aws:iam::"+BotAccount+":root"), map[string]string{"read": document(allow(`"cloudtrail:LookupEvents"`))})
	w.AWS.AddBucket(BotAccount, "us-east-1", ArchiveBucket, true)
	w.AWS.AddBucket(BotAccount, "us-east-1", AthenaResults, false)
	w.AWS.OrganizationTrail(BotAccount, "us-east-1", TrailGroup)
	w.AWS.TrailTable(BotAccount, "us-east-1", TrailDatabase, TrailTable, AthenaGroup, "s3://"+AthenaResults+"/")
	w.AWS.AddKey(BotAccount, "us-east-1", KeyAlias)
	w.AWS.AddBucket(ProdWealth, "us-east-1", ShellBucket, false)
	w.AWS.SetSessionPreferences(ProdWealth, "us-east-1", &awstwin.SessionPreferences{S3Bucket: ShellBucket, S3Prefix: "shells", Longest: time.Hour})
	w.AWS.SetSessionPreferences(ProdCash, "us-east-1", &awstwin.SessionPreferences{LogGroup: ShellLogGroup})
}

// keeperStatements let the bot put evidence into the archive and read it again. Nothing lets it delete: not an object, not a version, not a lock.
func keeperStatements() []string {
	bucket := "arn:aws:s3:::" + ArchiveBucket
	return []string{
		allowOn(`"s3:PutObject","s3:PutObjectRetention","s3:GetObject","s3:GetObjectVersion","s3:GetObjectRetention"`, bucket+"/*"),
		allowOn(`"s3:ListBucket","s3:ListBucketVersions","s3:GetBucketVersioning","s3:GetBucketObjectLockConfiguration"`, bucket),
	}
}

// readerStatements let the bot read the organisation's trail by either of its doors.
func readerStatements() []string {
	here := func(service, resource string) string {
		return "arn:aws:" + service + ":us-east-1:" + BotAccount + ":" + resource
	}
	return []string{
		allowOn(`"logs:StartQuery"`, here("logs", "log-group:"+TrailGroup+":*")),
		allow(`"logs:GetQueryResults","logs:StopQuery"`),
		allowOn(`"athena:StartQueryExecution","athena:GetQueryExecution","athena:GetQueryResults","athena:StopQueryExecution"`, here("athena", "workgroup/"+AthenaGroup)),
		allowOn(`"glue:GetTable"`, here("glue", "table/"+TrailDatabase+"/"+TrailTable)),
		allowOn(`"s3:PutObject","s3:GetObject"`, "arn:aws:s3:::"+AthenaResults+"/*"),
	}
}

// signerStatements let the bot sign with its key, or keep one in a secret.
func signerStatements() []string {
	return []string{
		allowOn(`"kms:Sign","kms:GetPublicKey","kms:DescribeKey"`, "arn:aws:kms:us-east-1:"+BotAccount+":key/*"),
		allowOn(`"secretsmanager:GetSecretValue","secretsmanager:CreateSecret","secretsmanager:PutSecretValue"`, "arn:aws:secretsmanager:us-east-1:"+BotAccount+":secret:"+SecretsOfTheBot+"*"),
	}
}

// shellStatements let a member role read what was typed.
func shellStatements(account string) []string {
	bucket := "arn:aws:s3:::" + ShellBucket // another account's lets nobody of this one in
	return []string{
		allowOn(`"ssm:GetDocument"`, "arn:aws:ssm:*:"+account+":document/SSM-SessionManagerRunShell"),
		allowOn(`"s3:GetObject"`, bucket+"/*"),
		allowOn(`"s3:ListBucket"`, bucket), // so that what is missing is said to be missing
		allowOn(`"logs:GetLogEvents"`, "arn:aws:logs:*:"+account+":log-group:"+ShellLogGroup+":*"),
	}
}
