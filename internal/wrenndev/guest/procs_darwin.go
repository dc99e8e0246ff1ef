package guest

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// adoptOrphans has no counterpart here: a process whose parent ended is no longer
// found.
func adoptOrphans() {}

// allProcesses lists the processes that can be seen from here.
func allProcesses() ([]proc, error) {
	infos, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	const stopped, zombie = 4, 5
	procs := make([]proc, 0, len(infos))
	for i := range infos {
		p := proc{pid: int(infos[i].Proc.P_pid), ppid: int(infos[i].Eproc.Ppid), state: 'R'}
		switch infos[i].Proc.P_stat {
		case stopped:
			p.state = 'T'
		case zombie:
			p.state = 'Z'
		}
		procs = append(procs, p)
	}
	return procs, nil
}

// sandboxOf does not know: this system shows no environments.
func sandboxOf(int) string { return "" }

// childTime does not know.
func childTime() time.Duration { return 0 }
