//go:build !linux

package guest

import "errors"

func loopbackUp() error { return errors.New("a private network needs Linux") }
