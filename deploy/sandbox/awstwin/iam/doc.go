// Package iam decides what AWS policies allow: a request and the policies that bear on it in, a decision and its reason out.
//
// It is pure: no clock, no network, no state. The time of a request is a value of its context (aws:CurrentTime), as IAM has
// it. It knows nothing of accounts, roles or services; who carries which policy is the caller's matter.
//
// The rules are those of the IAM User Guide ("Policy evaluation logic", "IAM JSON policy elements"): an explicit Deny
// anywhere wins; then every layer that is present (identity-based policies, permissions boundary, session policy, service
// control policies) must allow. Action names and condition keys are compared without case, resources and values with it.
//
// Not here: policy types that the twin has no use for (resource control policies, VPC endpoint policies, access points),
// and the services' own ways with their condition keys. Principals are evaluated in resource-based documents (role trust) only.
package iam
