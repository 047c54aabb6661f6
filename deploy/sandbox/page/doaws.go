package page

import (
	"context"
	"time"

	"breakglass/deploy/sandbox"
)

func (s *site) doSignIn(_ context.Context, who *sandbox.Person, in *request) answer {
	if err := s.signIn(who, in.Account, in.Set); err != nil {
		return answer{Where: "toast", Error: err.Error()}
	}
	return answer{}
}

func (s *site) doAssume(_ context.Context, who *sandbox.Person, _ *request) answer {
	if err := s.assume(who); err != nil {
		return answer{Where: "toast", Error: err.Error()}
	}
	return answer{}
}

func (s *site) doSignOut(_ context.Context, who *sandbox.Person, in *request) answer {
	s.signOut(who, in.N)
	return answer{}
}

func (s *site) doAct(ctx context.Context, who *sandbox.Person, in *request) answer {
	if err := s.do(ctx, who, in.N, in.Name); err != nil {
		return answer{Where: "toast", Error: err.Error()}
	}
	return answer{}
}

// skips are the steps the clock is moved by.
var skips = map[string]time.Duration{"5m": 5 * time.Minute, "30m": 30 * time.Minute, "1h": time.Hour, "3h": 3 * time.Hour}

// skip moves the clock. What is due in AWS happens at once and in order; the bot follows with its next sweep.
func (s *site) skip(_ context.Context, _ *sandbox.Person, in *request) answer {
	by := skips[in.By]
	if by == 0 {
		return answer{Where: "toast", Error: "The clock is moved by 5m, 30m, 1h or 3h."}
	}
	s.mu.Lock()
	s.observe() // what was before the skip stands below it in the log
	s.note("skip", "you skipped "+span(by))
	s.mu.Unlock()
	s.clock.Skip(by)
	s.world.AWS.Tick()
	return answer{Message: "It is " + span(by) + " later. What is due happens within seconds."}
}

// putAway hides what came of the last skip.
func (s *site) putAway(context.Context, *sandbox.Person, *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sinceRead = s.clock.Now()
	return answer{}
}

// fault switches what can go wrong on and off.
func (s *site) fault(_ context.Context, _ *sandbox.Person, in *request) answer {
	said := ""
	switch in.Name {
	case "slack":
		s.world.Slack.Outage(in.On)
		said = map[bool]string{true: "Slack went away", false: "Slack is back"}[in.On]
	case "aws":
		s.world.AWS.Outage("", in.On)
		said = map[bool]string{true: "AWS went away", false: "AWS is back"}[in.On]
	case "sockets":
		s.world.Slack.DropSockets("")
		said = "Every connection of the bot to Slack was cut"
	default:
		return answer{Where: "toast", Error: "There is no such fault."}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch in.Name {
	case "slack":
		s.slackDown = in.On
	case "aws":
		s.awsDown = in.On
	}
	s.note("fault", said)
	return answer{}
}
