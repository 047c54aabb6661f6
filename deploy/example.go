// Package deploy holds what an installation starts from. It knows nothing of the program.
package deploy

import _ "embed" // for the example policy

// ExamplePolicy is the policy file that ships with the product and that the sandbox runs on.
//
//go:embed policy.yaml
var ExamplePolicy []byte
