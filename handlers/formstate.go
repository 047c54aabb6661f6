package handlers

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"breakglass/workflows"
)

// The fields of the form, by the names that workflows.FormFault uses, and what marks them as ours in Slack's ids.
const (
	fieldScenario = "scenario"
	fieldAccount  = "account"
	fieldRegion   = "region"
	fieldDuration = "duration"
	fieldReason   = "reason"
	fieldTicket   = "ticket"
	fieldAsk      = "ask:" // and the name of the further field

	formPrefix = "form:" // action id of a field: form:scenario
)

// What we accept of a form, so that no payload makes us remember much. Slack's own form stays far below.
const (
	mostFields   = 200
	mostTyped    = 3000 // characters of a text input (Slack's largest max_length)
	mostLink     = 1000
	mostPrefill  = 600 // characters of a reason that we write ourselves, from a message
	mostMetadata = 3000
)

// draft is what a form is to be filled in with. It comes from the words of a command, or from what a person has chosen so far.
// It travels through Slack and back (private_metadata), so nothing in it is trusted: it is a wish, like all else in a form.
type draft struct {
	Scenario string `json:"s,omitempty"`
	Account  string `json:"a,omitempty"`
	Region   string `json:"r,omitempty"`
	Duration string `json:"d,omitempty"` // Go's
	Reason   string `json:"w,omitempty"` // only what we prefilled; what is typed stays with Slack
	Context  string `json:"c,omitempty"` // link to the message it was asked from
	Channel  string `json:"h,omitempty"` // where the command was typed
}

// metadata is the draft as private_metadata, within Slack's 3,000 characters: what does not fit is left out, the longest first.
func (d draft) metadata() string {
	for range 4 {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if enc.Encode(d) == nil && width(b.String()) <= mostMetadata {
			return strings.TrimSpace(b.String())
		}
		switch {
		case d.Reason != "":
			d.Reason = ""
		case d.Context != "":
			d.Context = ""
		default:
			d = draft{}
		}
	}
	return ""
}

// readDraft reads private_metadata. What is malformed is as good as nothing.
func readDraft(metadata string) draft {
	var d draft
	if len(metadata) > 4*mostMetadata || json.Unmarshal([]byte(metadata), &d) != nil {
		return draft{}
	}
	d.Context = httpsLink(d.Context)
	d.Reason = manyLines(d.Reason, mostPrefill)
	return d
}

// httpsLink returns a link that may be shown and kept, else "".
func httpsLink(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || width(s) > mostLink || strings.ContainsAny(s, " <>|\"`\\\n") {
		return ""
	}
	return s
}

// filled is what stands in a form, by field.
type filled map[string]string

// readState reads the fields of a view that are ours. It takes whatever Slack delivers: unknown fields are passed over, and what is too
// long is cut rather than refused, since the engine checks every field anyway.
func readState(state *slack.ViewState) filled {
	f := filled{}
	if state == nil {
		return f
	}
	for _, block := range state.Values {
		for id, a := range block {
			field, ours := strings.CutPrefix(id, formPrefix)
			if !ours || len(f) >= mostFields {
				continue
			}
			f[field] = typed(a)
		}
	}
	return f
}

func typed(a slack.BlockAction) string {
	v := a.SelectedOption.Value
	if v == "" {
		v = a.Value
	}
	if !utf8.ValidString(v) {
		v = strings.ToValidUTF8(v, "")
	}
	return cut(v, 4*mostTyped)
}

// chosen brings what a person has chosen into a draft.
func (d draft) chosen(f filled) draft {
	for field, to := range map[string]*string{
		fieldScenario: &d.Scenario, fieldAccount: &d.Account, fieldRegion: &d.Region, fieldDuration: &d.Duration,
	} {
		if v := f[field]; v != "" {
			*to = v
		}
	}
	return d
}

// inputs are the block ids of the input blocks of a view, by field, and the fields in the order they stand. Only an input block can show an
// error; any other key makes Slack say that it has trouble connecting.
func inputs(v slack.View) (byField map[string]string, order []string) {
	byField = map[string]string{}
	for _, b := range v.Blocks.BlockSet {
		in, ok := b.(*slack.InputBlock)
		if !ok {
			continue
		}
		field, _, _ := strings.Cut(in.BlockID, "/")
		if _, twice := byField[field]; !twice {
			byField[field] = in.BlockID
			order = append(order, field)
		}
	}
	return byField, order
}

// mostError bounds the text under a field. Slack documents no limit; a paragraph is the most anybody reads there.
const mostError = 500

// faultsIn puts each fault at its field, and those of fields that are not shown at one that is.
func faultsIn(v slack.View, faults workflows.FormFaults) *slack.ViewSubmissionResponse {
	byField, order := inputs(v)
	errs := map[string]string{}
	for _, f := range faults {
		block, shown := byField[f.Field]
		why := f.Why
		if !shown {
			if len(order) == 0 {
				return slack.NewUpdateViewSubmissionResponse(refusedView(f.Why))
			}
			block = byField[order[0]]
		}
		if before := errs[block]; before != "" {
			why = before + " " + why
		}
		errs[block] = oneLine(why, mostError)
	}
	return slack.NewErrorsViewSubmissionResponse(errs)
}

// faultAt is one fault.
func faultAt(v slack.View, field, why string) *slack.ViewSubmissionResponse {
	return faultsIn(v, workflows.FormFaults{{Field: field, Why: why}})
}

// readDuration reads what people type for a duration: 90m, 1h30m, "45 minutes", "1 hour 30 min", "2h". A bare number is none: nobody can
// tell minutes from hours. ok is false for anything else, and for less than a minute or more than a year.
func readDuration(s string) (d time.Duration, ok bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" || len(s) > 40 {
		return 0, false
	}
	for s != "" {
		n := 0
		for n < len(s) && (s[n] >= '0' && s[n] <= '9') {
			n++
		}
		if n == 0 || n > 6 {
			return 0, false
		}
		number := 0
		for _, c := range s[:n] {
			number = number*10 + int(c-'0')
		}
		s = strings.TrimLeft(s[n:], " ")
		w := 0
		for w < len(s) && s[w] >= 'a' && s[w] <= 'z' {
			w++
		}
		unit, known := unitOf(s[:w])
		if !known {
			return 0, false
		}
		d += time.Duration(number) * unit
		s = strings.TrimLeft(s[w:], " ,")
	}
	return d, d >= time.Minute && d <= 366*24*time.Hour
}

func unitOf(word string) (time.Duration, bool) {
	switch word {
	case "s", "sec", "secs", "second", "seconds":
		return time.Second, true
	case "m", "min", "mins", "minute", "minutes":
		return time.Minute, true
	case "h", "hr", "hrs", "hour", "hours":
		return time.Hour, true
	case "d", "day", "days":
		return 24 * time.Hour, true
	}
	return 0, false
}
