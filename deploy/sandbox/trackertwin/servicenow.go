package trackertwin

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
)

// mostNote is how many characters of a journal entry are kept. What is longer loses its end without a word.
const mostNote = 32_000

// row is a row of a table: the value of each field, and what people see of it where that differs.
type row struct{ value, display map[string]string }

func (r row) field(name string, display bool) string {
	if s, ok := r.display[name]; ok && display {
		return s
	}
	return r.value[name]
}

// snowTasks is the Table API's GET of task.
func (t *Tracker) snowTasks(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.may(w, r, false) {
		return
	}
	var rows []row
	for _, is := range t.tickets {
		rows = append(rows, is.row())
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.value["number"], b.value["number"]) })
	list(w, r, rows)
}

func (is *ticket) row() row {
	return row{
		value:   map[string]string{"sys_id": is.id, "number": is.Key, "short_description": is.Title, "state": "2", "sys_class_name": "incident"},
		display: map[string]string{"state": is.Status, "sys_class_name": "Incident"},
	}
}

// snowJournal is the Table API's GET of sys_journal_field, where the entries of journal fields are.
func (t *Tracker) snowJournal(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.may(w, r, false) {
		return
	}
	if t.hidden {
		t.refuse(w, http.StatusForbidden, "Failed API level ACL Validation")
		return
	}
	var rows []row
	for _, is := range t.tickets {
		for _, c := range is.comments {
			rows = append(rows, row{value: map[string]string{"sys_id": c.id, "element_id": is.id, "element": "work_notes", "name": "task",
				"value": c.raw, "sys_created_on": stamp(c.at)}})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.value["sys_id"], b.value["sys_id"]) })
	list(w, r, rows)
}

// list answers with the rows that a request asks for.
func list(w http.ResponseWriter, r *http.Request, rows []row) {
	q := r.URL.Query()
	rows = query(rows, q.Get("sysparm_query"))
	from := min(max(number(q.Get("sysparm_offset"), 0), 0), len(rows))
	rows = rows[from:min(from+number(q.Get("sysparm_limit"), 10000), len(rows))]
	result := []any{}
	for _, x := range rows {
		result = append(result, fields(x, q.Get("sysparm_fields"), q.Get("sysparm_display_value") == "true"))
	}
	answer(w, http.StatusOK, map[string]any{"result": result})
}

func fields(x row, asked string, display bool) map[string]string {
	out := map[string]string{}
	for name := range x.value {
		if asked == "" || slices.Contains(strings.Split(asked, ","), name) {
			out[name] = x.field(name, display)
		}
	}
	return out
}

// query keeps the rows of an encoded query: conditions = and LIKE, joined by ^, and an order. Text is compared without regard to case, as the databases
// under ServiceNow do. A condition on a field that is not there is left out, as ServiceNow does by default: it then keeps more, not less.
func query(rows []row, encoded string) []row {
	for term := range strings.SplitSeq(encoded, "^") {
		if name, ok := strings.CutPrefix(term, "ORDERBYDESC"); ok {
			slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(b.value[name], a.value[name]) })
			continue
		}
		if name, ok := strings.CutPrefix(term, "ORDERBY"); ok {
			slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.value[name], b.value[name]) })
			continue
		}
		m := condition.FindStringSubmatch(term)
		if m == nil {
			continue
		}
		rows = slices.DeleteFunc(rows, func(x row) bool {
			v, there := x.value[m[1]]
			if m[2] == "=" {
				return there && !strings.EqualFold(v, m[3])
			}
			return there && !strings.Contains(strings.ToLower(v), strings.ToLower(m[3]))
		})
	}
	return rows
}

var condition = regexp.MustCompile(`(?s)^([a-z_]+)(=|LIKE)(.*)$`)

// snowPatch is the Table API's PATCH of a task. Only work_notes can be changed; each value becomes one more entry.
func (t *Tracker) snowPatch(w http.ResponseWriter, r *http.Request) {
	var in map[string]any
	err := json.NewDecoder(r.Body).Decode(&in)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.may(w, r, true) {
		return
	}
	var is *ticket
	for _, one := range t.tickets {
		if one.id == r.PathValue("id") {
			is = one
		}
	}
	if is == nil {
		t.refuse(w, http.StatusNotFound, "Record doesn't exist or ACL restricts the record retrieval")
		return
	}
	note, isText := in["work_notes"].(string)
	if err != nil || !isText {
		t.refused = append(t.refused, "no text in work_notes")
		t.refuse(w, http.StatusBadRequest, "Exception while reading request")
		return
	}
	if units := utf16.Encode([]rune(note)); len(units) > mostNote {
		note = string(utf16.Decode(units[:mostNote]))
	}
	if strings.TrimSpace(note) != "" { // an empty entry is none
		text, markup := readNote(note)
		t.add(is, comment{raw: note, text: text, markup: markup})
	}
	answer(w, http.StatusOK, map[string]any{"result": fields(is.row(), r.URL.Query().Get("sysparm_fields"), false)})
}

// What ServiceNow makes of a journal entry: between [code] and [/code] stands HTML (Journal field type), the rest is text.
var (
	codePart = regexp.MustCompile(`(?is)\[code\](.*?)\[/code\]`)
	htmlTag  = regexp.MustCompile(`<[^>]*>`)
)

// readNote is an entry as a person reads it, and the HTML that is in it.
func readNote(raw string) (text string, markup []string) {
	text = codePart.ReplaceAllStringFunc(raw, func(part string) string {
		html := codePart.FindStringSubmatch(part)[1]
		markup = append(markup, html)
		return htmlTag.ReplaceAllString(html, "")
	})
	return text, markup
}
