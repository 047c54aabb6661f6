package awstwin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestNoInputPanics sends every operation of every service things it does not expect. It is inside the package to know them all.
func TestNoInputPanics(t *testing.T) {
	o := New(Config{})
	o.SetQuotas(false)
	o.AddAccount("100000000003", "prod")
	for _, svc := range o.services {
		for name := range svc.ops {
			for _, body := range []string{"", "{}", "null", "[]", `{"InstanceArn":1}`, `{"Target":{},"FlexibleTimeWindow":{}}`, `{"Filters":[{}],"State":"Active"}`, "<a", "Action=x&%%%"} {
				for _, r := range requests(svc, name, body) {
					r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+BotAccessKeyID+"/20261121/us-east-1/"+svc.scope+"/aws4_request, Signature=0")
					w := httptest.NewRecorder()
					o.ServeHTTP(w, r)
					if w.Code == 500 {
						t.Errorf("%s %s with %q: %s", svc.name, name, body, w.Body)
					}
				}
			}
		}
	}
}

func requests(svc *service, name, body string) []*http.Request {
	switch {
	case svc.target != "":
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", svc.target+"."+name)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		return []*http.Request{r}
	case svc.route == nil:
		r := httptest.NewRequest("POST", "/?Action="+name, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return []*http.Request{r}
	}
	var all []*http.Request
	for _, path := range []string{"/", "/a", "/a/b", "/a?versioning", "/a?object-lock", "/a/b?retention", "/a/b?legal-hold", "/a?list-type=2", "/schedules", "/schedules/x",
		"/schedule-groups", "/schedule-groups/x", "/v2/email/account", "/v2/email/outbound-emails", "/v2/email/identities", "/v2/email/identities/x",
		"/federation/credentials", "/assignment/roles", "/assignment/accounts", "/logout", "/%2e%2e/%00"} {
		for _, verb := range []string{"GET", "PUT", "POST", "DELETE", "HEAD"} {
			all = append(all, httptest.NewRequest(verb, path, strings.NewReader(body)))
		}
	}
	return all
}
