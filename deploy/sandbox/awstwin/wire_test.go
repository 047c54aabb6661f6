package awstwin_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/wire"
)

// TestInABubble: the twin behind a real HTTP server on the in-memory network, with the SDK's own retries, in a bubble.
func TestInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := wire.New()
		w := newWorld(t, func(c *awstwin.Config) { c.Now = time.Now })
		srv := &http.Server{Handler: w}
		go func() { _ = srv.Serve(n.Listen("aws.sandbox")) }()
		transport := &http.Transport{DialContext: n.DialContext}
		defer transport.CloseIdleConnections()
		defer srv.Close()
		cfg := bot(w.Organization)
		cfg.HTTPClient, cfg.RetryMaxAttempts = &http.Client{Transport: transport, Timeout: 10 * time.Second}, 3
		c := ssoadmin.NewFromConfig(cfg)

		w.DropReplyNext("sso-admin", "CreateAccountAssignment", 1)
		// The SDK's second attempt meets the change of the first, under way (a conflict) or done, as its random pause has it.
		_, err := c.CreateAccountAssignment(t.Context(), w.create(w.alice))
		var conflict *types.ConflictException
		if err != nil && !errors.As(err, &conflict) {
			t.Fatalf("after a dropped reply: %v", err)
		}
		time.Sleep(3 * time.Second)
		if w.listed(t, c) != 1 {
			t.Fatal("the dropped call had no effect")
		}
		w.HangNext("sso-admin", "ListInstances")
		start := time.Now()
		// The client gives up after ten seconds and asks again.
		if _, err := c.ListInstances(t.Context(), &ssoadmin.ListInstancesInput{}); err != nil || time.Since(start) < 10*time.Second {
			t.Fatalf("hung call: %v after %v", err, time.Since(start))
		}
		for range 30 { // more than 20 a second: the SDK waits and comes through
			if _, err := c.ListInstances(t.Context(), &ssoadmin.ListInstancesInput{MaxResults: aws.Int32(1)}); err != nil {
				t.Fatal(err)
			}
		}
		w.SetDelay(30 * time.Millisecond)
		start = time.Now()
		if _, err := c.ListInstances(t.Context(), &ssoadmin.ListInstancesInput{}); err != nil || time.Since(start) < 30*time.Millisecond {
			t.Fatalf("no delay: %v %v", err, time.Since(start))
		}
	})
}
