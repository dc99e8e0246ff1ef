package guest

import (
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	// keepSamples is two minutes more than the ten that the finest range shows.
	keepSamples = 1440
	// ticksPerSecond is USER_HZ, which Linux has fixed at 100 for every program.
	ticksPerSecond = 100
)

// sampler keeps the resource use of the recent past.
type sampler struct {
	mu      sync.Mutex
	ring    []Sample
	active  chan struct{}
	started sync.Once
}

func (s *sampler) signal() chan struct{} {
	s.started.Do(func() { s.active = make(chan struct{}, 1) })
	return s.active
}

// wake starts sampling again after a command was started or continued.
func (s *sampler) wake() {
	select {
	case s.signal() <- struct{}{}:
	default:
	}
}

func (s *sampler) add(sample Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ring) == keepSamples {
		s.ring = append(s.ring[:0], s.ring[1:]...)
	}
	s.ring = append(s.ring, sample)
}

// sampleForever takes a sample each period as long as processes run. An idle or
// paused sandbox costs nothing; the server fills in the zeros.
func (s *supervisor) sampleForever(period time.Duration) {
	if period <= 0 {
		return
	}
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		tick.Stop()
		<-s.samples.signal()
		used, _, _ := usage()
		at := time.Now()
		tick.Reset(period)
		for busy := true; busy; {
			<-tick.C
			now := time.Now()
			total, memory, live := usage()
			// A process takes its ticks along when it dies unseen by its parent.
			share := 100 * float64(max(total-used, 0)) / float64(max(now.Sub(at), time.Millisecond))
			s.samples.add(Sample{UnixMilli: now.UnixMilli(), CPU: share, MemBytes: memory})
			used, at = total, now
			s.mu.Lock()
			busy = live && !s.frozen
			s.mu.Unlock()
		}
	}
}

// usage is the CPU time of all processes so far, the memory of the live ones, and
// whether there are any.
func usage() (cpu time.Duration, memory int64, live bool) {
	procs, err := descendants()
	if err != nil {
		return 0, 0, false
	}
	cpu = childTime()
	for _, p := range procs {
		cpu += time.Duration(p.ticks) * (time.Second / ticksPerSecond) //nolint:gosec // CPU time of a process
		memory += p.rss
	}
	return cpu, memory, len(procs) > 0
}

func (s *supervisor) stats() *Stats {
	s.samples.mu.Lock()
	samples := append([]Sample{}, s.samples.ring...)
	s.samples.mu.Unlock()
	s.mu.Lock()
	dir := s.spec.Dir
	if s.spec.Namespaces {
		dir = "/"
	}
	s.mu.Unlock()
	return &Stats{Samples: samples, DiskBytes: occupied(dir)}
}

// occupied adds up the disk blocks below dir, on its own file system only: system
// directories are mounts.
func occupied(dir string) int64 {
	var top syscall.Stat_t
	if syscall.Lstat(dir, &top) != nil {
		return 0
	}
	const block = 512
	var sum int64
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what ended meanwhile occupies nothing
		}
		var st syscall.Stat_t
		if syscall.Lstat(path, &st) != nil {
			return nil //nolint:nilerr // as above
		}
		if st.Dev != top.Dev {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		sum += st.Blocks * block
		return nil
	})
	return sum
}
