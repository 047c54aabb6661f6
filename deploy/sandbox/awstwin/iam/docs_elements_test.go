package iam_test

func elementCases() []documented {
	mfa := []string{all, `{"Sid":"DenyAllUsersNotUsingMFA","Effect":"Deny","NotAction":"iam:*","Resource":"*","Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}}`}
	noDelete := []string{`{"Effect":"Allow","NotAction":"s3:DeleteBucket","Resource":"arn:aws:s3:::*"}`}
	regions := []string{all, `{"Effect":"Deny","NotAction":["cloudfront:*","iam:*","route53:*","support:*"],"Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["eu-central-1","eu-west-1"]}}}`}
	payroll := []string{all, `{"Effect":"Deny","Action":"s3:*","NotResource":["arn:aws:s3:::HRBucket/Payroll","arn:aws:s3:::HRBucket/Payroll/*"]}`}
	own := []string{`{"Effect":"Allow","Action":"iam:*AccessKey*","Resource":"arn:aws:iam::111122223333:user/${aws:username}"}`}
	accounting := []string{`{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::111122223333:user/accounting/*"}`}
	test := []string{`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::amzn-s3-demo-bucket/*/test/*"}`}
	segment := []string{`{"Effect":"Allow","Action":"*","Resource":"arn:aws:logs:*:111122223333:log-group:/forge/*"}`}
	across := []string{`{"Effect":"Allow","Action":"*","Resource":"arn:aws:logs:*:log-group:/forge/*"}`}
	within := []string{`{"Effect":"Allow","Action":"*","Resource":"arn:aws:logs:*1:log-group:/forge/*"}`}
	variable := []string{`{"Effect":"Allow","Action":"sqs:*","Resource":"arn:aws:sqs:us-east-2:*:${aws:username}-queue"}`}
	literal := []string{`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::amzn-s3-demo-bucket/${*}","Condition":{"StringEquals":{"s3:prefix":"${aws:username, 'nobody'}"}}}`}
	return []documented{
		{page: pageNotAction, name: "all of S3 but deleting a bucket", identity: noDelete, action: "s3:PutObject", resource: object},
		{page: pageNotAction, name: "deleting a bucket", identity: noDelete, action: "s3:DeleteBucket", resource: bucket, want: silent},
		{page: pageNotAction, name: "listing buckets needs the resource *", identity: noDelete, action: "s3:ListAllMyBuckets", resource: "*", want: silent},
		{page: pageNotAction, name: "another service has no such resource", identity: noDelete, action: "ec2:StopInstances", resource: "arn:aws:ec2:us-east-1:111122223333:instance/i-1", want: silent},
		{page: pageNotAction, name: "without MFA, all but IAM", identity: mfa, action: "ec2:StopInstances", resource: "*", context: []string{"aws:MultiFactorAuthPresent", "false"}, want: denied},
		{page: pageNotAction, name: "without MFA, IAM", identity: mfa, action: "iam:EnableMFADevice", resource: "*", context: []string{"aws:MultiFactorAuthPresent", "false"}},
		{page: pageNotAction, name: "long-term keys have no MFA key", identity: mfa, action: "ec2:StopInstances", resource: "*", want: denied},
		{page: pageNotAction, name: "with MFA", identity: mfa, action: "ec2:StopInstances", resource: "*", context: []string{"aws:MultiFactorAuthPresent", "true"}},
		{page: pageNotAction, name: "another Region", identity: regions, action: "ec2:StopInstances", resource: "*", context: []string{"aws:RequestedRegion", "us-east-1"}, want: denied},
		{page: pageNotAction, name: "a global service", identity: regions, action: "iam:ListRoles", resource: "*", context: []string{"aws:RequestedRegion", "us-east-1"}},
		{page: pageNotRes, name: "the payroll folder", identity: payroll, action: "s3:GetObject", resource: "arn:aws:s3:::HRBucket/Payroll/may"},
		{page: pageNotRes, name: "anything else in S3", identity: payroll, action: "s3:GetObject", resource: "arn:aws:s3:::HRBucket/Other", want: denied},
		{page: pageNotRes, name: "other services", identity: payroll, action: "ec2:StopInstances", resource: "*"},
		{page: pageResource, name: "users of a path", identity: accounting, action: "iam:GetUser", resource: "arn:aws:iam::111122223333:user/accounting/anna"},
		{page: pageResource, name: "users of another", identity: accounting, action: "iam:GetUser", resource: "arn:aws:iam::111122223333:user/sales/anna", want: silent},
		{page: pageResource, name: "user names have case", identity: accounting, action: "iam:GetUser", resource: "arn:aws:iam::111122223333:user/Accounting/anna", want: silent},
		{page: pageResource, name: "a star runs over slashes", identity: test, action: "s3:GetObject", resource: "arn:aws:s3:::amzn-s3-demo-bucket/1/2/test/3"},
		{page: pageResource, name: "and needs what stands about it", identity: test, action: "s3:GetObject", resource: "arn:aws:s3:::amzn-s3-demo-bucket/test/3", want: silent},
		{page: pageResource, name: "the last star runs over colons", identity: segment, action: "logs:GetLogEvents", resource: "arn:aws:logs:eu-west-1:111122223333:log-group:/forge/api:log-stream:x"},
		{page: pageResource, name: "and so does one at the end of a part", identity: across, action: "logs:GetLogEvents", resource: "arn:aws:logs:eu-west-1:111122223333:log-group:/forge/api"},
		{page: pageResource, name: "but not one in the middle of it", identity: within, action: "logs:GetLogEvents", resource: "arn:aws:logs:eu-west-1:111122223331:log-group:/forge/api", want: silent},
		{page: pageResource, name: "another account", identity: segment, action: "logs:GetLogEvents", resource: "arn:aws:logs:eu-west-1:444455556666:log-group:/forge/api", want: silent},
		{page: pageVariables, name: "own keys", identity: own, action: "iam:CreateAccessKey", resource: "arn:aws:iam::111122223333:user/anna", context: []string{"aws:username", "anna"}},
		{page: pageVariables, name: "another's keys", identity: own, action: "iam:CreateAccessKey", resource: "arn:aws:iam::111122223333:user/bert", context: []string{"aws:username", "anna"}, want: silent},
		{page: pageVariables, name: "a role has no user name", identity: own, action: "iam:CreateAccessKey", resource: "arn:aws:iam::111122223333:user/anna", want: silent},
		{page: pageVariables, name: "own queue", identity: variable, action: "sqs:SendMessage", resource: "arn:aws:sqs:us-east-2:111122223333:anna-queue", context: []string{"aws:username", "anna"}},
		{page: pageVariables, name: "a star for itself, and a default", identity: literal, action: "s3:GetObject", resource: "arn:aws:s3:::amzn-s3-demo-bucket/*", context: []string{"s3:prefix", "nobody"}},
	}
}

func layerCases() []documented {
	services := []string{`{"Effect":"Allow","Action":["s3:*","cloudwatch:*","ec2:*"],"Resource":"*"}`}
	createUser := []string{`{"Effect":"Allow","Action":"iam:CreateUser","Resource":"*"}`}
	company := []string{`{"Sid":"ServiceBoundaries","Effect":"Allow","Action":["s3:*","cloudwatch:*","ec2:*","dynamodb:*"],"Resource":"*"}`,
		`{"Sid":"DenyS3Logs","Effect":"Deny","Action":"s3:*","Resource":["arn:aws:s3:::logs","arn:aws:s3:::logs/*"]}`}
	reads := []string{`{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`}
	return []documented{
		{page: pageEvaluation, name: "nothing says anything", action: "ec2:StopInstances", resource: "*", want: silent},
		{page: pageEvaluation, name: "an explicit deny beats every allow", identity: []string{all, `{"Effect":"Deny","Action":"ec2:*","Resource":"*"}`, all}, action: "ec2:StopInstances", resource: "*", want: denied},
		{page: pageBoundary, name: "a boundary gives nothing by itself", boundary: services, action: "ec2:StopInstances", resource: "*", want: silent},
		{page: pageBoundary, name: "Shirley cannot create a user", identity: createUser, boundary: services, action: "iam:CreateUser", resource: "*", want: silent},
		{page: pageBoundary, name: "Shirley with a permission inside her boundary", identity: reads, boundary: services, action: "s3:GetObject", resource: object},
		{page: pageBoundary, name: "a deny of the boundary", identity: []string{all}, boundary: company, action: "s3:GetObject", resource: "arn:aws:s3:::logs/x", want: denied},
		{page: pageBoundary, name: "a boundary of nothing but denies leaves nothing", identity: []string{all}, boundary: company[1:], action: "ec2:StopInstances", resource: "*", want: silent},
		{page: pageBoundary, name: "session, boundary and identity must all allow", identity: []string{all}, boundary: services, session: reads, action: "s3:GetObject", resource: object},
		{page: pageBoundary, name: "the session policy does not", identity: []string{all}, boundary: services, session: reads, action: "ec2:StopInstances", resource: "*", want: silent},
		{page: pageBoundary, name: "a deny of the session policy", identity: []string{all}, session: []string{all, `{"Effect":"Deny","Action":"s3:*","Resource":"*"}`}, action: "s3:GetObject", resource: object, want: denied},
		{page: pageBoundary, name: "service control policy, boundary and identity", identity: []string{all}, boundary: services, control: reads, action: "s3:GetObject", resource: object},
		{page: pageBoundary, name: "the service control policy does not", identity: []string{all}, boundary: services, control: reads, action: "ec2:StopInstances", resource: "*", want: silent},
	}
}

func revocationCases() []documented {
	older := []string{all, `{"Effect":"Deny","Action":["*"],"Resource":["*"],"Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T10:00:00Z"}}}`}
	users := []string{all, `{"Effect":"Deny","Action":["*"],"Resource":"*","Condition":{"StringEquals":{"identitystore:userId":["anna","bert"]}}}`}
	return []documented{
		{page: pageRevokeRole, name: "a session from before", identity: older, action: "ec2:StopInstances", resource: "*", context: []string{"aws:TokenIssueTime", "2026-11-21T09:59:59Z"}, want: denied},
		{page: pageRevokeRole, name: "a session from after", identity: older, action: "ec2:StopInstances", resource: "*", context: []string{"aws:TokenIssueTime", "2026-11-21T10:00:00Z"}},
		{page: pageRevokeUser, name: "a user of the list, by a key in another case", identity: users, action: "ec2:StopInstances", resource: "*", context: []string{"identitystore:UserId", "bert"}, want: denied},
		{page: pageRevokeUser, name: "a user who is not", identity: users, action: "ec2:StopInstances", resource: "*", context: []string{"identitystore:UserId", "cleo"}},
		{page: pageRevokeUser, name: "somebody who is no user of Identity Center", identity: users, action: "ec2:StopInstances", resource: "*"},
	}
}
