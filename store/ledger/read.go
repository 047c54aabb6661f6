package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// read goes through the log of one epoch once.
func (v *verifier) read(ctx context.Context, e *epoch, newest bool) error {
	var want []uint64
	for _, c := range v.claims {
		if c.epoch == e.n || e.prev != nil && c.epoch == e.prev.n { // of the one before, to say how far the two agree
			want = append(want, c.Size)
		}
	}
	for _, f := range v.folders {
		if f.session() && e.of[f.place.of] == nil {
			e.of[f.place.of] = []marked{}
		}
	}
	e.begin(want)
	var l *live
	if newest && v.Live != nil {
		l = follow(v.Live)
		defer l.stop()
	}
	if err := v.readSegments(ctx, e, l); err != nil {
		return err
	}
	if l != nil {
		v.readRest(e, l)
	}
	return ctx.Err()
}

// readSegments reads them one after the other, some ahead.
func (v *verifier) readSegments(ctx context.Context, e *epoch, l *live) error {
	ahead := v.ahead(ctx, e)
	next := uint64(1)
	for i, s := range e.segments {
		r, err := ahead(i)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case s.first > next:
			e.out.add(Finding{Code: CodeGap, Object: s.object, Line: next, Last: s.first - 1, rank: rankLog, epoch: e.n,
				Text: fmt.Sprintf("the lines %d to %d are missing before it: no object has them", next, s.first-1)})
			e.tear(next)
			l.skip(s.first - next)
		case s.first < next:
			e.out.add(Finding{Code: CodeOverlap, Object: s.object, Others: []string{e.segments[i-1].object}, Line: s.first, rank: rankLog, epoch: e.n,
				Text: fmt.Sprintf("it has lines that another object has too, from line %d on; its own were not read", s.first)})
			if err == nil {
				r.Close()
			}
			continue
		}
		if err != nil {
			v.unreadable(s.object, rankLog, err)
			e.tear(s.first)
			l.skip(s.last - s.first + 1)
		} else {
			v.readSegment(e, s, r, l)
			r.Close()
		}
		next = s.last + 1
		e.lines = s.last
		v.progress("lines", int(s.last), int(e.segments[len(e.segments)-1].last))
	}
	return nil
}

// readSegment reads the lines of one. What follows a shape that is wrong is read as far as it can be, for what it says of the rest of the archive.
func (v *verifier) readSegment(e *epoch, s segment, r io.Reader, l *live) {
	lines := &lineReader{r: bufio.NewReaderSize(r, 64<<10)}
	n := s.first
	for ; n <= s.last; n++ {
		b, whole, err := lines.next()
		if errors.Is(err, io.EOF) {
			e.finding(CodeSegment, s.object, n, fmt.Sprintf("it ends before line %d, and must have the lines up to %d", n, s.last))
			e.tear(n)
			l.skip(s.last - n + 1)
			return
		}
		if err != nil {
			v.unreadable(s.object, rankLog, fmt.Errorf("line %d: %w", n, err))
			e.tear(n)
			l.skip(s.last - n + 1)
			return
		}
		if !whole {
			e.finding(CodeSegment, s.object, n, fmt.Sprintf("line %d does not end: the object was cut", n))
		}
		e.line(s.object, n, b)
		v.compare(e, s, n, b, l)
	}
	if _, _, err := lines.next(); !errors.Is(err, io.EOF) {
		e.finding(CodeSegment, s.object, n, fmt.Sprintf("it goes on after line %d, which is its last by its name", s.last))
	}
}

// ahead opens the segments that come next while one is read: in a bucket each takes longer to be opened than to be read.
func (v *verifier) ahead(ctx context.Context, e *epoch) func(i int) (io.ReadCloser, error) {
	type opened struct {
		r   io.ReadCloser
		err error
	}
	coming := make([]chan opened, len(e.segments))
	begin := func(i int) {
		s := e.segments[i]
		if e.sizes[s.object] > smallSegment {
			return
		}
		coming[i] = make(chan opened, 1)
		go func() {
			b, err := v.fetch(ctx, s.object, 2*smallSegment)
			coming[i] <- opened{io.NopCloser(bytes.NewReader(b)), err}
		}()
	}
	begun := 0
	return func(i int) (io.ReadCloser, error) {
		for ; begun < len(e.segments) && begun <= i+atOnce; begun++ {
			begin(begun)
		}
		if coming[i] == nil {
			return v.archive.Open(ctx, e.segments[i].object)
		}
		o := <-coming[i]
		coming[i] = nil
		return o.r, o.err
	}
}

// lineReader reads lines of any sensible length; a line is valid until the next.
type lineReader struct {
	r    *bufio.Reader
	long []byte
}

// next is a line without its newline; whole is false where that was missing at the end.
func (l *lineReader) next() (b []byte, whole bool, err error) {
	b, err = l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long[:0], b...)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(l.long) > mostLine {
				return nil, false, errors.New("it is too long")
			}
			b, err = l.r.ReadSlice('\n')
			l.long = append(l.long, b...)
		}
		b = l.long
	}
	if err == nil {
		return b[:len(b)-1], true, nil
	}
	if errors.Is(err, io.EOF) && len(b) > 0 {
		return b, false, nil
	}
	return nil, false, err
}

// live follows the store's own log beside the archive's. A nil one follows nothing.
type live struct {
	next func() ([]byte, error, bool)
	stop func()
	n    uint64 // lines taken so far
	off  bool   // it is no longer compared, since it is known to differ
}

func follow(lines iter.Seq2[[]byte, error]) *live {
	l := &live{}
	l.next, l.stop = iter.Pull2(lines)
	return l
}

func (l *live) skip(n uint64) {
	if l == nil {
		return
	}
	for range n {
		if _, err, ok := l.next(); !ok || err != nil {
			l.off = true
			return
		}
		l.n++
	}
}

// compare takes the store's line n and compares it with the archive's.
func (v *verifier) compare(e *epoch, s segment, n uint64, b []byte, l *live) {
	if l == nil || l.off {
		return
	}
	own, err, ok := l.next()
	switch {
	case err != nil:
		l.off = true
		v.out.add(Finding{Code: CodeUnreadable, Object: theStore, Line: n, rank: rankLive, epoch: e.n, Text: fmt.Sprintf("line %d of the store cannot be read: %v", n, err)})
	case !ok:
		l.off = true
		last := e.segments[len(e.segments)-1].last
		v.out.add(Finding{Code: CodeLiveShort, Object: theStore, Others: []string{s.object}, Line: n, Last: last, rank: rankLive, epoch: e.n,
			Text: fmt.Sprintf("the store's log ends at line %d, and the archive has %d: the store is an older copy, or lines were cut off", n-1, last)})
	case !bytes.Equal(own, b):
		l.off = true
		v.out.add(Finding{Code: CodeLiveDiffers, Object: s.object, Others: []string{theStore}, Line: n, rank: rankLive, epoch: e.n,
			Text: fmt.Sprintf("line %d is another one in the store: it is the first that differs", n)})
	default:
		l.n++
	}
}

// readRest goes on with the lines that only the store has.
func (v *verifier) readRest(e *epoch, l *live) {
	if l.off || e.torn != 0 {
		return
	}
	for {
		b, err, ok := l.next()
		if err != nil {
			v.out.add(Finding{Code: CodeUnreadable, Object: theStore, Line: e.total() + 1, rank: rankLive, epoch: e.n, Text: fmt.Sprintf("line %d of the store cannot be read: %v", e.total()+1, err)})
		}
		if err != nil || !ok {
			return
		}
		e.live++
		e.line(theStore, e.total(), b)
	}
}
