//go:build unix

package store

import (
	"os"
	"syscall"
)

// unlock gives a lock back by hand. Closing the file is not enough where bbolt has died: the map of memory it left keeps the file open, and
// with it the lock, for as long as the process lives.
func unlock(f *os.File) {
	if f == nil {
		return
	}
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	f.Close()
}
