package awstwin

import (
	"encoding/json"
	"testing"
)

// TestEventPatterns: the matching rules of the EventBridge user guide ("Event patterns").
func TestEventPatterns(t *testing.T) {
	const event = `{"source":"aws.sts","detail":{"name":"AssumeRole","list":["a","b"],"n":1,"ok":true,"nil":null,"deep":{"arn":"arn:aws:iam::1:role/x/BreakGlassAdmin"}}}`
	for pattern, want := range map[string]bool{
		`{"source":["aws.sts"]}`:                                                        true,
		`{"source":["aws.ec2"]}`:                                                        false,
		`{"detail":{"list":["b"]}}`:                                                     true,
		`{"detail":{"list":["c"]}}`:                                                     false,
		`{"detail":{"n":[1],"ok":[true],"nil":[null]}}`:                                 true,
		`{"detail":{"name":[{"prefix":"Assume"}]}}`:                                     true,
		`{"detail":{"name":[{"suffix":"User"}]}}`:                                       false,
		`{"detail":{"name":[{"equals-ignore-case":"assumerole"}]}}`:                     true,
		`{"detail":{"deep":{"arn":[{"wildcard":"arn:aws:iam::*:role/*BreakGlass*"}]}}}`: true,
		`{"detail":{"deep":{"arn":[{"wildcard":"*Emergency*"}]}}}`:                      false,
		`{"detail":{"name":[{"anything-but":["AssumeRole"]}]}}`:                         false,
		`{"detail":{"name":[{"anything-but":{"prefix":"Get"}}]}}`:                       true,
		`{"detail":{"errorCode":[{"exists":false}]}}`:                                   true,
		`{"detail":{"name":[{"exists":false}]}}`:                                        false,
		`{"detail":{"none":{"below":[{"exists":false}]}}}`:                              true,
		`{"$or":[{"source":["x"]},{"detail":{"name":["AssumeRole"]}}]}`:                 true,
		`{"$or":[{"source":["x"]},{"detail":{"name":["y"]}}]}`:                          false,
	} {
		var p, e map[string]any
		if err := json.Unmarshal([]byte(pattern), &p); err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal([]byte(event), &e)
		if got := matchPattern(p, e); got != want {
			t.Errorf("%s: %v", pattern, got)
		}
	}
}
