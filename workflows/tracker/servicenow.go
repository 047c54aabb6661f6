package tracker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"breakglass/store"
)

const (
	// maxNote is the width of the longest work note with its mark, in UTF-16 units: some databases under ServiceNow keep no more of a journal entry.
	maxNote = 32_000
	// perJournal is how many notes that mention a mark are read, the newest first. So many of the longest fit into maxAnswer.
	perJournal = 10
)

// sysID is the form of ServiceNow's own ids. What comes back goes into addresses.
var sysID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// record is a row of the task table, the values as people see them (sysparm_display_value=true).
type record struct {
	SysID  string `json:"sys_id"`
	Number string `json:"number"`
	Title  string `json:"short_description"`
	State  string `json:"state"`
}

// ticket sends a browser to task.do, which opens the form of whatever kind of task it is.
func (r record) ticket(t *Tracker) Ticket {
	return Ticket{Key: r.Number, Title: r.Title, Status: r.State,
		Link: t.site() + "/nav_to.do?uri=" + url.QueryEscape("task.do?sys_id="+r.SysID)}
}

// record looks a task up by its number, whatever its kind: incidents, changes and requests are all in task (ServiceNow, Table API). Where there is none, or
// the account may see none, newer releases answer with an empty list and older ones with 404.
func (a *asking) record(ctx context.Context, key string) (record, error) {
	var out struct {
		Result []record `json:"result"`
	}
	query := url.Values{
		"sysparm_query":         {"number=" + key},
		"sysparm_fields":        {"sys_id,number,short_description,state"},
		"sysparm_display_value": {"true"},
		"sysparm_limit":         {"1"},
	}
	if err := a.do(ctx, http.MethodGet, "api/now/table/task", query, nil, &out); err != nil {
		return record{}, err
	}
	if out.Result == nil {
		return record{}, errors.New("the answer has no result")
	}
	if len(out.Result) == 0 {
		return record{}, &store.Refusal{By: a.t.name(), Code: CodeNoTicket, Message: fmt.Sprintf("There is no ticket %s in %s, or the account may not see it.", key, a.t)}
	}
	r := out.Result[0]
	// A condition that ServiceNow does not understand it leaves out, and gives any row at all. Nothing may be written to that one.
	if !strings.EqualFold(r.Number, key) || !sysID.MatchString(r.SysID) {
		return record{}, errors.New("the answer is another ticket")
	}
	return r, nil
}

// note adds a work note, unless one is there (ServiceNow, Table API, PATCH). Work notes are for those who work on the ticket; whoever opened it does not
// see them.
func (a *asking) note(ctx context.Context, key, mark, text string) error {
	r, err := a.record(ctx, key)
	if err != nil {
		return err
	}
	there, err := a.noted(ctx, r.SysID, mark)
	if err != nil || there {
		return err
	}
	end := "\n" + markLine(mark)
	in := map[string]string{"work_notes": cut(harmless(text), maxNote-width(end, 1), 1) + end}
	var out struct {
		Result record `json:"result"`
	}
	query := url.Values{"sysparm_fields": {"sys_id"}} // not the whole ticket with all its notes
	if err := a.do(ctx, http.MethodPatch, "api/now/table/task/"+url.PathEscape(r.SysID), query, in, &out); err != nil {
		return err
	}
	if out.Result.SysID != r.SysID {
		return errors.New("the answer is not the ticket: the note may not have been added")
	}
	return nil
}

// noted reports whether the task has a work note with this mark (sys_journal_field holds them, with the task in element_id). Only a note's last line
// counts: the mark also stands in marks that begin with it, and may stand in what somebody wrote.
func (a *asking) noted(ctx context.Context, id, mark string) (bool, error) {
	var out struct {
		Result []struct {
			Value string `json:"value"`
		} `json:"result"`
	}
	query := url.Values{
		"sysparm_query":  {"element_id=" + id + "^element=work_notes^valueLIKE" + markLine(mark) + "^ORDERBYDESCsys_created_on"},
		"sysparm_fields": {"value"},
		"sysparm_limit":  {strconv.Itoa(perJournal)},
	}
	err := a.do(ctx, http.MethodGet, "api/now/table/sys_journal_field", query, nil, &out)
	switch {
	case has(err, http.StatusForbidden, http.StatusNotFound):
		return false, nil // many accounts may write notes and not read this table; a note too many is better than none
	case err != nil:
		return false, fmt.Errorf("looking for what was added: %w", err)
	case out.Result == nil:
		return false, errors.New("looking for what was added: the answer has no result")
	}
	for _, n := range out.Result {
		text := strings.TrimSpace(n.Value)
		if text[strings.LastIndexByte(text, '\n')+1:] == markLine(mark) {
			return true, nil
		}
	}
	return false, nil
}

// markLine is the last line of a note.
func markLine(mark string) string { return "Breakglass " + mark }
