package handlers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// What the form is called.
const (
	formTitle  = "Request AWS access"
	formSubmit = "Send request"
	formClose  = "Close"
)

// actionRetry asks the directory again, from a form that it did not fill.
const actionRetry = "retry"

const lookingUp = "Looking up what you may ask for… You can write the reason meanwhile."

func accountNamed(all []policy.Account, name string) (policy.Account, bool) {
	for _, a := range all {
		if a.Name == name {
			return a, true
		}
	}
	return policy.Account{}, false
}

// modal is the frame of every form of ours.
func modal(title, submit, callback string, blocks []slack.Block) *slack.ModalViewRequest {
	v := &slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: callback, Blocks: slack.Blocks{BlockSet: blocks},
		Title: plain(title, limitTitle), Close: plain(formClose, limitTitle),
	}
	if submit != "" {
		v.Submit = plain(submit, limitTitle)
	}
	return v
}

// note is a line of our own, which may hold names: plain text, so that nothing in it is read as markup.
func note(s string) slack.Block {
	return slack.NewSectionBlock(plain(s, limitSection), nil, nil)
}

// refusedView is all that somebody sees who may not ask: the reason, and nothing to fill in.
func refusedView(why string) *slack.ModalViewRequest {
	return modal(formTitle, "", callbackRequest, []slack.Block{note(why)})
}

// loadingView is the form as it can be shown before anybody was asked: what is typed into it stays.
func loadingView(d draft) *slack.ModalViewRequest {
	return unfilled(d, note(lookingUp))
}

// failedView is the form after the directory did not answer.
func failedView(d draft, why string) *slack.ModalViewRequest {
	again := slack.NewActionBlock("retry", slack.NewButtonBlockElement(actionRetry, "", plain("Try again", limitButton)))
	return unfilled(d, note(why), again)
}

func unfilled(d draft, top ...slack.Block) *slack.ModalViewRequest {
	blocks := append(top, reasonInput(d), ticketInput(policy.TicketRule{}))
	v := modal(formTitle, formSubmit, callbackRequest, append(blocks, contextLine(d)...))
	v.PrivateMetadata = d.metadata()
	return v
}

// formView is the form as one person gets it: only what they may ask for, with the fields that follow from what they have chosen.
// A block's id names what its choices follow from (account/ec2), so that Slack forgets a choice exactly when it no longer
// applies, and keeps all else that was typed.
func formView(o offering, d draft) *slack.ModalViewRequest {
	if d.Scenario == "" && len(o.scenarios) == 1 {
		d.Scenario = o.scenarios[0].Name
	}
	blocks := o.lock.banner()
	s := o.scenario(d.Scenario)
	if d.Scenario != "" && s == nil {
		blocks = append(blocks, note(o.whyNot(d.Scenario, d.Account).Why))
		d.Scenario = ""
	}
	blocks = append(blocks, scenarioInput(o, s))
	if s == nil {
		blocks = append(blocks, reasonInput(d), ticketInput(policy.TicketRule{}))
	} else {
		blocks = append(blocks, chosenFields(o, s, &d)...)
		blocks = append(blocks, reasonInput(d), ticketInput(s.Ticket))
		blocks = append(blocks, askInputs(s.Ask)...)
	}
	v := modal(formTitle, formSubmit, callbackRequest, append(blocks, contextLine(d)...))
	v.PrivateMetadata = d.metadata()
	return v
}

// chosenFields are what follows from the scenario: its terms, the account, its region, the duration.
func chosenFields(o offering, s *policy.Scenario, d *draft) []slack.Block {
	accounts := o.accounts(s)
	if len(accounts) == 1 {
		d.Account = accounts[0].Name
	}
	account, picked := accountNamed(accounts, d.Account)
	blocks := []slack.Block{slack.NewContextBlock("terms", plain(terms(o.policy, s), limitField))}
	if len(accounts) > 0 {
		if d.Account != "" && !picked {
			blocks = append(blocks, note(notThere(o, s, d.Account)))
		}
		blocks = append(blocks, accountInput(s, accounts, account, picked))
	}
	if picked && len(account.Regions) > 1 {
		blocks = append(blocks, regionInput(account, d.Region))
	}
	if s.MaxDuration > 0 {
		blocks = append(blocks, durationInput(o.policy, s, d.Duration))
	}
	return blocks
}

// notThere says why an account that was named cannot be chosen.
func notThere(o offering, s *policy.Scenario, account string) string {
	if slices.Contains(s.Accounts, account) {
		return o.whyNot(s.Name, account).Why
	}
	return fmt.Sprintf("%s is not opened by this scenario.", oneLine(account, limitName))
}

// terms says what it takes.
func terms(p *policy.Policy, s *policy.Scenario) string {
	return fmt.Sprintf("Tier %d: %s.%s", s.Tier, approvalWords(s.Approval), kindTerms(p, s))
}

// kindTerms says what comes along, and what somebody has to know of this kind of grant before they ask for it.
func kindTerms(p *policy.Policy, s *policy.Scenario) string {
	out := ""
	var also []string
	for i, name := range s.With {
		if i == mostAnswers {
			also = append(also, fmt.Sprintf("%d more", len(s.With)-i))
			break
		}
		if w, ok := p.Scenario(name); ok {
			name = w.Title
		}
		also = append(also, oneLine(name, limitName))
	}
	if len(also) > 0 {
		out += " Also: " + join(also, "and") + "."
	}
	switch s.Grant.Kind {
	case policy.GrantGroup:
		out += " Membership of group " + oneLine(s.Grant.Name, limitName) + ". " + slowGroup
	case policy.GrantIAMRole:
		out += " IAM role " + oneLine(s.Grant.Name, limitName) + ", taken on with your IAM user. " + needsMFA
	}
	return out
}

func scenarioInput(o offering, chosen *policy.Scenario) slack.Block {
	sel := &slack.SelectBlockElement{ActionID: formPrefix + fieldScenario, Placeholder: plain("What you need to do", 150)}
	if chosen != nil {
		sel.InitialOption = scenarioOption(chosen, len(o.scenarios) <= mostOptions)
	}
	all := make([]*slack.OptionBlockObject, 0, len(o.scenarios))
	for _, s := range o.scenarios {
		all = append(all, scenarioOption(s, true))
	}
	choices(sel, all)
	return slack.NewInputBlock(fieldScenario, plain("Scenario", limitField), nil, sel).WithDispatchAction(true)
}

func accountInput(s *policy.Scenario, accounts []policy.Account, chosen policy.Account, picked bool) slack.Block {
	sel := &slack.SelectBlockElement{ActionID: formPrefix + fieldAccount, Placeholder: plain("Which account", 150)}
	if picked {
		sel.InitialOption = accountOption(chosen)
	}
	all := make([]*slack.OptionBlockObject, 0, len(accounts))
	for _, a := range accounts {
		all = append(all, accountOption(a))
	}
	choices(sel, all)
	var hint *slack.TextBlockObject
	if len(all) > mostOptions {
		hint = plain(fmt.Sprintf("%d accounts: type a part of the name or of the account id.", len(all)), limitField)
	}
	return slack.NewInputBlock(fieldAccount+"/"+s.Name, plain("Account", limitField), hint, sel).WithDispatchAction(true)
}

// choices makes a select static where Slack takes all options, and searched beyond.
func choices(sel *slack.SelectBlockElement, all []*slack.OptionBlockObject) {
	if len(all) <= mostOptions {
		sel.Type, sel.Options = slack.OptTypeStatic, all
		return
	}
	searched(sel)
}

// searched makes a select ask us for its options, also before anything is typed (Slack's own default is three letters).
func searched(sel *slack.SelectBlockElement) {
	none := 0
	sel.Type, sel.MinQueryLength = slack.OptTypeExternal, &none
}

func regionInput(a policy.Account, chosen string) slack.Block {
	sel := &slack.SelectBlockElement{ActionID: formPrefix + fieldRegion}
	var all []*slack.OptionBlockObject
	for _, r := range a.Regions {
		all = append(all, option(r, r))
		if r == chosen || chosen == "" && sel.InitialOption == nil {
			sel.InitialOption = option(r, r)
		}
	}
	if sel.InitialOption == nil {
		sel.InitialOption = all[0]
	}
	sel.Type, sel.Options = slack.OptTypeStatic, all[:min(len(all), mostOptions)]
	return slack.NewInputBlock(fieldRegion+"/"+a.Name, plain("Region", limitField), nil, sel)
}

func durationInput(p *policy.Policy, s *policy.Scenario, chosen string) slack.Block {
	d, ok := readDuration(chosen)
	if !ok || d > s.MaxDuration {
		d = p.DefaultDuration(*s)
	}
	sel := &slack.SelectBlockElement{
		ActionID: formPrefix + fieldDuration, Placeholder: plain("Pick one, or type 45m or 1h30m", 150),
	}
	if d > 0 {
		sel.InitialOption = durationOption(d)
	}
	searched(sel)
	hint := plain(fmt.Sprintf("At most %s. Pick one, or type another, as 45m or 1h30m.", sayDuration(s.MaxDuration)), limitField)
	return slack.NewInputBlock(fieldDuration+"/"+s.Name, plain("Duration", limitField), hint, sel)
}

func reasonInput(d draft) slack.Block {
	in := slack.NewPlainTextInputBlockElement(plain("What happened, and what you will do", 150), formPrefix+fieldReason).
		WithMultiline(true).WithMaxLength(mostTyped).WithInitialValue(manyLines(d.Reason, mostPrefill))
	hint := plain("Whoever decides reads this, and whoever reviews it later.", limitField)
	return slack.NewInputBlock(fieldReason, plain("Reason", limitField), hint, in)
}

func ticketInput(rule policy.TicketRule) slack.Block {
	in := slack.NewPlainTextInputBlockElement(nil, formPrefix+fieldTicket).WithMaxLength(200)
	hint := "Some scenarios need one."
	switch {
	case rule.Required:
		hint = "This scenario needs one."
	case rule.Within > 0:
		hint = fmt.Sprintf("It may follow within %s: Add ticket stands under the request.", sayDuration(rule.Within))
	}
	return slack.NewInputBlock(fieldTicket, plain("Ticket", limitField), plain(hint, limitField), in).WithOptional(!rule.Required)
}

// mostAsks leaves room for the other blocks of the form: Slack takes 100 in a view.
const mostAsks = 80

// askInputs are the scenario's further fields. Where there are more than a form holds, those that must be answered come first.
func askInputs(asks []policy.Ask) []slack.Block {
	if len(asks) > mostAsks {
		asks = slices.Clone(asks)
		slices.SortStableFunc(asks, func(a, b policy.Ask) int {
			switch {
			case a.Optional == b.Optional:
				return 0
			case b.Optional:
				return -1
			}
			return 1
		})
	}
	var blocks []slack.Block
	for i, a := range asks {
		if i == mostAsks {
			return append(blocks, note(fmt.Sprintf("%d more fields do not fit into this form.", len(asks)-mostAsks)))
		}
		in := slack.NewPlainTextInputBlockElement(nil, formPrefix+fieldAsk+a.Name).WithMaxLength(mostAnswer)
		blocks = append(blocks, slack.NewInputBlock(fieldAsk+a.Name, plain(a.Label, limitField), nil, in).WithOptional(a.Optional))
	}
	return blocks
}

// mostAnswer is the longest answer to a further field that the engine takes, in characters.
const mostAnswer = 255

func contextLine(d draft) []slack.Block {
	if httpsLink(d.Context) == "" {
		return nil
	}
	return []slack.Block{paragraph(say("Asked from ").link(d.Context, "this message").say(", which is kept with the request."))}
}

// filledIn turns a submitted form into what the engine reads.
func filledIn(p *policy.Policy, o store.Principal, person store.Person, d draft, f filled) workflows.Ask {
	a := workflows.Ask{
		Who: o, Person: person, Scenario: f[fieldScenario], Account: f[fieldAccount], Region: f[fieldRegion],
		Duration: f[fieldDuration], Reason: strings.TrimSpace(f[fieldReason]), Ticket: strings.TrimSpace(f[fieldTicket]),
		Context: d.Context, Answers: map[string]string{},
	}
	if t, ok := readDuration(a.Duration); ok {
		a.Duration = t.String()
	}
	if s, ok := p.Scenario(a.Scenario); ok {
		for _, q := range s.Ask {
			if v := strings.TrimSpace(f[fieldAsk+q.Name]); v != "" {
				a.Answers[q.Name] = v
			}
		}
	}
	return a
}

// spell is a duration as the form's options carry it.
func spell(d time.Duration) string { return policy.Span(d) }
