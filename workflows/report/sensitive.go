package report

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"breakglass/store"
)

// pattern is one entry of a list of sensitive actions, in lower case.
type pattern struct {
	service, action string
	rest            bool // the action is only the beginning of a name
}

// patterns reads entries as the policy writes them.
func patterns(entries []string) []pattern {
	var all []pattern
	for _, e := range entries {
		service, action, ok := strings.Cut(strings.ToLower(strings.TrimSpace(e)), ":")
		if !ok || service == "" || action == "" {
			continue
		}
		if source, ok := sources(service); ok {
			service = source
		}
		name, rest := strings.CutSuffix(action, "*")
		all = append(all, pattern{service, name, rest})
	}
	return all
}

// sources is what CloudTrail calls a service whose name in IAM's policies is another.
func sources(service string) (string, bool) {
	switch service {
	case "cloudwatch":
		return "monitoring", true
	case "ses":
		return "email", true
	case "efs":
		return "elasticfilesystem", true
	case "emr":
		return "elasticmapreduce", true
	case "cassandra", "keyspaces":
		return "cassandra", true
	}
	return "", false
}

func (p pattern) matches(service, action string) bool {
	if p.service != "*" && p.service != service {
		return false
	}
	return p.action == action || p.rest && strings.HasPrefix(action, p.action)
}

// watched says whether a call is one of those that are always looked at, done or only tried.
func (g *Gather) watched(r store.Record) bool {
	service, action := strings.ToLower(r.Service), strings.ToLower(r.Action)
	if slices.ContainsFunc(g.sensitive, func(p pattern) bool { return p.matches(service, action) }) {
		return true
	}
	return builtIn(r, service, action)
}

// builtIn is the list that needs no policy: who may do what, other people's secrets, the traces, doors to the outside, and what cannot be
// brought back. CloudTrail calls some of these reads.
func builtIn(r store.Record, service, action string) bool {
	switch service {
	case "iam", "sso", "sso-directory", "identitystore", "organizations", "account", "kms", "cloudtrail", "config", "guardduty", "securityhub",
		"access-analyzer", "ram", "rolesanywhere", "acm-pca":
		return !r.ReadOnly
	case "sts":
		// AssumeRoleWithSAML is how the session itself begins.
		return action == "assumerole" || action == "assumeroot" || action == "getfederationtoken" || action == "getsessiontoken"
	case "secretsmanager":
		return !r.ReadOnly || strings.Contains(action, "getsecretvalue")
	case "ssm":
		return decrypts(r, action) || action == "putparameter" || strings.HasPrefix(action, "deleteparameter") || action == "modifydocumentpermission"
	case "ec2":
		return oneOf(action, "getpassworddata", "authorizesecuritygroupingress", "authorizesecuritygroupegress", "modifyimageattribute",
			"modifysnapshotattribute", "modifyinstancemetadataoptions", "associateiaminstanceprofile", "replaceiaminstanceprofileassociation",
			"createvpcpeeringconnection", "deleteflowlogs", "disableebsencryptionbydefault") ||
			beginsWith(action, "terminate", "deletesnapshot", "deletevolume", "deletevpc", "createkeypair", "importkeypair")
	case "ec2-instance-connect":
		return strings.HasPrefix(action, "send")
	case "s3":
		return strings.Contains(action, "policy") || strings.HasSuffix(action, "acl") || strings.Contains(action, "publicaccessblock") ||
			oneOf(action, "deletebucket", "putbucketversioning", "putbucketlogging", "putbucketreplication", "putobjectlockconfiguration", "putbucketlifecycle")
	case "lambda":
		return beginsWith(action, "addpermission", "updatefunctioncode", "createfunctionurl", "updatefunctionurl", "deletefunction")
	case "eks":
		return strings.Contains(action, "accessentry") && !r.ReadOnly || oneOf(action, "associateaccesspolicy", "deletecluster")
	case "logs":
		return beginsWith(action, "deletelog", "deleteretention", "putretention", "putresourcepolicy", "putsubscriptionfilter", "unmask")
	case "redshift", "redshift-serverless":
		return strings.HasPrefix(action, "getcredentials") || strings.HasPrefix(action, "getclustercredentials") || destroys(action)
	case "rds":
		return destroys(action) || oneOf(action, "modifydbsnapshotattribute", "modifydbclustersnapshotattribute", "startexporttask") ||
			!r.ReadOnly && bytes.Contains(r.Raw, []byte("masterUserPassword"))
	case "dynamodb":
		return destroys(action) || oneOf(action, "exporttabletopointintime", "putresourcepolicy", "updatecontinuousbackups")
	case "cloudformation", "elasticfilesystem", "ecr", "es", "backup", "cassandra", "glue", "elasticmapreduce", "events", "scheduler":
		return destroys(action) || !r.ReadOnly && strings.Contains(action, "policy")
	}
	return !r.ReadOnly && (strings.Contains(action, "resourcepolicy") || strings.HasPrefix(action, "terminate"))
}

// decrypts: GetParameter and its like read a secret only where they ask for it in the clear, which only the event itself says.
func decrypts(r store.Record, action string) bool {
	if !strings.HasPrefix(action, "getparameter") || len(r.Raw) == 0 || !bytes.Contains(r.Raw, []byte("withDecryption")) {
		return false
	}
	var e struct {
		RequestParameters struct {
			WithDecryption bool `json:"withDecryption"`
		} `json:"requestParameters"`
	}
	return json.Unmarshal(r.Raw, &e) == nil && e.RequestParameters.WithDecryption
}

func destroys(action string) bool {
	return beginsWith(action, "delete", "terminate", "batchdelete", "drop", "purge")
}

func beginsWith(s string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(s, w) })
}

func oneOf(s string, words ...string) bool { return slices.Contains(words, s) }
