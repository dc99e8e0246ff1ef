package wrenndev

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// journal is state on disk: one JSON line for each change, the last one of a key
// counts. Appending is cheap; every start writes it anew with one line a key.
type journal[Entry any] struct {
	path string
	file *os.File
	err  error // the first failed write; the state in memory stays right
}

func openJournal[Entry any](path string, each func(Entry)) (*journal[Entry], error) {
	f, err := os.Open(path) //nolint:gosec // in the server's own data directory
	if errors.Is(err, fs.ErrNotExist) {
		return &journal[Entry]{path: path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			// A line without an end was being written when the server was killed: the
			// change it told of was not answered yet.
			return &journal[Entry]{path: path}, nil
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("state %s: %w", path, err)
		}
		each(e)
	}
}

// compact replaces the file by the entries and goes on appending to it.
func (j *journal[Entry]) compact(entries []Entry) error {
	f, err := os.CreateTemp(filepath.Dir(j.path), filepath.Base(j.path)+".*")
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for _, e := range entries {
		if err := enc.Encode(e); err != nil {
			return errors.Join(fmt.Errorf("state: %w", err), f.Close(), os.Remove(f.Name()))
		}
	}
	if err := errors.Join(w.Flush(), os.Rename(f.Name(), j.path)); err != nil {
		return errors.Join(fmt.Errorf("state: %w", err), f.Close())
	}
	j.file = f
	return nil
}

func (j *journal[Entry]) add(e Entry) {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	if err != nil && j.err == nil {
		j.err = fmt.Errorf("state: %w", err)
	}
}

// close reports the first change that could not be kept.
func (j *journal[Entry]) close() error {
	if j.file == nil {
		return nil
	}
	return errors.Join(j.err, j.file.Close())
}
