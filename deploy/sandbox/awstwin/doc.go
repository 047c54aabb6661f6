// Package awstwin is an AWS organisation on one HTTP endpoint: what a program that gives and takes away access by
// Identity Center can see of AWS, with its delays, limits, errors and oddities, and with people in it who use that access.
//
// It speaks AWS's protocols itself, so any AWS client drives it with AWS_ENDPOINT_URL: JSON 1.0 and 1.1 by X-Amz-Target,
// the query protocol, REST. Service and Region come from the credential scope of the signature, the caller from the
// access key; signatures are not verified. It knows nothing of the program it is a twin for and links no AWS library.
//
// Make one with [New], fill it with AddAccount, AddUser, AddPermissionSet and the like, and serve it. There is one clock,
// Config.Now, and no goroutine: everything that is due (statuses, schedules) happens in the order of its time as soon as
// anybody asks, so that skipped hours cost nothing. Faults are asked for by FailNext, Outage, DropReplyNext, HangNext;
// what arrived is in Calls.
//
// People act by [Organization.SignIn] (or [Organization.AssumeRole], as an IAM user) and [Session.Do], or over HTTP with the
// keys of their session or the token of PortalSignIn. Every action is decided by the policies as they are at that moment (package iam) and written to CloudTrail.
//
//	service        operations                                     limits and behaviour modelled                                not modelled
//	sso-admin      instances, permission sets and their policies, asynchronous statuses; one change for each account;          creating permission sets by API,
//	               assignments and their statuses, provisioning   15 outstanding creations; 20 calls/s; repeated creation      applications, tags, several Regions
//	                                                              is one row; two forms of deleting what is missing;
//	                                                              roles come and go with the first and last assignment;
//	                                                              delegated administrator's limits; inherited rows
//	identitystore  GetUserId, users, groups, memberships          20 calls/s of its own; enterprise extension only when        creating and changing users and groups,
//	                                                              asked for; UserStatus; conflicts with their reason;          external ids
//	                                                              changes of groups reach the portal after GroupLag
//	sso (portal)   credentials, accounts, roles, logout           bearer token; No access; events without a user name          device authorisation
//	sts            GetCallerIdentity, AssumeRole, GetSessionToken trust and identity policies, MFA, durations, role            federation tokens, web identity
//	                                                              chaining; unknown and expired keys
//	organizations  accounts, parents, tags, roots, units          pages of 20; management and delegated account only           policies by API (SetSCP does), nested units
//	cloudtrail     LookupEvents                                   by account and Region; 90 days; one attribute; newest        trails, Lake, Insights, data events
//	                                                              first; 50 on a page; 2 calls/s; delivery delay; Burst writes
//	                                                              many at once
//	events         AddRule: CloudTrail events to a queue          patterns; read-only events only where the rule asks; one     the API; other targets; PutEvents
//	                                                              Region, any account
//	iam            customer managed policies and versions,        5 versions, 6,144 characters; trust 2,048; inline 10,240;    groups, SAML and OIDC providers, simulation
//	               roles, boundaries, users, keys, passwords,     reserved roles are protected; GetLoginProfile does not
//	               MFA devices, credential report                 show a rotation; two keys; Sids, doubled keys, principals
//	                                                              that are not there; what is written bears after IAMLag
//	scheduler      schedules and groups                           at() in the past, names, client tokens, universal targets    rate() and cron() (accepted, never fire),
//	                                                              of ssoadmin, identitystore, iam, sqs; fires as its role,     flexible windows
//	                                                              whose trust is evaluated; up to ScheduleLate late;
//	                                                              retries, dead-letter queue; DELETE after completion
//	ssm            sessions; GetParameter(s); GetDocument of      a session outlives its credentials; Owner is the STS ARN;    the data channel, other documents,
//	               the session preferences                        what is typed is logged to S3 or CloudWatch Logs             other parameters' API
//	secretsmanager a secret and its versions                      by name, ARN, partial ARN; AWSCURRENT and AWSPREVIOUS;       rotation, deletion, replicas
//	                                                              tokens of a call that is repeated
//	kms            Sign, GetPublicKey, DescribeKey                Ed25519, RAW, 4,096 bytes; states; aliases                   key policies, grants, other specs, encryption
//	athena         queries over a table of the organisation's     SELECT with WHERE, ORDER BY, LIMIT and parameters; types;    everything else of SQL; the results' file
//	               trail                                          states, 1,000 rows on a page, the header among them;
//	                                                              the permissions of Glue and S3 behind it
//	sqs            queues and messages                            visibility, long polls, old receipts                         FIFO order, redrive, batches but deletion
//	s3             buckets, objects, versions, Object Lock        COMPLIANCE and holds; checksum header; If-None-Match;        bucket policies (ShareBucket stands for
//	                                                              default retention; delete markers; pages; ranges; actions    one), multipart, encryption
//	                                                              of versions; wrong Region, wrong owner
//	sesv2          SendEmail, GetAccount, identities              sandbox: verified recipients, 200 a day; 50 recipients;      templates, events, configuration sets
//	                                                              40 MB; what is shown inline
//	ec2            instances, Regions                             refusals as Client.UnauthorizedOperation                     everything else
//	logs           groups, streams, lines; Logs Insights          an organisation's trail as a group; fields, filter, sort,    stats, parse and the other commands;
//	                                                              limit; statuses; 100 queries at once; pages                  writing; encryption
//	rds, dynamodb  a few reads (and PutItem, DeleteTable) for     refusals; items are data events and not in the trail         everything else
//	               sessions to have something to do
//
// Actions of other services can be done with Session.Do: they are decided and recorded, and have no effect.
package awstwin
