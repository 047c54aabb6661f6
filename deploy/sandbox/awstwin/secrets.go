// Secrets Manager: secrets with their versions. A version that is put becomes AWSCURRENT, and the one before it AWSPREVIOUS; those before that
// have no label and go.

package awstwin

import (
	"bytes"
	"maps"
	"slices"
	"time"
)

// secretLargest is the longest value of a secret, in bytes (Secrets Manager quotas).
const secretLargest = 65_536

type secret struct {
	name, arn string
	created   time.Time
	versions  []*secretVersion // the oldest first
}

type secretVersion struct {
	id      string
	text    *string
	binary  []byte
	created time.Time
	stages  []string
}

// SetSecret puts a secret into Secrets Manager; one that is there gets another version.
func (o *Organization) SetSecret(accountID, region, name, value string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	r := o.must(accountID).in(region)
	r.newSecret(o, name).put(&secretVersion{id: o.uuid(), text: &value, created: o.cfg.Now()})
}

// SecretValue is the current value of a secret; empty where there is none.
func (o *Organization) SecretValue(accountID, region, name string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.must(accountID).in(region).secrets[name]; s != nil {
		if v := s.labelled("AWSCURRENT"); v != nil && v.text != nil {
			return *v.text
		} else if v != nil {
			return string(v.binary)
		}
	}
	return ""
}

func (r *regional) newSecret(o *Organization, name string) *secret {
	if r.secrets[name] == nil {
		r.secrets[name] = &secret{name: name, arn: r.arn("secretsmanager", "secret:"+name+"-"+o.lower(6)), created: o.cfg.Now()}
	}
	return r.secrets[name]
}

// put makes a version the current one.
func (s *secret) put(v *secretVersion) {
	for _, old := range s.versions {
		switch {
		case slices.Contains(old.stages, "AWSCURRENT"):
			old.stages = []string{"AWSPREVIOUS"}
		default:
			old.stages = nil
		}
	}
	s.versions = slices.DeleteFunc(s.versions, func(old *secretVersion) bool { return old.stages == nil })
	v.stages = []string{"AWSCURRENT"}
	s.versions = append(s.versions, v)
}

func (s *secret) labelled(stage string) *secretVersion {
	for _, v := range s.versions {
		if slices.Contains(v.stages, stage) {
			return v
		}
	}
	return nil
}

func (s *secret) version(id string) *secretVersion {
	for _, v := range s.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

func secretsService() *service {
	on := func(c *call) []string {
		var in secretInput
		_ = c.decode(&in)
		if s := c.place().secret(in.SecretId); s != nil && in.SecretId != "" {
			return []string{s.arn}
		}
		if in.Name != "" {
			return []string{c.place().arn("secretsmanager", "secret:"+in.Name+"-??????")}
		}
		return []string{c.place().arn("secretsmanager", "secret:"+in.SecretId)}
	}
	return &service{name: "secretsmanager", scope: "secretsmanager", target: "secretsmanager", source: "secretsmanager.amazonaws.com", prefix: "secretsmanager",
		proto: protoJSON, ops: map[string]*operation{
			"GetSecretValue": reads(getSecretValue).on(on),
			"DescribeSecret": reads(describeSecret).on(on),
			"CreateSecret":   writes(createSecret).on(on),
			"PutSecretValue": writes(putSecretValue).on(on),
		}}
}

// secret takes a name, an ARN, or an ARN without its six random characters.
func (r *regional) secret(id string) *secret {
	for _, s := range r.secrets {
		if id == s.name || id == s.arn || id == s.arn[:len(s.arn)-7] {
			return s
		}
	}
	return nil
}

type secretInput struct {
	SecretId, Name          string
	VersionId, VersionStage string
	ClientRequestToken      string
	SecretString            *string
	SecretBinary            []byte
}

func (in *secretInput) find(c *call) (*secret, error) {
	if s := c.place().secret(in.SecretId); s != nil {
		return s, nil
	}
	return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

func getSecretValue(c *call, in *secretInput) (any, error) {
	s, err := in.find(c)
	if err != nil {
		return nil, err
	}
	var v *secretVersion
	what := "staging label: AWSCURRENT"
	switch {
	case in.VersionId != "":
		v, what = s.version(in.VersionId), "VersionId: "+in.VersionId
	case in.VersionStage != "":
		v, what = s.labelled(in.VersionStage), "staging label: "+in.VersionStage
	default:
		v = s.labelled("AWSCURRENT")
	}
	if v == nil || (in.VersionId != "" && in.VersionStage != "" && !slices.Contains(v.stages, in.VersionStage)) {
		return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for %s", what)
	}
	out := s.view(v)
	out["CreatedDate"] = epoch(v.created)
	if v.text != nil {
		out["SecretString"] = *v.text
	} else {
		out["SecretBinary"] = v.binary
	}
	return out, nil
}

func (s *secret) view(v *secretVersion) map[string]any {
	return map[string]any{"ARN": s.arn, "Name": s.name, "VersionId": v.id, "VersionStages": v.stages}
}

func describeSecret(c *call, in *secretInput) (any, error) {
	s, err := in.find(c)
	if err != nil {
		return nil, err
	}
	stages := map[string]any{}
	for _, v := range s.versions {
		stages[v.id] = v.stages
	}
	return map[string]any{"ARN": s.arn, "Name": s.name, "CreatedDate": epoch(s.created), "VersionIdsToStages": stages}, nil
}

// value makes a version of what was sent; nil where nothing was. CloudTrail never has it.
func (in *secretInput) value(c *call) (*secretVersion, error) {
	c.trail.params = map[string]any{"name": in.Name, "secretId": in.SecretId, "clientRequestToken": in.ClientRequestToken}
	maps.DeleteFunc(c.trail.params.(map[string]any), func(_ string, v any) bool { return v == "" })
	v := &secretVersion{id: in.ClientRequestToken, text: in.SecretString, binary: in.SecretBinary, created: c.at}
	if v.id == "" {
		v.id = c.org.uuid()
	}
	switch {
	case len(v.id) < 32 || len(v.id) > 64:
		return nil, fail("InvalidParameterException", "ClientRequestToken must be between 32 and 64 characters long.")
	case in.SecretString != nil && in.SecretBinary != nil:
		return nil, fail("InvalidParameterException", "You can't specify both a binary secret value and a string secret value in the same secret.")
	case in.SecretString == nil && in.SecretBinary == nil:
		return nil, nil
	case len(in.SecretBinary) > secretLargest || (in.SecretString != nil && len(*in.SecretString) > secretLargest):
		return nil, fail("ValidationException", "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to %d", secretLargest)
	}
	return v, nil
}

func (v *secretVersion) same(other *secretVersion) bool {
	text := func(s *secretVersion) string {
		if s.text == nil {
			return ""
		}
		return *s.text
	}
	return text(v) == text(other) && bytes.Equal(v.binary, other.binary)
}

// createSecret: the same token and value again is the same call again.
func createSecret(c *call, in *secretInput) (any, error) {
	v, err := in.value(c)
	if err != nil {
		return nil, err
	}
	if in.Name == "" {
		return nil, fail("InvalidParameterException", "You must provide a value for the Name parameter.")
	}
	if s := c.place().secrets[in.Name]; s != nil {
		if v != nil {
			if old := s.version(v.id); old != nil && old.same(v) {
				return s.view(old), nil
			}
		}
		return nil, fail("ResourceExistsException", "The operation failed because the secret %s already exists.", in.Name)
	}
	s := c.place().newSecret(c.org, in.Name)
	s.created = c.at
	if v == nil {
		return map[string]any{"ARN": s.arn, "Name": s.name}, nil
	}
	s.put(v)
	return s.view(v), nil
}

func putSecretValue(c *call, in *secretInput) (any, error) {
	s, err := in.find(c)
	if err != nil {
		return nil, err
	}
	v, err := in.value(c)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fail("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	}
	if old := s.version(v.id); old != nil {
		if old.same(v) {
			return s.view(old), nil
		}
		return nil, fail("ResourceExistsException", "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", v.id, s.arn)
	}
	s.put(v)
	return s.view(v), nil
}
