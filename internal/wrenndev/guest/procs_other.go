//go:build !linux

package guest

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

// adoptOrphans has no counterpart outside of Linux: a process whose parent ended is
// no longer found.
func adoptOrphans() {}

// allProcesses lists the processes that can be seen from here.
func allProcesses() ([]proc, error) {
	ctx, cancel := context.WithTimeout(context.Background(), settle)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", "-axo", "pid=,ppid=,stat=,rss=").Output()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var procs []proc
	for line := range bytes.Lines(out) {
		f := bytes.Fields(line)
		if len(f) < 4 {
			continue
		}
		p := proc{state: f[2][0]}
		p.pid, _ = strconv.Atoi(string(f[0]))
		p.ppid, _ = strconv.Atoi(string(f[1]))
		kib, _ := strconv.ParseInt(string(f[3]), 10, 64)
		p.rss = kib << 10
		procs = append(procs, p)
	}
	return procs, nil
}

func childTime() time.Duration { return 0 }

// sandboxOf does not know: other systems show no environments.
func sandboxOf(int) string { return "" }
