package execrun

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
)

// CellResult is what the client of a kernel tells of a cell.
type CellResult struct {
	// Unavailable says why the cell was not run.
	Unavailable string `json:"unavailable"`
	// Text is the value of the last expression.
	Text string `json:"text"`
	// Count is the number of the cell among all that the kernel ran.
	Count int32 `json:"executionCount"`
	// MIMETypes are those of the value and of what was displayed.
	MIMETypes []string `json:"mimeTypes"`
	// Error is the exception that ended the cell, nil where none did.
	Error *CellError `json:"error"`
	// Files are what it displayed.
	Files []cellFile `json:"files"`
}

// CellError is an exception of a cell.
type CellError struct {
	Name      string `json:"name"`
	Value     string `json:"value"`
	Traceback string `json:"traceback"`
}

// cellFile is something that a cell displayed, as a file in the attempt's directory.
type cellFile struct {
	Name     string `json:"name"`
	MIMEType string `json:"mimeType"`
	Bytes    int64  `json:"bytes"`
}

const (
	// resultLimit is how large what the client of a kernel tells may be.
	resultLimit = 256 << 10
	// maxCellFiles is how many files it may name.
	maxCellFiles = 32
)

var cellFileForm = regexp.MustCompile(`^cell-[0-9]{1,3}\.[a-z]{1,8}$`)

// readResult reads what the client of the kernel tells. It tells nothing where it was killed, or where there is no Python.
func (a *attempt) readResult(ctx context.Context, g guest) error {
	data, size, err := g.piece(ctx, "result", 0)
	switch {
	case errors.Is(err, errNoFiles), errors.Is(err, errDamaged), err == nil && (size > resultLimit || int64(len(data)) != size):
		return nil
	case err != nil:
		if err = a.unreadable(ctx, g, err); errors.Is(err, errNoFiles) {
			return nil
		}
		return err
	}
	a.final.result = parseResult(data)
	return nil
}

// parseResult reads a result and bounds what it says to what the status can hold: whoever is in the sandbox can have
// written it. It returns nil for what is none.
func parseResult(data []byte) *CellResult {
	var r *CellResult
	if json.Unmarshal(data, &r) != nil || r == nil || len(r.Files) > maxCellFiles || len(r.MIMETypes) > maxCellFiles || r.Count < 0 {
		return nil
	}
	seen := map[string]bool{}
	for i := range r.Files {
		file := &r.Files[i]
		if !cellFileForm.MatchString(file.Name) || seen[file.Name] || file.Bytes < 0 {
			return nil
		}
		seen[file.Name], file.MIMEType = true, bounded(file.MIMEType, 128)
	}
	r.MIMETypes = slices.DeleteFunc(r.MIMETypes, func(mime string) bool { return mime == "" })
	r.Unavailable, r.Text = bounded(r.Unavailable, 1024), bounded(r.Text, 16384)
	for i, mime := range r.MIMETypes {
		r.MIMETypes[i] = bounded(mime, 128)
	}
	if e := r.Error; e != nil {
		e.Name, e.Value, e.Traceback = bounded(e.Name, 256), bounded(e.Value, 1024), bounded(e.Traceback, 8192)
	}
	return r
}

// bounded is the beginning of a text, in characters.
func bounded(text string, limit int) string {
	n := 0
	for i := range text {
		if n == limit {
			return text[:i]
		}
		n++
	}
	return text
}
