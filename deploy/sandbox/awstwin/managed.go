package awstwin

import (
	"strings"

	"breakglass/deploy/sandbox/awstwin/iam"
)

// awsManaged is an AWS managed policy in short: what it means for the services that the twin has. One that is not known here
// allows nothing.
func awsManaged(arn string) *iam.Document {
	name := arn[strings.LastIndexByte(arn, '/')+1:]
	read := []string{}
	for _, svc := range []string{"ec2", "rds", "s3", "logs", "cloudwatch", "dynamodb", "iam", "ssm", "sts", "lambda", "eks", "ecs", "kms",
		"cloudtrail", "cloudformation", "elasticloadbalancing", "autoscaling", "sns", "sqs", "route53", "organizations"} {
		for _, verb := range []string{"Get", "List", "Describe", "Lookup", "Filter", "Search"} {
			read = append(read, svc+":"+verb+"*")
		}
	}
	doc := &iam.Document{Name: name, Version: "2012-10-17"}
	add := func(s iam.Statement) { doc.Statements = append(doc.Statements, s) }
	any := []string{"*"}
	switch name {
	case "AdministratorAccess":
		add(iam.Statement{Actions: any, Resources: any})
	case "PowerUserAccess":
		add(iam.Statement{NotActions: []string{"iam:*", "organizations:*", "account:*"}, Resources: any})
	case "ReadOnlyAccess":
		add(iam.Statement{Actions: append(read, "dynamodb:Query", "dynamodb:Scan"), Resources: any})
	case "ViewOnlyAccess":
		add(iam.Statement{Actions: []string{"ec2:Describe*", "rds:Describe*", "s3:ListAllMyBuckets", "s3:ListBucket", "logs:Describe*",
			"dynamodb:ListTables", "iam:List*", "cloudtrail:LookupEvents"}, Resources: any})
	case "AmazonEC2ReadOnlyAccess":
		add(iam.Statement{Actions: []string{"ec2:Describe*", "elasticloadbalancing:Describe*", "cloudwatch:Describe*"}, Resources: any})
	case "CloudWatchLogsReadOnlyAccess":
		add(iam.Statement{Actions: []string{"logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents"}, Resources: any})
	case "AmazonS3ReadOnlyAccess":
		add(iam.Statement{Actions: []string{"s3:Get*", "s3:List*", "s3:Describe*"}, Resources: any})
	case "AmazonRDSReadOnlyAccess":
		add(iam.Statement{Actions: []string{"rds:Describe*", "rds:ListTagsForResource", "logs:DescribeLogStreams", "logs:GetLogEvents"}, Resources: any})
	default:
		return nil
	}
	return doc
}
