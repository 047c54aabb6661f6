package aws

import (
	"testing"

	"breakglass/store"
)

// What is remembered makes a command that can be pasted; what is not makes none, rather than one with holes.
func TestByHand(t *testing.T) {
	c := &Connection{cfg: Config{Region: "us-east-1"}, instance: newInstance("")}
	ic := &IdentityCenter{c: c, sets: newSetNames(c)}
	tuple := store.Tuple{UserID: "u-1", Account: "100000000003", Set: "It's"}
	if got := ic.ByHand(tuple); got != "" {
		t.Errorf("nothing is known and the command is %q", got)
	}
	c.instance.found <- found{arn: "arn:aws:sso:::instance/ssoins-1"}
	ic.sets.learn("It's", "arn:ps'1")
	want := `aws sso-admin delete-account-assignment --region 'us-east-1' --instance-arn 'arn:aws:sso:::instance/ssoins-1' ` +
		`--permission-set-arn 'arn:ps'\''1' --target-type AWS_ACCOUNT --target-id '100000000003' --principal-type USER --principal-id 'u-1'`
	for range 2 { // asking does not use it up
		if got := ic.ByHand(tuple); got != want {
			t.Errorf("the command is\n%s\nnot\n%s", got, want)
		}
	}
}
