//go:build seededfaults

package workflows

import "os"

// seeded says whether the defect of that name is to be made: the simulation must find it. A release is never built with this tag.
func seeded(name string) bool { return os.Getenv("BREAKGLASS_SEEDED_FAULT") == name }
