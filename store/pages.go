package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	bolt "go.etcd.io/bbolt"
)

// pages reads a bbolt file as bytes, page by page, and believes nothing in it. bbolt's own check walks the map of memory in a
// goroutine of its own, where a wild page number ends the program, beyond any recover; this one can only return an error.
// The layout is bbolt's file format 2: a page is a head of 16 bytes (id 8, kind 2, count 2, how many pages follow it 4), then its elements.
type pages struct {
	file  io.ReaderAt
	size  int
	count uint64 // pages there are; ids lie below it
	used  []bool // met on the way, or free
}

const (
	pageHead    = 16
	elementSize = 16
	branchPage  = 0x01
	leafPage    = 0x02
	freePage    = 0x10
	aBucket     = 0x01           // flag of an element of a leaf
	noFreelist  = ^uint64(0)     // in place of the freelist's page
	manyFree    = uint16(0xffff) // in place of a count that does not fit
)

var order = binary.NativeEndian // bbolt writes its structs as they lie in memory

// walkPages checks what the transaction sees. While it is open, none of its pages is written anew.
func walkPages(t *bolt.Tx, file *os.File, size int) error {
	// The meta page the transaction goes by is private to bbolt, except that a copy begins with it. The copy always fails.
	var head firstBytes
	if _, err := t.WriteTo(&head); len(head) < pageHead+64 {
		return fmt.Errorf("there is no meta page: %w", err)
	}
	meta := head[pageHead:]
	p := &pages{file: file, size: size, count: order.Uint64(meta[40:])}
	if int64(p.count)*int64(size) != t.Size() {
		return fmt.Errorf("its meta page says it has %d pages", p.count)
	}
	p.used = make([]bool, p.count)
	p.used[0], p.used[1] = true, true
	if err := p.walk(order.Uint64(meta[16:]), nil, nil, true); err != nil {
		return err
	}
	if err := p.free(order.Uint64(meta[32:])); err != nil {
		return err
	}
	if i := bytes.IndexByte(asBytes(p.used), 0); i >= 0 {
		return fmt.Errorf("page %d is neither in use nor free", i)
	}
	return nil
}

// firstBytes keeps the beginning of what is written to it, and then wants no more.
type firstBytes []byte

var errEnough = errors.New("enough")

func (b *firstBytes) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return 0, errEnough
}

func asBytes(used []bool) []byte {
	b := make([]byte, len(used))
	for i, u := range used {
		if u {
			b[i] = 1
		}
	}
	return b
}

// page reads one page with those that follow it, and takes them for used.
func (p *pages) page(id uint64) ([]byte, error) {
	if id < 2 || id >= p.count {
		return nil, fmt.Errorf("there is no page %d", id)
	}
	var head [pageHead]byte
	if _, err := p.file.ReadAt(head[:], int64(id)*int64(p.size)); err != nil {
		return nil, err
	}
	follow := uint64(order.Uint32(head[12:]))
	if self := order.Uint64(head[:]); self != id || follow >= p.count-id {
		return nil, fmt.Errorf("page %d says it is %d, and that %d follow it", id, self, follow)
	}
	for i := id; i <= id+follow; i++ {
		if p.used[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		p.used[i] = true
	}
	buf := make([]byte, (follow+1)*uint64(p.size))
	_, err := p.file.ReadAt(buf, int64(id)*int64(p.size))
	return buf, err
}

// walk checks a page and what lies below it. Its keys are at least from and, where to is not nil, less than to. top is the bucket of buckets:
// ours hold no others.
func (p *pages) walk(id uint64, from, to []byte, top bool) error {
	buf, err := p.page(id)
	if err != nil {
		return err
	}
	if kind := order.Uint16(buf[8:]); kind == leafPage {
		return p.leaf(buf, id, from, to, top)
	} else if kind != branchPage {
		return fmt.Errorf("page %d is of kind %x", id, kind)
	}
	elements, err := elementsOf(buf, from, to, false)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	for i, e := range elements {
		until := to
		if i+1 < len(elements) {
			until = elements[i+1].key
		}
		if err := p.walk(e.child, e.key, until, top); err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) leaf(buf []byte, id uint64, from, to []byte, top bool) error {
	elements, err := elementsOf(buf, from, to, true)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	for i, e := range elements {
		if top != (e.flags == aBucket) || !top && e.flags != 0 {
			return fmt.Errorf("page %d: element %d is of kind %x", id, i, e.flags)
		}
		if !top {
			continue
		}
		if err := p.bucket(e.value, id); err != nil {
			return err
		}
	}
	return nil
}

// bucket is the value that stands for a bucket: the page it begins at, or 0 and the only page it has.
func (p *pages) bucket(v []byte, id uint64) error {
	if len(v) < 16 {
		return fmt.Errorf("page %d: a bucket is torn", id)
	}
	if root := order.Uint64(v); root != 0 {
		return p.walk(root, nil, nil, false)
	}
	inside := v[16:]
	if len(inside) < pageHead || order.Uint16(inside[8:]) != leafPage {
		return fmt.Errorf("page %d: a bucket inside it is torn", id)
	}
	return p.leaf(inside, id, nil, nil, false)
}

// element is an entry of a branch (the first key of a child, and its page) or of a leaf.
type element struct {
	key, value []byte
	flags      uint32
	child      uint64
}

// elementsOf reads a page. What its elements hold lies right behind them, without a gap and in their order: so a count or a length that
// is wrong is found, though every record that is left be sound.
func elementsOf(buf []byte, from, to []byte, leaf bool) ([]element, error) {
	n := int(order.Uint16(buf[10:]))
	data := uint64(pageHead + n*elementSize)
	if data > uint64(len(buf)) {
		return nil, fmt.Errorf("it cannot have %d elements", n)
	}
	list := make([]element, n)
	for i := range list {
		at := uint64(pageHead + i*elementSize)
		word := func(n uint64) uint64 { return uint64(order.Uint32(buf[at+n:])) }
		e := &list[i]
		pos, key, value := word(0), word(4), uint64(0)
		if leaf {
			e.flags, pos, key, value = uint32(word(0)), word(4), word(8), word(12)
		} else {
			e.child = order.Uint64(buf[at+8:])
		}
		if at+pos != data || data+key+value > uint64(len(buf)) {
			return nil, fmt.Errorf("element %d is torn", i)
		}
		e.key, e.value = buf[data:data+key], buf[data+key:data+key+value]
		data += key + value
		if i > 0 && bytes.Equal(e.key, from) || bytes.Compare(e.key, from) < 0 || to != nil && bytes.Compare(e.key, to) >= 0 {
			return nil, fmt.Errorf("element %d is out of order", i)
		}
		from = e.key
	}
	return list, nil
}

// free checks that what is said to be free is not in use.
func (p *pages) free(id uint64) error {
	if id == noFreelist {
		return errors.New("it has no list of free pages")
	}
	buf, err := p.page(id)
	if err != nil {
		return err
	}
	if kind := order.Uint16(buf[8:]); kind != freePage {
		return fmt.Errorf("page %d is of kind %x and should list what is free", id, kind)
	}
	n, at := uint64(order.Uint16(buf[10:])), pageHead
	if n == uint64(manyFree) {
		n, at = order.Uint64(buf[at:]), at+8
	}
	if n > uint64(len(buf)-at)/8 {
		return fmt.Errorf("page %d lists %d free pages", id, n)
	}
	for ; n > 0; n, at = n-1, at+8 {
		f := order.Uint64(buf[at:])
		if f >= p.count || p.used[f] {
			return fmt.Errorf("page %d is free, and in use or not there", f)
		}
		p.used[f] = true
	}
	return nil
}
