package guest

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// account is a user of the sandbox, as its own files tell.
type account struct {
	name, home string
	uid, gid   uint32
	groups     []uint32
}

// lookUp reads the sandbox's user database itself: the C library would load modules
// of the sandbox into the supervisor for that.
func lookUp(name string) (account, error) {
	found := account{name: name}
	err := eachRecord("/etc/passwd", 7, func(f []string) error {
		if f[0] != name || found.home != "" {
			return nil
		}
		uid, err1 := strconv.ParseUint(f[2], 10, 32)
		gid, err2 := strconv.ParseUint(f[3], 10, 32)
		if err1 != nil || err2 != nil || f[5] == "" {
			return fmt.Errorf("user %s has a malformed entry", name)
		}
		found.uid, found.gid, found.home = uint32(uid), uint32(gid), f[5]
		return nil
	})
	switch {
	case err != nil:
		return account{}, err
	case found.home == "":
		return account{}, fmt.Errorf("no such user: %s", name)
	}
	err = eachRecord("/etc/group", 4, func(f []string) error {
		gid, err := strconv.ParseUint(f[2], 10, 32)
		if err == nil && slices.Contains(strings.Split(f[3], ","), name) {
			found.groups = append(found.groups, uint32(gid))
		}
		return nil
	})
	return found, err
}

// eachRecord calls do with the fields of each record of a user database.
func eachRecord(path string, fields int, do func([]string) error) error {
	f, err := os.Open(path) //nolint:gosec // one of two fixed names
	if err != nil {
		return fmt.Errorf("user database: %w", err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		record := strings.Split(lines.Text(), ":")
		if len(record) < fields {
			continue
		}
		if err := do(record); err != nil {
			return err
		}
	}
	return lines.Err()
}

// env is what every program of the user expects in its environment.
func (a account) env() []string {
	return []string{"HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name}
}

// credential makes a command the user's; nil is for the supervisor's own user.
func (a account) credential() *syscall.Credential {
	if int64(a.uid) == int64(os.Getuid()) {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: a.groups}
}

// identity is as whom, with which environment and where a command runs.
func (s *supervisor) identity(spec *ExecSpec) (cred *syscall.Credential, env []string, dir string, err error) {
	env, dir = s.spec.Env, s.spec.Home
	user := spec.User
	if user == "" {
		user = s.spec.User
	}
	// Without a root of its own a sandbox has no users of its own either.
	if user != "" && s.spec.Namespaces {
		who, err := lookUp(user)
		if err != nil {
			return nil, nil, "", &kindError{KindInvalid, err}
		}
		cred, env, dir = who.credential(), Overlay(env, who.env()), who.home
	}
	if spec.Dir != "" {
		dir = spec.Dir
	}
	return cred, Overlay(env, spec.Env), dir, nil
}

// Overlay adds variables to an environment, in which each has one value: the last.
func Overlay(env, more []string) []string {
	all := slices.Clone(env)
	for _, v := range more {
		name, _, _ := strings.Cut(v, "=")
		i := slices.IndexFunc(all, func(have string) bool { return strings.HasPrefix(have, name+"=") })
		if i < 0 {
			all = append(all, v)
		} else {
			all[i] = v
		}
	}
	return all
}
