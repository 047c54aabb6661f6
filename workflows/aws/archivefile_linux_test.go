package aws

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A full disk is a fault that passes: nothing is half there, and the same succeeds once there is room.
func TestFolderOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("no file system of a known size can be mounted here: ", err)
	}
	defer func() { _ = syscall.Unmount(dir, 0) }()
	a, err := (*Connection)(nil).Archive("file:" + dir)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, a, "a.json", strings.Repeat("x", 600<<10))
	large := strings.Repeat("y", 600<<10)
	err = put(t, a, "b.json", large)
	isFault(t, err)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if got := names(t, a, ""); got != "a.json" {
		t.Error(got)
	}
	if parts, _ := os.ReadDir(filepath.Join(dir, partFolder)); len(parts) != 0 {
		t.Errorf("left: %v", parts)
	}
	if err := os.Remove(filepath.Join(dir, "a.json")); err != nil {
		t.Fatal(err)
	}
	mustPut(t, a, "b.json", large)
	holds(t, a, "b.json", large)
}
