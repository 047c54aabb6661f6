package tracker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	// maxComment is the width of the longest comment, in UTF-16 units. Jira takes 32,767 characters (its answer to a longer one: "It exceeds the allowed
	// limit of 32,767 characters"); what it counts besides the text is not documented, so some room is left.
	maxComment = 30_000
	// lineWidth is what the end of a line counts for. It bounds the number of paragraphs, each of which is fifty times its text in Jira's answers.
	lineWidth = 8
	// lookedThrough is how many comments, the newest first, are searched for one of ours. An answer that was lost is asked for again soon.
	lookedThrough = 200
	// perPage is how many are asked for at once; Jira gives at most 100.
	perPage = 50
	// maxPages is how many pages are read for one text, where comments are so long that few go into one.
	maxPages = 24
	// property is the key of the comment property by which our comments are known again.
	property = "breakglass"
)

// node is a node of the Atlassian Document Format. Only doc, paragraph and text are ever made: text nodes are shown as they are, so that no mention,
// link or macro can come of what somebody wrote.
type node struct {
	Type    string `json:"type"`
	Version int    `json:"version,omitempty"`
	Text    string `json:"text,omitempty"`
	Content []node `json:"content,omitempty"`
}

// document has a paragraph for each line. An empty line is a paragraph without content: a text node must not be empty (ADF schema, text_node,
// minLength 1), a paragraph may be (paragraph, "array of zero or more nodes").
func document(text string) node {
	doc := node{Type: "doc", Version: 1}
	for line := range strings.SplitSeq(text, "\n") {
		p := node{Type: "paragraph"}
		if line != "" {
			p.Content = []node{{Type: "text", Text: line}}
		}
		doc.Content = append(doc.Content, p)
	}
	return doc
}

// issue looks an issue up (Jira Cloud REST v3, Get issue).
func (a *asking) issue(ctx context.Context, key string) (Ticket, error) {
	var out struct {
		Key    string `json:"key"`
		Fields struct {
			Summary string `json:"summary"`
			Status  struct {
				Name string `json:"name"`
			} `json:"status"`
		} `json:"fields"`
	}
	query := url.Values{"fields": {"summary,status"}}
	if err := a.do(ctx, http.MethodGet, "rest/api/3/issue/"+url.PathEscape(key), query, nil, &out); err != nil {
		return Ticket{}, err
	}
	if len(out.Key) > maxKey || !keyForm.MatchString(out.Key) {
		return Ticket{}, errors.New("the answer has no key")
	}
	found := Ticket{Key: out.Key, Title: out.Fields.Summary, Status: out.Fields.Status.Name}
	if site := a.t.site(); site != "" {
		found.Link = site + "/browse/" + url.PathEscape(out.Key)
	}
	return found, nil
}

// newComment is the body of a new comment.
type newComment struct {
	Body       node          `json:"body"`
	Properties []newProperty `json:"properties"`
}

type newProperty struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// comment adds a comment with the mark in a property of it, unless one is there (Jira Cloud REST v3, Add comment). The property sd.public.comment makes
// it an internal note where the project is a service desk's; elsewhere it does nothing.
func (a *asking) comment(ctx context.Context, key, mark, text string) error {
	there, err := a.commented(ctx, key, mark)
	if err != nil || there {
		return err
	}
	in := newComment{Body: document(cut(text, maxComment, lineWidth)), Properties: []newProperty{
		{Key: property, Value: map[string]string{"mark": mark}},
		{Key: "sd.public.comment", Value: map[string]bool{"internal": true}},
	}}
	var out struct {
		ID string `json:"id"`
	}
	if err := a.do(ctx, http.MethodPost, commentsOf(key), nil, in, &out); err != nil {
		return err
	}
	if out.ID == "" {
		return errors.New("the answer has no comment: it may not have been added")
	}
	return nil
}

// commented reports whether the issue has a comment with this mark (Jira Cloud REST v3, Get comments). Where a page is too large to be read, the page
// is made smaller; a single comment that is too large is none of ours, which are bounded.
func (a *asking) commented(ctx context.Context, key, mark string) (bool, error) {
	start, size := 0, perPage
	for range maxPages {
		p, err := a.page(ctx, key, start, size)
		if errors.Is(err, errTooLarge) {
			if size > 1 {
				size = max(size/4, 1)
				continue
			}
			start, size = start+1, perPage
		} else if err != nil {
			return false, fmt.Errorf("looking for what was added: %w", err)
		} else {
			if p.has(mark) {
				return true, nil
			}
			start += len(p.Comments)
			if len(p.Comments) == 0 || start >= p.Total {
				return false, nil
			}
		}
		if start >= lookedThrough {
			return false, nil
		}
	}
	return false, fmt.Errorf("looking for what was added: after %d pages: %w", maxPages, errTooLarge)
}

type comments struct {
	Total    int `json:"total"`
	Comments []struct {
		Properties []heldProperty `json:"properties"`
	} `json:"comments"`
}

type heldProperty struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

func (a *asking) page(ctx context.Context, key string, start, size int) (comments, error) {
	var p comments
	query := url.Values{"expand": {"properties"}, "orderBy": {"-created"}, "startAt": {strconv.Itoa(start)}, "maxResults": {strconv.Itoa(size)}}
	if err := a.do(ctx, http.MethodGet, commentsOf(key), query, nil, &p); err != nil {
		return p, err
	}
	if p.Comments == nil { // so it is no page: to take it for an empty one would add the text again
		return p, errors.New("the answer has no comments")
	}
	return p, nil
}

func (p comments) has(mark string) bool {
	for _, c := range p.Comments {
		for _, prop := range c.Properties {
			var v struct {
				Mark string `json:"mark"`
			}
			// Others may write what they like into a property of this name.
			if prop.Key == property && json.Unmarshal(prop.Value, &v) == nil && v.Mark == mark {
				return true
			}
		}
	}
	return false
}

func commentsOf(key string) string { return "rest/api/3/issue/" + url.PathEscape(key) + "/comment" }
