package awstwin_test

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"breakglass/deploy/sandbox/awstwin"
)

// foreign starts the twin on loopback for a client that somebody else wrote, and the environment to reach it by.
func foreign(t *testing.T) (*world, []string) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	w := newWorld(t, func(c *awstwin.Config) { c.Async, c.TrailDelay = -1, -1 })
	w.AddInstance(prod, "us-east-1", "i-0aaa", "web")
	w.AddLogGroup(prod, "us-east-1", "/app/web", "i-0aaa", "GET / 200", "GET /health 500")
	w.AddDatabase(prod, "us-east-1", "wealth", "postgres")
	w.AddTable(prod, "us-east-1", "orders")
	w.AddBucket(management, "us-east-1", "forge-breakglass-archive", true)
	w.SetRole(management, "breakglass-scheduler", schedulerTrust, map[string]string{"revoke": revokeOnly})
	w.SetRole(prod, "breakglass-bot-member", botTrust, map[string]string{"read": lookupOnly})
	w.SetSES(management, "us-east-1", false, "forge.example")
	w.AddKey(management, "us-east-1", "alias/breakglass")
	w.OrganizationTrail(management, "us-east-1", orgGroup)
	w.TrailTable(management, "us-east-1", "trail", "cloudtrail_logs", "breakglass", "s3://results/")
	w.SetQueryTime(0)
	w.SetSessionPreferences(prod, "us-east-1", &awstwin.SessionPreferences{LogGroup: "/ssm"})
	srv := httptest.NewServer(w)
	t.Cleanup(srv.Close)
	env := []string{"AWS_ENDPOINT_URL=" + srv.URL, "AWS_ACCESS_KEY_ID=" + awstwin.BotAccessKeyID, "AWS_SECRET_ACCESS_KEY=" + awstwin.BotSecretAccessKey,
		"AWS_DEFAULT_REGION=us-east-1", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_MAX_ATTEMPTS=1", "AWS_PAGER=", "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
		"ALICE=" + w.alice, "INSTANCE=" + w.InstanceARN(), "STORE=" + w.IdentityStoreID(), "SET=" + w.set, "PROD=" + prod}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AWS_") && !strings.Contains(strings.ToLower(kv), "proxy=") {
			env = append(env, kv)
		}
	}
	return w, env
}

// TestCLI drives the twin with the AWS CLI.
func TestCLI(t *testing.T) {
	aws, err := exec.LookPath("aws")
	if err != nil || exec.Command(aws, "--version").Run() != nil {
		t.Skip("skipped: no AWS CLI here")
	}
	_, env := foreign(t)
	for args, want := range map[string]string{
		"sts get-caller-identity --output text":                                                                               "arn:aws:iam::100000000000:user/breakglass-bot",
		"kms describe-key --key-id alias/breakglass --query KeyMetadata.KeySpec --output text":                                "ECC_NIST_EDWARDS25519",
		"logs describe-log-groups --query logGroups[].logGroupName --output text":                                             orgGroup,
		"s3api get-object-lock-configuration --bucket forge-breakglass-archive --query ObjectLockConfiguration --output json": "Enabled",
		"athena get-query-execution --query-execution-id none":                                                                "InvalidRequestException",
		"organizations list-accounts --query Accounts[].Id --output text":                                                     prod,
		"sso-admin describe-permission-set --instance-arn x --permission-set-arn y":                                           "InvalidParameter|ValidationException|Parameter validation failed",
	} {
		cmd := exec.Command(aws, strings.Fields(args)...)
		cmd.Env = env
		out, _ := cmd.CombinedOutput()
		ok := false
		for _, w := range strings.Split(want, "|") {
			ok = ok || strings.Contains(string(out), w)
		}
		if !ok {
			t.Errorf("aws %s: %s, want %s", args, out, want)
		}
	}
}

// TestBoto3 drives the twin with boto3: every service once, typed errors and paginators included.
func TestBoto3(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import boto3").Run() != nil {
		t.Skip("skipped: no boto3 here")
	}
	w, env := foreign(t)
	cmd := exec.Command(python, "-c", boto3Script)
	token, err := w.PortalSignIn(w.alice)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(env, "TOKEN="+token, "NOW="+strconv.FormatInt(w.now().Unix(), 10))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "done") {
		t.Fatalf("%v\n%s", err, out)
	}
}

const boto3Script = `
import boto3, json, os
from botocore.exceptions import ClientError
E = os.environ
def fails(code, f, **kw):
    try:
        f(**kw)
    except ClientError as e:
        assert e.response['Error']['Code'] == code, e
        return e
    raise AssertionError('no ' + code)
admin = boto3.client('sso-admin')
assert admin.list_instances()['Instances'][0]['InstanceArn'] == E['INSTANCE']
who = dict(InstanceArn=E['INSTANCE'], PermissionSetArn=E['SET'], TargetId=E['PROD'], TargetType='AWS_ACCOUNT', PrincipalType='USER', PrincipalId=E['ALICE'])
st = admin.create_account_assignment(**who)['AccountAssignmentCreationStatus']
d = admin.describe_account_assignment_creation_status(InstanceArn=E['INSTANCE'], AccountAssignmentCreationRequestId=st['RequestId'])
assert d['AccountAssignmentCreationStatus']['Status'] == 'SUCCEEDED', d
rows = list(admin.get_paginator('list_account_assignments').paginate(InstanceArn=E['INSTANCE'], AccountId=E['PROD'], PermissionSetArn=E['SET']))
assert rows[0]['AccountAssignments'][0]['PrincipalId'] == E['ALICE']
fails('ResourceNotFoundException', admin.describe_account_assignment_deletion_status, InstanceArn=E['INSTANCE'], AccountAssignmentDeletionRequestId=st['RequestId'])
store = boto3.client('identitystore')
assert store.get_user_id(IdentityStoreId=E['STORE'], AlternateIdentifier={'UniqueAttribute': {'AttributePath': 'userName', 'AttributeValue': 'alice'}})['UserId'] == E['ALICE']
u = store.describe_user(IdentityStoreId=E['STORE'], UserId=E['ALICE'], Extensions=['aws:identitystore:enterprise'])
assert u['Extensions']['aws:identitystore:enterprise']['manager']['value'], u
r = boto3.client('sts').assume_role(RoleArn='arn:aws:iam::%s:role/breakglass-bot-member' % E['PROD'], RoleSessionName='bot')['Credentials']
def member(name):
    return boto3.client(name, aws_access_key_id=r['AccessKeyId'], aws_secret_access_key=r['SecretAccessKey'], aws_session_token=r['SessionToken'])
portal = boto3.client('sso')
k = portal.get_role_credentials(accessToken=E['TOKEN'], accountId=E['PROD'], roleName='Forge-Prod-Emergency')['roleCredentials']
def alice(name):
    return boto3.client(name, aws_access_key_id=k['accessKeyId'], aws_secret_access_key=k['secretAccessKey'], aws_session_token=k['sessionToken'])
ec2 = alice('ec2')
assert ec2.describe_instances()['Reservations'][0]['Instances'][0]['State']['Name'] == 'running'
assert ec2.stop_instances(InstanceIds=['i-0aaa'])['StoppingInstances'][0]['CurrentState']['Name'] == 'stopped'
fails('UnauthorizedOperation', ec2.terminate_instances, InstanceIds=['i-0aaa'])
logs = alice('logs')
assert logs.describe_log_groups()['logGroups'][0]['logGroupName'] == '/app/web'
assert len(logs.get_log_events(logGroupName='/app/web', logStreamName='i-0aaa')['events']) == 2
assert alice('rds').describe_db_instances()['DBInstances'][0]['Endpoint']['Port'] == 5432
assert alice('dynamodb').list_tables()['TableNames'] == ['orders']
alice('dynamodb').put_item(TableName='orders', Item={'id': {'S': '1'}})
assert alice('s3').list_buckets()['Buckets'] == []
fails('AccessDenied', alice('iam').create_user, UserName='mallory')
ev = list(member('cloudtrail').get_paginator('lookup_events').paginate(LookupAttributes=[{'AttributeKey': 'Username', 'AttributeValue': 'alice'}]))[0]['Events']
names = [e['EventName'] for e in ev]
assert 'StopInstances' in names and 'PutItem' not in names, names
stop = json.loads([e for e in ev if e['EventName'] == 'StopInstances'][0]['CloudTrailEvent'])
assert stop['userIdentity']['onBehalfOf']['userId'] == E['ALICE']
assert member('ssm').describe_sessions(State='Active')['Sessions'] == []
iam = boto3.client('iam')
doc = json.dumps({'Version': '2012-10-17', 'Statement': [{'Effect': 'Deny', 'Action': '*', 'Resource': '*'}]})
arn = iam.create_policy(PolicyName='Guard', PolicyDocument=doc)['Policy']['Arn']
assert iam.get_policy_version(PolicyArn=arn, VersionId='v1')['PolicyVersion']['Document']['Statement'][0]['Effect'] == 'Deny'
fails('NoSuchEntity', iam.get_role, RoleName='none')
sched = boto3.client('scheduler')
s = dict(Name='bg-1', ScheduleExpression='at(2099-01-01T00:00:00)', FlexibleTimeWindow={'Mode': 'OFF'},
  Target={'Arn': 'arn:aws:scheduler:::aws-sdk:ssoadmin:deleteAccountAssignment', 'RoleArn': 'arn:aws:iam::100000000000:role/breakglass-scheduler', 'Input': json.dumps(who)})
sched.create_schedule(**s)
fails('ConflictException', sched.create_schedule, **s)
assert sched.list_schedules()['Schedules'][0]['Name'] == 'bg-1'
sched.delete_schedule(Name='bg-1')
sqs = boto3.client('sqs')
q = sqs.create_queue(QueueName='events')['QueueUrl']
sqs.send_message(QueueUrl=q, MessageBody='hello')
m = sqs.receive_message(QueueUrl=q, WaitTimeSeconds=1)['Messages'][0]
assert m['Body'] == 'hello'
sqs.delete_message(QueueUrl=q, ReceiptHandle=m['ReceiptHandle'])
fails('AWS.SimpleQueueService.NonExistentQueue', sqs.get_queue_url, QueueName='none')
s3 = boto3.client('s3')
lock = dict(Bucket='forge-breakglass-archive', Key='a.json', Body=b'{}', ObjectLockMode='COMPLIANCE', ObjectLockRetainUntilDate='2099-01-01T00:00:00Z', ChecksumAlgorithm='SHA256')
v = s3.put_object(**lock)['VersionId']
fails('AccessDenied', s3.delete_object, Bucket='forge-breakglass-archive', Key='a.json', VersionId=v)
fails('PreconditionFailed', s3.put_object, IfNoneMatch='*', **lock)
assert s3.get_object(Bucket='forge-breakglass-archive', Key='a.json')['Body'].read() == b'{}'
s3.put_object(Bucket='forge-breakglass-archive', Key='folder/b c', Body=b'0123456789')
assert s3.get_object(Bucket='forge-breakglass-archive', Key='folder/b c', Range='bytes=2-4')['Body'].read() == b'234'
assert [p['Prefix'] for p in s3.list_objects_v2(Bucket='forge-breakglass-archive', Delimiter='/')['CommonPrefixes']] == ['folder/']
vs = [v['Key'] for p in s3.get_paginator('list_object_versions').paginate(Bucket='forge-breakglass-archive', PaginationConfig={'PageSize': 1}) for v in p['Versions']]
assert vs == ['a.json', 'folder/b c'], vs
fails('NoSuchBucketPolicy', s3.get_bucket_policy_status, Bucket='forge-breakglass-archive')
kms = boto3.client('kms')
sig = kms.sign(KeyId='alias/breakglass', Message=b'checkpoint', MessageType='RAW', SigningAlgorithm='ED25519_SHA_512')['Signature']
assert len(sig) == 64 and kms.get_public_key(KeyId='alias/breakglass')['KeySpec'] == 'ECC_NIST_EDWARDS25519'
assert kms.describe_key(KeyId='alias/breakglass')['KeyMetadata']['KeyState'] == 'Enabled'
fails('NotFoundException', kms.sign, KeyId='alias/none', Message=b'x', SigningAlgorithm='ED25519_SHA_512')
secrets = boto3.client('secretsmanager')
arn = secrets.create_secret(Name='breakglass/key', SecretString='one')['ARN']
secrets.put_secret_value(SecretId=arn, SecretString='two')
assert secrets.get_secret_value(SecretId='breakglass/key', VersionStage='AWSPREVIOUS')['SecretString'] == 'one'
fails('ResourceExistsException', secrets.create_secret, Name='breakglass/key', SecretString='x')
own = boto3.client('logs')
q = own.start_query(logGroupName='aws-cloudtrail-logs-org', startTime=int(E['NOW']) - 3600, endTime=int(E['NOW']), queryString='fields eventName | filter userIdentity.onBehalfOf.userId = "%s" and eventName = "StopInstances"' % E['ALICE'])['queryId']
r = own.get_query_results(queryId=q)
assert r['status'] == 'Complete' and r['results'][0][0] == {'field': 'eventName', 'value': 'StopInstances'}, r
fails('MalformedQueryException', own.start_query, logGroupName='aws-cloudtrail-logs-org', startTime=0, endTime=1, queryString='select 1')
athena = boto3.client('athena')
x = athena.start_query_execution(QueryString='SELECT eventname, awsregion FROM trail.cloudtrail_logs WHERE useridentity.onbehalfof.userid = ? AND eventname = ?',
  ExecutionParameters=["'" + E['ALICE'] + "'", "'StopInstances'"], WorkGroup='breakglass')['QueryExecutionId']
st = athena.get_query_execution(QueryExecutionId=x)['QueryExecution']['Status']
assert st['State'] == 'SUCCEEDED', st
rows = [[d.get('VarCharValue') for d in r['Data']] for p in athena.get_paginator('get_query_results').paginate(QueryExecutionId=x) for r in p['ResultSet']['Rows']]
assert rows == [['eventname', 'awsregion'], ['StopInstances', 'us-east-1']], rows
fails('InvalidRequestException', athena.get_query_results, QueryExecutionId='none')
assert json.loads(alice('ssm').get_document(Name='SSM-SessionManagerRunShell')['Content'])['inputs']['cloudWatchLogGroupName'] == '/ssm'
ses = boto3.client('sesv2')
mail = dict(FromEmailAddress='breakglass@forge.example', Content={'Simple': {'Subject': {'Data': 's'}, 'Body': {'Text': {'Data': 't'}}}})
ses.send_email(Destination={'ToAddresses': ['audit@forge.example']}, **mail)
fails('MessageRejected', ses.send_email, Destination={'ToAddresses': ['x@elsewhere.example']}, **mail)
fails('UnrecognizedClientException', boto3.client('sso-admin', aws_access_key_id='AKIANOBODY', aws_secret_access_key='x').list_instances)
print('done')
`
