package guest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes processes whose parents ended children of this one, so that
// every process of the sandbox is found below it.
func adoptOrphans() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// allProcesses lists the processes that can be seen from here.
func allProcesses() ([]proc, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var procs []proc
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat") //nolint:gosec // name is a number
		if err != nil {
			continue // it ended meanwhile
		}
		if p, ok := parseStat(pid, stat); ok {
			procs = append(procs, p)
		}
	}
	return procs, nil
}

// parseStat reads proc_pid_stat(5). The command name may hold spaces and
// parentheses, so the fields are counted from the last parenthesis.
func parseStat(pid int, stat []byte) (proc, bool) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return proc{}, false
	}
	fields := bytes.Fields(stat[end+1:])
	const state, ppid, utime, cstime, rss = 0, 1, 11, 14, 21
	if len(fields) <= rss {
		return proc{}, false
	}
	p := proc{pid: pid, state: fields[state][0]}
	p.ppid, _ = strconv.Atoi(string(fields[ppid]))
	for _, f := range fields[utime : cstime+1] {
		n, _ := strconv.ParseInt(string(f), 10, 64)
		p.ticks += uint64(max(n, 0))
	}
	pages, _ := strconv.ParseInt(string(fields[rss]), 10, 64)
	p.rss = pages * int64(os.Getpagesize())
	return p, true
}

// sandboxOf is the sandbox that a process of this host was started in, or "".
func sandboxOf(pid int) string {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return "" // it ended, or belongs to somebody else
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if id, ok := bytes.CutPrefix(v, []byte(EnvSandboxID+"=")); ok {
			return string(id)
		}
	}
	return ""
}
