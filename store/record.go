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

// bbolt has no checksum over data: a flipped byte in a value passes its own check. So every record carries one.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const sumBytes = 4

func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	rec := make([]byte, sumBytes, sumBytes+len(body))
	binary.BigEndian.PutUint32(rec, crc32.Checksum(body, castagnoli))
	return append(rec, body...), nil
}

func decode(bucket string, key, rec []byte, v any) error {
	if len(rec) < sumBytes {
		return fmt.Errorf("%w: %s/%x is %d bytes long", ErrDamaged, bucket, key, len(rec))
	}
	body := rec[sumBytes:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(rec) {
		return fmt.Errorf("%w: the checksum of %s/%x does not match", ErrDamaged, bucket, key)
	}
	if err := json.Unmarshal(body, v); err != nil {
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

func save(t tx, bucket string, key []byte, v any) error {
	rec, err := encode(v)
	if err != nil {
		return err
	}
	return t.put(bucket, key, rec)
}

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
