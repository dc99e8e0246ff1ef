//go:build !linux

package guest

import "errors"

func enterRoot(*BootSpec) error { return errors.New("namespaces need Linux") }
