package bot

// RefusesTokens says whether an answer of Slack's means that these tokens will never do, for callers of the Web API besides Run.
func RefusesTokens(err error) bool { return refused(err) }
