package page

// The product's words for people, as its manifest has them. They are written down again here because the sandbox shares nothing with the
// product; a whole-program test that clicks through the page holds the two together.

func manifestCommands() []Suggestion {
	return []Suggestion{
		{"/breakglass", "Ask for emergency access to AWS: opens the form"},
		{"/breakglass ec2 prod-wealth 1h", "The same, filled in as far as said"},
		{"/breakglass help", "What can be asked for"},
		{"/access status", "Who has access right now"},
		{"/access status @dana", "What one person has"},
		{"/access end", "End your session now"},
		{"/access history", "What was asked for lately"},
		{"/access ticket", "Add the ticket that is still owed"},
		{"/access help", "All of it"},
	}
}

func manifestShortcuts() []Shortcut {
	return []Shortcut{
		{Name: "Request break-glass", CallbackID: "breakglass_request"},
		{Name: "Break glass for this", CallbackID: "breakglass_from_message", OnMessage: true},
	}
}

func (s *site) suggestions() []Suggestion { return s.commands }

func (s *site) global() []Shortcut { return s.menu(false) }

func (s *site) onMessages() []Shortcut { return s.menu(true) }

func (s *site) menu(onMessage bool) []Shortcut {
	var out []Shortcut
	for _, c := range s.shortcuts {
		if c.OnMessage == onMessage {
			out = append(out, c)
		}
	}
	return out
}
