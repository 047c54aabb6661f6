package tracker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"breakglass/store"
)

const (
	// callTimeout is for one call, connecting to the last byte of the answer.
	callTimeout = 10 * time.Second
	// maxAnswer is how many bytes of an answer are read.
	maxAnswer = 1 << 20
)

// errTooLarge: the answer has more than maxAnswer bytes.
var errTooLarge = errors.New("the answer is larger than 1 MB")

// asking is one Find or Add with its credentials.
type asking struct {
	t      *Tracker
	header string // Authorization
	hide   *strings.Replacer
}

// with reads a secret. Its error never repeats it.
func (t *Tracker) with(secret string) (*asking, error) {
	secret = strings.TrimSpace(secret) // files and secret stores end it with a line break
	if secret == "" || strings.ContainsFunc(secret, unicode.IsControl) {
		return nil, &store.Refusal{By: t.name(), Code: CodeUnauthorized, Message: "There are no credentials for " + t.String() + ", or they are more than one line. " + t.howToLogIn()}
	}
	a := &asking{t: t, header: "Bearer " + secret}
	hidden := []string{secret}
	if _, password, ok := strings.Cut(secret, ":"); ok {
		coded := base64.StdEncoding.EncodeToString([]byte(secret))
		a.header = "Basic " + coded
		hidden = append(hidden, coded, password)
	}
	var pairs []string
	for _, s := range hidden {
		if s != "" {
			pairs = append(pairs, s, "[secret]")
		}
	}
	a.hide = strings.NewReplacer(pairs...)
	return a, nil
}

// do makes one call and reads the answer's JSON into out. An answer other than a success is a *fault.
func (a *asking) do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := a.request(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	res, err := a.t.http.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address: it is long, and the text of the caller says what was asked
		}
		return fmt.Errorf("asking: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return a.failed(res, body)
	}
	if len(body) > maxAnswer {
		return errTooLarge
	}
	// A page for people in place of JSON comes from a login in front of the tracker, or from an instance that sleeps: nothing was done.
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer (%d, %s) is not what was asked for: %w", res.StatusCode, clean(a.hide.Replace(res.Header.Get("Content-Type")), 60), kindOf(err))
	}
	return nil
}

func (a *asking) request(ctx context.Context, method, path string, query url.Values, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("composing the call: %w", err)
		}
		body = bytes.NewReader(b)
	}
	to := a.t.base.JoinPath(path)
	to.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, method, to.String(), body)
	if err != nil {
		return nil, fmt.Errorf("composing the call: %w", err)
	}
	r.Header.Set("Authorization", a.header)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "breakglass")
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

func (a *asking) failed(res *http.Response, body []byte) error {
	f := &fault{status: res.StatusCode}
	f.said, f.json = said(body)
	f.said = clean(a.hide.Replace(f.said), 300)
	f.after, f.asked = retryAfter(res.Header, a.t.now())
	if f.status < 400 {
		f.said = "it sends us elsewhere, where the credentials are not taken; tracker.url must be the tracker itself"
	}
	// Jira answers 404 where it does not know the account, as it does strangers, and says so in this header.
	switch res.Header.Get("X-Seraph-Loginreason") {
	case "AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED":
		f.nobody = f.status == http.StatusNotFound || f.status == http.StatusForbidden
	}
	return f
}

// kindOf is what is wrong with JSON, without what stood in it.
func kindOf(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s is a %s", clean(wrong.Field, 60), clean(wrong.Value, 20))
	}
	return errors.New("no JSON")
}
