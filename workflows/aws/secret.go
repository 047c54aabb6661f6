package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// The places a secret may be kept in, as the environment names them. Anything else is the secret itself.
const (
	inSSM     = "ssm:"
	inManager = "secretsmanager:"
	inFile    = "file:"
)

// maxSecret is more than any token; a file that holds more is not one.
const maxSecret = 64 << 10

// NeedsAWS says whether a secret is kept in AWS, so that a Connection is needed to read it.
func NeedsAWS(ref string) bool {
	return strings.HasPrefix(ref, inSSM) || strings.HasPrefix(ref, inManager)
}

// Secret resolves ssm:/name (a parameter, decrypted), secretsmanager:name (its current string), file:/path, or returns ref itself.
// White space around it is cut off, since editors and echo add a newline. Errors name the place, never the value. c may be
// nil where NeedsAWS says no. Parameters and secrets are read in the bot's own Region.
func Secret(ctx context.Context, c *Connection, ref string) (string, error) {
	if c == nil && NeedsAWS(ref) {
		return "", errors.New("a secret is kept in AWS, and there is no connection to it")
	}
	var value string
	var err error
	switch {
	case strings.HasPrefix(ref, inSSM):
		value, err = c.parameter(ctx, strings.TrimPrefix(ref, inSSM))
	case strings.HasPrefix(ref, inManager):
		value, err = c.managed(ctx, strings.TrimPrefix(ref, inManager))
	case strings.HasPrefix(ref, inFile):
		value, err = readSecret(strings.TrimPrefix(ref, inFile))
	default:
		return strings.TrimSpace(ref), nil
	}
	if err != nil {
		return "", err
	}
	if value = strings.TrimSpace(value); value == "" {
		return "", fmt.Errorf("the secret %s is empty", ref)
	}
	return value, nil
}

// parameter reads from SSM's parameter store. WithDecryption is harmless for plain strings, so it is always asked for.
func (c *Connection) parameter(ctx context.Context, name string) (string, error) {
	client := ssm.NewFromConfig(c.base, func(o *ssm.Options) { o.Retryer = sdk.NopRetryer{} })
	out, err := call(ctx, c, c.ssmCalls, "GetParameter", reading, func(ctx context.Context) (*ssm.GetParameterOutput, error) {
		return client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: sdk.Bool(true)})
	})
	if err != nil {
		return "", explain("reading the parameter "+name, err)
	}
	if out.Parameter == nil {
		return "", nil
	}
	return sdk.ToString(out.Parameter.Value), nil
}

// managed reads the current version from Secrets Manager. A binary secret is no token and counts as empty.
func (c *Connection) managed(ctx context.Context, name string) (string, error) {
	client := secretsmanager.NewFromConfig(c.base, func(o *secretsmanager.Options) { o.Retryer = sdk.NopRetryer{} })
	out, err := call(ctx, c, c.secretCalls, "GetSecretValue", reading, func(ctx context.Context) (*secretsmanager.GetSecretValueOutput, error) {
		return client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	})
	if err != nil {
		return "", explain("reading the secret "+name, err)
	}
	return sdk.ToString(out.SecretString), nil
}

// readSecret reads a file, bounded, so that a path that names a device or a log by mistake does not fill the memory.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	if len(b) > maxSecret {
		return "", fmt.Errorf("%s is too large to be a secret", path)
	}
	return string(b), nil
}
