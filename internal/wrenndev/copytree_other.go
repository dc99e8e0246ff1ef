//go:build !linux

package wrenndev

import (
	"errors"
	"syscall"
)

func whiteout(string) error { return errors.New("overlays need Linux") }

func modTime(*syscall.Stat_t) int64 { return 0 }

func copyXattrs(string, string) {}
