package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// ErrDamaged: the file, or a record in it, is not what was written. A record that cannot be read may be standing access that
// nobody tracks, so nothing is dropped: the store is refused, and says what to do.
var ErrDamaged = errors.New("the store is damaged")

// bbolt has no checksum over data: a flipped byte in a key or a value passes its own check. So every record carries one, over its key as
// well, that a record may not be taken for another; and every entry of an index, over the key, which is all it has.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const sumBytes = 4

func crc(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
}

func sum(key, body []byte) []byte {
	return binary.BigEndian.AppendUint32(make([]byte, 0, sumBytes+len(body)), crc(key, body))
}

func encode(key []byte, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return append(sum(key, body), body...), nil
}

// body is what a record holds, once its checksum was found to match.
func body(bucket string, key, rec []byte) ([]byte, error) {
	if len(rec) < sumBytes {
		return nil, fmt.Errorf("%w: %s/%x is %d bytes long", ErrDamaged, bucket, key, len(rec))
	}
	b := rec[sumBytes:]
	if crc(key, b) != binary.BigEndian.Uint32(rec) {
		return nil, fmt.Errorf("%w: the checksum of %s/%x does not match", ErrDamaged, bucket, key)
	}
	return b, nil
}

func decode(bucket string, key, rec []byte, v any) error {
	b, err := body(bucket, key, rec)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %s/%x: %w", ErrDamaged, bucket, key, err)
	}
	return nil
}

// fetch reads and decodes one record; found is false where there is none.
func fetch(t tx, bucket string, key []byte, v any) (found bool, err error) {
	rec := t.get(bucket, key)
	if rec == nil {
		return false, nil
	}
	return true, decode(bucket, key, rec, v)
}

// must is fetch for a record that an index leads to. That it is missing is damage, not an answer: a caller who was given an empty
// request instead would take nothing away.
func must(t tx, bucket string, key []byte, v any) error {
	found, err := fetch(t, bucket, key, v)
	if err == nil && !found {
		err = fmt.Errorf("%w: %s/%x is missing", ErrDamaged, bucket, key)
	}
	return err
}

// add saves a record that must be new.
func add(t tx, bucket string, key []byte, v any) error {
	rec, err := encode(key, v)
	if err != nil {
		return err
	}
	return t.insert(bucket, key, rec)
}

func save(t tx, bucket string, key []byte, v any) error {
	rec, err := encode(key, v)
	if err != nil {
		return err
	}
	return t.put(bucket, key, rec)
}

// mark puts an entry into an index.
func mark(t tx, bucket string, key []byte) error { return t.put(bucket, key, sum(key, nil)) }

func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func fromU64(k []byte) uint64 {
	if len(k) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(k)
}

// timeKey orders times before the epoch wrongly; no clock of ours is set there.
func timeKey(t time.Time) []byte { return u64(uint64(t.UnixNano())) }

func join(parts ...[]byte) []byte {
	var k []byte
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}
