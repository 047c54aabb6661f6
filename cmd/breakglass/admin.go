package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"breakglass/store"
	"breakglass/workflows"
)

// The way in when Slack is not there: a Unix socket beside the store, which only the operating system's user that runs the bot
// can open. Commands go through it while the bot runs, since the store is held by one process; else they open the store themselves.

// socketPath is where the bot of a store listens. The path of a Unix socket is short (108 bytes on Linux); a store in a deep folder has its
// socket under the temporary folder, by the store's name.
func socketPath(storePath string) string {
	abs, err := filepath.Abs(storePath)
	if err != nil {
		abs = storePath
	}
	if path := abs + ".sock"; len(path) < 100 {
		return path
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("breakglass-%d-%08x.sock", os.Getuid(), crc32.ChecksumIEEE([]byte(abs))))
}

// command is what a command asks of a running bot.
type command struct {
	Do       string   `json:"do"`
	ID       store.ID `json:"id,omitempty"`
	Verified string   `json:"verified,omitempty"`
	Path     string   `json:"path,omitempty"`
	Why      string   `json:"why,omitempty"`
	From     uint64   `json:"from,omitempty"`  // of "lines": the first
	Month    string   `json:"month,omitempty"` // of "report", where it is no request's
	Form     string   `json:"form,omitempty"`  // of "report": text, html or json
}

// answer is what it says. Refused is a reason for a person; Error a fault, beside which Said is what was done in spite of it.
type answer struct {
	Sessions []store.Request   `json:"sessions,omitempty"`
	Lockdown *store.Lockdown   `json:"lockdown,omitempty"` // the one in force
	Said     string            `json:"said,omitempty"`
	Proofs   map[string]string `json:"proofs,omitempty"` // when each was last seen
	Ledger   ledgerAnswer      `json:"ledger,omitzero"`
	Lines    []json.RawMessage `json:"lines,omitempty"` // of the log
	Report   string            `json:"report,omitempty"`
	Refused  string            `json:"refused,omitempty"`
	Error    string            `json:"error,omitempty"`
}

// admin serves the socket until ctx is done.
func (p *program) admin(ctx context.Context) error {
	path := socketPath(p.db.Path())
	if p.noSocket {
		return nil
	}
	_ = os.Remove(path) // left by a bot that was killed; the store's lock says that it is gone
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("open the commands' socket: %w", err)
	}
	defer os.Remove(path)
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return fmt.Errorf("close the commands' socket to others: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		var c command
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&c); err != nil {
			http.Error(w, "bad command", http.StatusBadRequest)
			return
		}
		who, _ := r.Context().Value(peerKey{}).(string)
		_ = json.NewEncoder(w).Encode(do(p.engine, p.db, officer(who, p.engine.Moment()), c))
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ConnContext: withPeer}
	return serveOn(ctx, l, srv)
}

func officer(name string, now time.Time) store.By {
	return store.By{Actor: store.Officer(name), At: store.Moment(now)}
}

// do carries out a command, in the bot or, when none runs, in the process of the command itself.
func do(e *workflows.Engine, db *store.DB, by store.By, c command) answer {
	var err error
	a := answer{}
	switch c.Do {
	case "sessions":
		a.Sessions, a.Lockdown, err = sessions(db)
	case "end":
		if err = e.End(by, c.ID, ""); err == nil {
			a.Said = fmt.Sprintf("%s is ending. Its access is taken away now; breakglass sessions shows when it is gone.", c.ID)
		}
	case "force-close":
		if err = e.ForceClose(by, c.ID, c.Verified); err == nil {
			a.Said = fmt.Sprintf("%s is closed on your word. That is in the log, and the incidents channel is told.", c.ID)
		}
	case "lockdown":
		if err = e.Lock(by, c.Why); err == nil {
			a.Said = "Locked down: every session is being ended, and nothing new is granted until breakglass lockdown lift. The channels are told."
		}
	case "lift":
		if err = e.Unlock(by, c.Why); err == nil {
			a.Said = "The lockdown is lifted: access can be asked for again. The channels are told."
		}
	case "proved":
		err = recordProof(db, by, c.Why)
	case "proofs":
		a.Proofs, err = readProofs(db)
	case "ledger":
		a.Ledger, err = readLedger(db)
	case "lines":
		a.Lines, err = readLines(db, c.From)
	case "report":
		a.Report, err = drawReport(e, db, c, by.At)
	case "backup":
		if err = db.Backup(c.Path); err == nil {
			a.Said = "Backed up to " + c.Path + "; the copy was read and is whole."
		}
	default:
		err = fmt.Errorf("%q is no command of this version", c.Do)
	}
	var refused *workflows.Refusal
	var unrecorded *workflows.Unrecorded
	switch {
	case err == nil:
	case errors.As(err, &unrecorded): // it was done, and it is a fault all the same: whoever asked must ask again
		a.Said, a.Error = doing(c), err.Error()
	case errors.As(err, &refused):
		a.Refused = refused.Why
	case errors.Is(err, store.ErrNotFound):
		a.Refused = fmt.Sprintf("There is no request %s.", c.ID)
	default:
		a.Error = err.Error()
	}
	return a
}

// doing is what is being done although it could not be written down.
func doing(c command) string {
	if c.Do == "end" {
		return fmt.Sprintf("The access of %s is being taken away, and that could not be written down.", c.ID)
	}
	return "The access of every session is being taken away, and that could not be written down: no lockdown is in force, and new sessions are refused only because the store cannot be written."
}

// sessions are those that are not at their end, and the lockdown in force.
func sessions(db *store.DB) ([]store.Request, *store.Lockdown, error) {
	open, err := db.Open()
	if err != nil {
		return nil, nil, err
	}
	l, locked, err := db.Lockdown()
	if err != nil || !locked {
		return open, nil, err
	}
	return open, &l, nil
}

// ask sends a command to the bot that runs on this store. running is false where none does.
func ask(ctx context.Context, storePath string, c command) (a answer, running bool, err error) {
	path := socketPath(storePath)
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", path)
		},
	}}
	body, err := json.Marshal(c)
	if err != nil {
		return a, false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://breakglass/", bytes.NewReader(body))
	if err != nil {
		return a, false, err
	}
	res, err := client.Do(req)
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return a, false, nil
	}
	if err != nil {
		return a, true, fmt.Errorf("ask the running bot: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return a, true, fmt.Errorf("the running bot answers %s", res.Status)
	}
	return a, true, json.NewDecoder(res.Body).Decode(&a)
}

// whoami is the operating system's user of this process.
func whoami() string { return userName(os.Getuid()) }

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}
