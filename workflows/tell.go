package workflows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"breakglass/store"
)

// Undelivered is why a Speaker could not say something. What a plain error means is not known to the engine: the message may or may not stand.
type Undelivered struct {
	Permanent bool          // trying again will not help
	Certain   bool          // it does not stand, for sure
	After     time.Duration // not before; 0: as the engine sees fit
	Err       error
}

func (u *Undelivered) Error() string { return u.Err.Error() }
func (u *Undelivered) Unwrap() error { return u.Err }

// sayPatience bounds one message.
const sayPatience = 30 * time.Second

// storePause is how long a lane waits when its notice could not be recorded.
const storePause = 5 * time.Second

// mailLane ends the names of the lanes of e-mail: a mail server that hangs must not hold up Slack.
const mailLane = " mail"

// noticesAtOnce is how much of the outbox is read in one go.
const noticesAtOnce = 1000

// outbox mirrors what the store has to be told, lane by lane, so that each notice is read once. Losing it loses nothing.
type outbox struct {
	mu    sync.Mutex
	read  uint64 // the last sequence taken over
	lanes map[string][]store.Notice
}

// pump takes over what is new and delivers what people are to be told: lanes side by side, each in order. Slack being away keeps the
// outbox as it is and holds up nothing else.
func (e *Engine) pump(ctx context.Context) {
	o := &e.outbox
	o.mu.Lock()
	for {
		news, err := e.DB.Notices(o.read, noticesAtOnce)
		if err != nil {
			e.broken("read the outbox", err)
		}
		for _, n := range news {
			o.lanes[n.Lane] = append(o.lanes[n.Lane], n)
			o.read = n.Seq
		}
		if len(news) < noticesAtOnce {
			break
		}
	}
	now := e.now()
	voices, mails := e.places(e.rooms.voices), e.places(e.rooms.mails)
	for name, queue := range o.lanes {
		if queue[0].NotUntil.After(now) {
			e.wake(queue[0].NotUntil)
			continue
		}
		first := voices
		if strings.HasSuffix(name, mailLane) {
			first = mails
		}
		first.offer(name, queue[0].Seq)
	}
	o.mu.Unlock()
	for _, p := range []*places{voices, mails} {
		for _, c := range p.all {
			e.spawn("lane "+c.name, p.room, func(ctx context.Context) { e.drain(ctx, c.name) }, nil)
		}
	}
}

// places are the lanes that come next, as many as there is room for: who is not among them comes when one of these is done.
type places struct {
	e    *Engine
	room chan struct{}
	free int
	all  []placed
}

type placed struct {
	name string
	seq  uint64
}

func (e *Engine) places(room chan struct{}) *places {
	return &places{e: e, room: room, free: cap(room) - len(room)}
}

// offer puts a lane among them, if it has waited longer than one of them, and nobody is at it.
func (p *places) offer(name string, seq uint64) {
	if p.free == 0 || len(p.all) == p.free && p.all[len(p.all)-1].seq < seq || p.e.taken("lane "+name) {
		return
	}
	at, _ := slices.BinarySearchFunc(p.all, seq, func(c placed, seq uint64) int { return cmp.Compare(c.seq, seq) })
	p.all = slices.Insert(p.all, at, placed{name, seq})
	p.all = p.all[:min(len(p.all), p.free)]
}

// head is the next notice of a lane and what comes after it.
func (o *outbox) head(name string) (n store.Notice, rest []store.Notice, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	queue := o.lanes[name]
	if len(queue) == 0 {
		return n, nil, false
	}
	return queue[0], slices.Clone(queue[1:]), true
}

// pop ends the head of a lane; put replaces it by what is known of it now.
func (o *outbox) pop(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if queue := o.lanes[name]; len(queue) > 1 {
		o.lanes[name] = queue[1:]
	} else {
		delete(o.lanes, name)
	}
}

func (o *outbox) put(name string, n store.Notice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lanes[name][0] = n
}

// drain says one lane's notices in order, until one of them must wait.
func (e *Engine) drain(ctx context.Context, name string) {
	for ctx.Err() == nil {
		n, rest, ok := e.outbox.head(name)
		if !ok || n.NotUntil.After(e.now()) {
			return
		}
		if superseded(n, rest) {
			ref, stands, err := e.DB.Ref(n.Request, n.Message)
			if err == nil && stands {
				if err := e.DB.Told(e.by(), n.Seq, ref, ""); err != nil {
					e.broken("skip a notice", err)
					return
				}
				e.outbox.pop(name)
				continue
			}
		}
		later, ended := e.say(ctx, n)
		if !ended {
			if now := e.now(); !later.NotUntil.After(now) { // the store failed: that makes no hot loop
				later.NotUntil = now.Add(storePause)
				e.wake(later.NotUntil)
			}
			e.outbox.put(name, later)
			return
		}
		e.outbox.pop(name)
	}
}

// superseded says whether a later notice edits the same message: it is made from the request as it stands, so the last edit has it all.
func superseded(n store.Notice, later []store.Notice) bool {
	if n.Message == "" {
		return false
	}
	for _, l := range later {
		if l.Message == n.Message {
			return true
		}
	}
	return false
}

// say delivers one notice. That it is begun is written first: after a crash or a lost answer it is said again, and the log tells that it may
// stand twice. ended is false where it must wait; later is then what is known of it.
func (e *Engine) say(ctx context.Context, n store.Notice) (later store.Notice, ended bool) {
	var r store.Request
	var ref store.Ref
	var err error
	if n.Request != "" {
		if r, err = e.DB.Request(n.Request); err != nil && !errors.Is(err, store.ErrNotFound) {
			e.broken("read the request of a notice", err)
			return n, false
		}
	}
	if n.Message != "" {
		if ref, _, err = e.DB.Ref(n.Request, n.Message); err != nil {
			e.broken("read where a message stands", err)
			return n, false
		}
	}
	edits := ref.TS != ""
	if err := e.DB.Begin(e.by(), n.Seq, !edits); err != nil {
		e.broken("begin a notice", err)
		return n, false
	}
	n.Attempts++
	ctx, cancel := context.WithTimeout(ctx, sayPatience)
	defer cancel()
	stands, err := e.Speaker.Deliver(ctx, n, r, ref)
	return e.said(n, stands, err)
}

func (e *Engine) said(n store.Notice, stands store.Ref, err error) (later store.Notice, ended bool) {
	if err == nil {
		e.meters.told.WithLabelValues(n.Kind, "told").Inc()
		if err := e.DB.Told(e.by(), n.Seq, stands, ""); err != nil {
			e.broken("end a notice", err)
			return n, false
		}
		return n, true
	}
	var u *Undelivered
	if !errors.As(err, &u) {
		u = &Undelivered{Err: err}
	}
	if u.Permanent {
		e.meters.told.WithLabelValues(n.Kind, "dropped").Inc()
		e.Log.Error("a message can never be delivered", "request", n.Request, "notice", n.Kind, "err", err)
		if err := e.DB.Told(e.by(), n.Seq, store.Ref{}, brief(err)); err != nil {
			e.broken("end a notice", err)
			return n, false
		}
		return n, true
	}
	wait := u.After
	if wait <= 0 {
		wait = min(backoff(n.Attempts+1), time.Minute)
	}
	e.meters.told.WithLabelValues(n.Kind, "postponed").Inc()
	e.Log.Warn("a message waits", "request", n.Request, "notice", n.Kind, "for", fmt.Sprint(wait), "err", err)
	until := e.now().Add(wait)
	if err := e.DB.Postpone(e.by(), n.Seq, until, !u.Certain, brief(err)); err != nil {
		e.broken("postpone a notice", err)
	}
	e.wake(until)
	n.NotUntil = until
	return n, false
}
