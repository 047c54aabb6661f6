// Shells of Session Manager from within: what is typed, and where it is logged. The preferences of an account and Region are a document,
// SSM-SessionManagerRunShell. A session has the preferences of the moment it began; one that forwards a port leaves no content.

package awstwin

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

const runShell = "SSM-SessionManagerRunShell"

// SessionPreferences are where sessions are logged, and how long they last.
type SessionPreferences struct {
	S3Bucket, S3Prefix string
	LogGroup           string
	Streaming          bool          // lines go to the log group while the session lasts, each as JSON; else all of it when it ends, as text
	Idle, Longest      time.Duration // in whole minutes; zero: 20 minutes and no limit
}

// SetSessionPreferences sets the preferences of an account and Region; nil takes the document away, as where nobody ever opened the settings.
func (o *Organization) SetSessionPreferences(accountID, region string, p *SessionPreferences) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.must(accountID).in(region).preferences = p
}

// content is the document as the console writes it.
func (p *SessionPreferences) content() string {
	minutes := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return strconv.Itoa(int(d.Minutes()))
	}
	idle := minutes(p.Idle)
	if idle == "" {
		idle = "20"
	}
	b, _ := json.MarshalIndent(map[string]any{"schemaVersion": "1.0", "description": "Document to hold regional settings for Session Manager", "sessionType": "Standard_Stream",
		"inputs": map[string]any{"s3BucketName": p.S3Bucket, "s3KeyPrefix": p.S3Prefix, "s3EncryptionEnabled": true, "cloudWatchLogGroupName": p.LogGroup,
			"cloudWatchEncryptionEnabled": true, "cloudWatchStreamingEnabled": p.Streaming, "kmsKeyId": "", "runAsEnabled": false, "runAsDefaultUser": "",
			"idleSessionTimeout": idle, "maxSessionDuration": minutes(p.Longest), "shellProfile": map[string]any{"windows": "", "linux": ""}}}, "", "  ")
	return string(b)
}

type documentInput struct{ Name, DocumentVersion, DocumentFormat string }

func documentARN(c *call) []string {
	var in documentInput
	_ = c.decode(&in)
	return []string{c.place().arn("ssm", "document/"+in.Name)}
}

func getDocument(c *call, in *documentInput) (any, error) {
	p := c.place().preferences
	if p == nil || in.Name != runShell {
		return nil, fail("InvalidDocument", "Document with name %s does not exist.", in.Name)
	}
	if v := in.DocumentVersion; v != "" && !slices.Contains([]string{"1", "$LATEST", "$DEFAULT"}, v) {
		return nil, fail("InvalidDocumentVersion", "The document version %s does not exist.", v)
	}
	if f := in.DocumentFormat; f != "" && f != "JSON" {
		return nil, fail("InvalidDocumentContent", "Only JSON is modelled here.")
	}
	return map[string]any{"Name": runShell, "DocumentVersion": "1", "Status": "Active", "Content": p.content(), "DocumentType": "Session", "DocumentFormat": "JSON"}, nil
}

// Shell is a Session Manager session in somebody's terminal.
type Shell struct {
	ID, Target string
	org        *Organization
	session    *ssmSession
}

// OpenShell opens a session on an instance; document is empty for a shell, or as AWS-StartPortForwardingSession.
func (s *Session) OpenShell(ctx context.Context, region, target, document string) (*Shell, error) {
	params := map[string]any{"Target": target}
	if document != "" {
		params["DocumentName"] = document
	}
	out, err := s.Ask(ctx, Action{Service: "ssm", Name: "StartSession", Region: region, Params: params})
	if err != nil {
		return nil, err
	}
	var started struct{ SessionId string }
	if err := json.Unmarshal(out, &started); err != nil {
		return nil, err
	}
	return s.org.ShellOf(started.SessionId), nil
}

// ShellOf finds a session by its id, in any account and Region; nil where there is none.
func (o *Organization) ShellOf(id string) *Shell {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.accounts {
		for _, r := range a.regions {
			for _, s := range r.sessions {
				if s.id == id {
					return &Shell{ID: id, Target: s.target, org: o, session: s}
				}
			}
		}
	}
	return nil
}

// Type types lines and sees their output, as the log will have both; false where the session is no longer open.
func (s *Shell) Type(lines ...string) bool {
	s.org.mu.Lock()
	defer s.org.mu.Unlock()
	now := s.org.cfg.Now()
	s.org.settle(now)
	if !s.session.active(now) {
		return false
	}
	for _, l := range lines {
		s.session.typed = append(s.session.typed, logLine{at: now, text: l})
		s.org.sendLine(s.session, l, now)
	}
	return true
}

// Close ends the session from the terminal, as exit does.
func (s *Shell) Close() {
	s.org.mu.Lock()
	defer s.org.mu.Unlock()
	now := s.org.cfg.Now()
	s.org.settle(now)
	if s.session.active(now) {
		s.session.ended = now
		s.org.endShells(now)
	}
	s.org.changed()
}

// logged says whether a session has content that is logged: a shell's has, what goes through a forwarded port has not.
func (s *ssmSession) logged() bool { return s.document == runShell }

// sendLine sends one line to the log group, where the preferences stream.
func (o *Organization) sendLine(s *ssmSession, line string, now time.Time) {
	p := s.preferences
	if p == nil || !p.Streaming || p.LogGroup == "" || !s.logged() {
		return
	}
	text := encoded(map[string]any{"eventVersion": "1.0", "eventTime": now.UTC().Format(time.RFC3339), "awsRegion": s.at.region, "target": map[string]any{"id": s.target},
		"userIdentity": map[string]any{"arn": s.owner}, "runAsUser": "ssm-user", "sessionId": s.id, "sessionData": []string{line}})
	g := s.at.logGroup(p.LogGroup, now)
	g.streams[s.id] = append(g.streams[s.id], logLine{at: now, text: string(text)})
}

// endShells writes the logs of the sessions that have ended by now. Lock held.
func (o *Organization) endShells(now time.Time) {
	o.shells = slices.DeleteFunc(o.shells, func(s *ssmSession) bool {
		end := s.end(now)
		if end.IsZero() {
			return false
		}
		o.logShell(s, end)
		return true
	})
}

func (o *Organization) logShell(s *ssmSession, end time.Time) {
	p := s.preferences
	if p == nil || !s.logged() {
		return
	}
	var b strings.Builder
	b.WriteString("Script started on " + s.started.UTC().Format("2006-01-02 15:04:05+0000") + "\n")
	for _, l := range s.typed {
		b.WriteString(l.text + "\n")
	}
	b.WriteString("\nScript done on " + end.UTC().Format("2006-01-02 15:04:05+0000") + "\n")
	if p.S3Bucket != "" {
		key := s.id + ".log"
		if prefix := strings.Trim(p.S3Prefix, "/"); prefix != "" {
			key = prefix + "/" + key
		}
		o.place(p.S3Bucket, key, []byte(b.String()))
	}
	if p.LogGroup != "" && !p.Streaming {
		g := s.at.logGroup(p.LogGroup, end)
		for line := range strings.Lines(b.String()) {
			g.streams[s.id] = append(g.streams[s.id], logLine{at: end, text: strings.TrimSuffix(line, "\n")})
		}
	}
}
