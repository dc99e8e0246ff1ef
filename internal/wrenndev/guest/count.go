package guest

import (
	"os"
	"slices"
	"syscall"
)

// Count counts the live processes of the host that are one of the supervisors,
// descend from one, or carry the id of a sandbox that is mine in their environment:
// the last finds those that a dead supervisor left behind.
func Count(supervisors []int, mine func(id string) bool) (int, error) {
	procs, err := allProcesses()
	if err != nil {
		return 0, err
	}
	found := map[int]bool{}
	for _, p := range tree(procs, supervisors) {
		found[p.pid] = true
	}
	live := 0
	for _, p := range procs {
		if p.dead() || p.pid == os.Getpid() {
			continue
		}
		if id := sandboxOf(p.pid); found[p.pid] || slices.Contains(supervisors, p.pid) || id != "" && mine(id) {
			live++
		}
	}
	return live, nil
}

// sweep ends what a dead supervisor left behind of a sandbox.
func sweep(id string) {
	if id == "" {
		return // which is what every process of the host has that is in no sandbox
	}
	_ = settleOn(func() (bool, error) {
		procs, err := allProcesses()
		if err != nil {
			return false, err
		}
		quiet := true
		for _, p := range procs {
			if !p.dead() && p.pid != os.Getpid() && sandboxOf(p.pid) == id {
				quiet = false
				_ = syscall.Kill(p.pid, syscall.SIGKILL)
			}
		}
		return quiet, nil
	})
}

// descendants lists the processes of the sandbox, without the supervisor.
func descendants() ([]proc, error) {
	procs, err := allProcesses()
	if err != nil {
		return nil, err
	}
	return tree(procs, []int{os.Getpid()}), nil
}

// tree keeps those of procs that descend from one of roots.
func tree(procs []proc, roots []int) []proc {
	children := map[int][]proc{}
	for _, p := range procs {
		children[p.ppid] = append(children[p.ppid], p)
	}
	var found []proc
	for queue := slices.Clone(roots); len(queue) > 0; queue = queue[1:] {
		for _, p := range children[queue[0]] {
			found = append(found, p)
			queue = append(queue, p.pid)
		}
	}
	return found
}
