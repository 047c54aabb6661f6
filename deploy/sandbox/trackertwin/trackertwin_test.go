package trackertwin_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"breakglass/deploy/sandbox/trackertwin"
)

const secret = "bot@forge.example:token"

// client speaks to a twin as any program would.
type client struct {
	*testing.T
	*trackertwin.Tracker
	url string
}

func start(t *testing.T, kind string) client {
	twin := trackertwin.New(kind, time.Now)
	srv := httptest.NewServer(twin)
	t.Cleanup(srv.Close)
	twin.Allow(secret)
	return client{t, twin, srv.URL}
}

func (c client) do(method, path, body string, auth ...string) (int, map[string]any) {
	c.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	if user, password, ok := strings.Cut(secret, ":"); ok && auth == nil {
		r.SetBasicAuth(user, password)
	}
	for _, a := range auth {
		r.Header.Set("Authorization", a)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	var out map[string]any
	_ = json.Unmarshal(b, &out)
	return res.StatusCode, out
}

const comments = "/rest/api/3/issue/OPS-1/comment"

func paragraph(inlines string) string {
	return `{"body":{"type":"doc","version":1,"content":[{"type":"paragraph","content":[` + inlines + `]}]}}`
}

// TestWhatJiraRefuses: Jira takes what is a document, and refuses all that its schema does.
func TestWhatJiraRefuses(t *testing.T) {
	c := start(t, trackertwin.Jira)
	c.AddTicket("OPS-1", "The router is down", "In Progress")
	for _, body := range []string{
		`no JSON`,
		`{}`,
		`{"body":"text"}`,
		`{"body":{"type":"doc","content":[]}}`,
		`{"body":{"type":"doc","version":"1","content":[]}}`,
		`{"body":{"type":"doc","version":2,"content":[]}}`,
		`{"body":{"type":"paragraph","version":1,"content":[]}}`,
		`{"body":{"type":"doc","version":1,"content":[]}}`,
		`{"body":{"type":"doc","version":1,"content":[{"type":"text","text":"a"}]}}`,
		`{"body":{"type":"doc","version":1,"content":[{"type":"marquee"}]}}`,
		paragraph(`{"type":"text","text":""}`),
		paragraph(`{"type":"text"}`),
		paragraph(`{"type":"blink","text":"a"}`),
		paragraph(`{"type":"text","text":"a","colour":"red"}`),
		paragraph(`{"type":"text","text":" "}`),
		paragraph(`{"type":"text","text":"` + strings.Repeat("é", 32_768) + `"}`),
	} {
		if status, _ := c.do("POST", comments, body); status != 400 {
			t.Errorf("%d for %.100s", status, body)
		}
	}
	if got := len(c.Refused()); got != 16 {
		t.Errorf("%d refusals are noted", got)
	}
	for _, body := range []string{
		paragraph(`{"type":"text","text":"` + strings.Repeat("é", 32_767) + `"}`),
		paragraph(`{"type":"text","text":"a"},{"type":"hardBreak"},{"type":"mention","attrs":{"id":"1","text":"@all"}}`),
		`{"body":{"type":"doc","version":1,"content":[{"type":"paragraph"},{"type":"paragraph","content":[{"type":"text","text":"b"}]}]}}`,
	} {
		if status, _ := c.do("POST", comments, body); status != 201 {
			t.Errorf("%d for %.100s", status, body)
		}
	}
	if got := c.Comments("OPS-1")[1:]; !cmp.Equal(got, []string{"a\n@all", "\nb"}) {
		t.Errorf("%q", got)
	}
	if got := c.Markup("OPS-1"); !cmp.Equal(got, []string{"mention"}) {
		t.Errorf("%q", got)
	}
	if got := len(c.Public("OPS-1")); got != 3 {
		t.Errorf("%d are public", got)
	}
}

// TestPages: newest first, so many from there, with their properties where those are asked for.
func TestPages(t *testing.T) {
	c := start(t, trackertwin.Jira)
	c.AddTicket("OPS-1", "The router is down", "In Progress")
	c.LimitComments(121)
	for i := range 120 {
		c.AddComment("OPS-1", fmt.Sprint(i))
	}
	c.do("POST", comments, `{"body":{"type":"doc","version":1,"content":[{"type":"paragraph","content":[{"type":"text","text":"last"}]}]},
		"properties":[{"key":"sd.public.comment","value":{"internal":true}}]}`)
	if got := len(c.Public("OPS-1")); got != 120 {
		t.Errorf("%d are public", got)
	}
	if status, _ := c.do("POST", comments, paragraph(`{"type":"text","text":"a"}`)); status != 413 {
		t.Error(status)
	}
	for q, want := range map[string][3]any{
		"":                                  {100, 0.0, "0"},
		"?maxResults=5000":                  {100, 0.0, "0"},
		"?maxResults=0":                     {1, 0.0, "0"},
		"?startAt=119&orderBy=created":      {2, 119.0, "119"},
		"?startAt=1&orderBy=-created":       {100, 1.0, "119"},
		"?startAt=500":                      {0, 500.0, ""},
		"?maxResults=1&orderBy=-created":    {1, 0.0, "last"},
		"?expand=properties&maxResults=100": {100, 0.0, "0"},
	} {
		status, out := c.do("GET", comments+q, "")
		page, _ := out["comments"].([]any)
		first := ""
		if len(page) > 0 {
			b, _ := json.Marshal(page[0])
			var one struct {
				Body struct {
					Content []struct{ Content []struct{ Text string } }
				}
				Properties []any
			}
			_ = json.Unmarshal(b, &one)
			first = one.Body.Content[0].Content[0].Text
			if asked := strings.Contains(q, "expand"); asked != (one.Properties != nil) {
				t.Errorf("%s: %s", q, b)
			}
		}
		if got := [3]any{len(page), out["startAt"], first}; status != 200 || got != want || out["total"] != 121.0 {
			t.Errorf("%s: %d %v %v", q, status, got, out["total"])
		}
	}
	if status, _ := c.do("GET", comments+"?orderBy=author", ""); status != 400 {
		t.Error(status)
	}
}

// TestServiceNow: a task by its number, notes as entries of the journal, and HTML where [code] says so.
func TestServiceNow(t *testing.T) {
	c := start(t, trackertwin.ServiceNow)
	c.AddTicket("INC0010001", "The router is down", "In Progress")
	c.AddTicket("INC0010002", "The router is up", "Closed")
	_, out := c.do("GET", "/api/now/table/task?sysparm_display_value=true&sysparm_limit=1&sysparm_fields=sys_id,state&sysparm_query="+
		url.QueryEscape("number=inc0010002"), "")
	rows := out["result"].([]any)
	found := rows[0].(map[string]any)
	id := found["sys_id"].(string)
	if len(rows) != 1 || found["state"] != "Closed" || len(found) != 2 {
		t.Errorf("%v", rows)
	}
	if _, out := c.do("GET", "/api/now/table/task?sysparm_query=nonsense=1", ""); len(out["result"].([]any)) != 2 {
		t.Error("a condition that is not understood must be left out", out)
	}
	for _, text := range []string{"one <b>line</b>", "a [CODE]<script>x()</script>[/code] b", ""} {
		b, _ := json.Marshal(map[string]string{"work_notes": text})
		if status, _ := c.do("PATCH", "/api/now/table/task/"+id, string(b)); status != 200 {
			t.Error(status)
		}
	}
	if got := c.Comments("INC0010002"); !cmp.Equal(got, []string{"one <b>line</b>", "a x() b"}) {
		t.Errorf("%q", got)
	}
	if got := c.Markup("INC0010002"); !cmp.Equal(got, []string{"<script>x()</script>"}) {
		t.Errorf("%q", got)
	}
	journal := "/api/now/table/sys_journal_field?sysparm_fields=value&sysparm_query=" +
		url.QueryEscape("element_id="+id+"^element=work_notes^valueLIKEB^ORDERBYDESCsys_created_on")
	if _, out := c.do("GET", journal, ""); len(out["result"].([]any)) != 2 {
		t.Error(out)
	}
	c.HideJournal(true)
	if status, _ := c.do("GET", journal, ""); status != 403 {
		t.Error(status)
	}
	for status, one := range map[int][2]string{404: {strings.Repeat("f", 32), "{}"}, 400: {id, `{"work_notes":7}`}} {
		if got, _ := c.do("PATCH", "/api/now/table/task/"+one[0], one[1]); got != status {
			t.Error(got, status)
		}
	}
}

// TestWhoMay: nobody without a secret, no writing with one for reading, and strangers see nothing.
func TestWhoMay(t *testing.T) {
	c := start(t, trackertwin.Jira)
	c.AddTicket("OPS-1", "The router is down", "In Progress")
	c.Allow("oauth")
	c.AllowReading("reader")
	body := paragraph(`{"type":"text","text":"a"}`)
	for _, one := range []struct {
		method, auth string
		want         int
	}{
		{"GET", "", 401}, {"GET", "Bearer wrong", 401}, {"GET", "Bearer " + secret, 401}, {"GET", "Basic oauth", 401}, {"GET", "Bearer oauth", 200},
		{"POST", "Bearer oauth", 201}, {"GET", "Bearer reader", 200}, {"POST", "Bearer reader", 403},
	} {
		if got, _ := c.do(one.method, comments, body, one.auth); got != one.want {
			t.Errorf("%v: %d", one, got)
		}
	}
	c.AnswerStrangers(true)
	if got, _ := c.do("GET", comments, "", "Bearer wrong"); got != 404 {
		t.Error(got)
	}
	c.Forget("oauth")
	if got, _ := c.do("GET", comments, "", "Bearer oauth"); got != 404 {
		t.Error(got)
	}
}

// TestFaults: so many requests of a pattern fail, and an answer is lost after the work was done.
func TestFaults(t *testing.T) {
	c := start(t, trackertwin.Jira)
	c.AddTicket("OPS-1", "The router is down", "In Progress")
	c.FailNext("POST *", 500, 0, 1) // a star ends at a slash: this is no path of Jira's
	c.FailNext("POST /rest/api/3/issue/*/comment", 429, 90*time.Second, 2)
	body := paragraph(`{"type":"text","text":"a"}`)
	for _, want := range []int{429, 429, 201} {
		if got, _ := c.do("POST", comments, body); got != want {
			t.Error(got, want)
		}
	}
	c.LoseAnswerNext("POST /rest/api/3/issue/*/comment")
	if got, _ := c.do("POST", comments, body); got != 0 || len(c.Comments("OPS-1")) != 2 {
		t.Error(got, c.Comments("OPS-1"))
	}
	if got := c.Requests(); len(got) != 4 || len(c.Requests()) != 0 {
		t.Error(got)
	}
	if got := c.Tickets(); !cmp.Equal(got, []trackertwin.Ticket{{Key: "OPS-1", Title: "The router is down", Status: "In Progress"}}) {
		t.Error(got)
	}
}
