//go:build !unix

package store

import "os"

// unlock closes the file; where there is no flock, the lock goes with it.
func unlock(f *os.File) {
	if f != nil {
		f.Close()
	}
}
