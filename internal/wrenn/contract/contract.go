// Package contract checks exchanges with a Wrenn server against openapi.yaml, the contract of the client and of every
// server that it talks to. It is for tests: a Transport put between a client and a server, embedded or real, reports
// each request and each response that the contract does not allow.
package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// The generations that an operation can exist in.
const (
	Sandboxes = "Sandboxes"
	Capsules  = "Capsules"
)

// Operation is one operation of the contract.
type Operation struct {
	// ID is its operationId.
	ID string
	// Method and Path, with its parameters in braces, are its route.
	Method, Path string
	// Generations have it.
	Generations []string
	// Statuses are those of its answers.
	Statuses []int
	// WebSocket operations upgrade.
	WebSocket bool
}

// Contract is openapi.yaml.
type Contract struct {
	doc    *openapi3.T
	router routers.Router
}

// Load reads the contract from the checkout that this package was built in, and validates it.
func Load() (*Contract, error) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return nil, errors.New("contract: no source path")
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "openapi.yaml"))
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	return Parse(text)
}

// Parse reads a contract.
func Parse(text []byte) (*Contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	// Any server is meant, whatever its URL.
	doc.Servers = nil
	router, err := legacy.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	return &Contract{doc: doc, router: router}, nil
}

// Operations are all operations, in order of their ids.
func (c *Contract) Operations() []Operation {
	var all []Operation
	for path, item := range c.doc.Paths.Map() {
		for method, op := range item.Operations() {
			o := Operation{ID: op.OperationID, Method: method, Path: path, Generations: generationsOf(path, op)}
			for status := range op.Responses.Map() {
				var code int
				if _, err := fmt.Sscan(status, &code); err == nil {
					o.Statuses = append(o.Statuses, code)
				}
			}
			slices.Sort(o.Statuses)
			o.WebSocket = slices.Contains(o.Statuses, http.StatusSwitchingProtocols)
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b Operation) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func generationsOf(path string, op *openapi3.Operation) []string {
	switch {
	case strings.HasPrefix(path, "/v1/sandboxes"):
		return []string{Sandboxes}
	case strings.HasPrefix(path, "/v1/capsules"), path == "/health":
		return []string{Capsules}
	}
	if only := texts(op.Extensions["x-generations"]); only != nil {
		return only
	}
	return []string{Sandboxes, Capsules}
}

// texts reads a list of texts from an extension.
func texts(extension any) []string {
	list, ok := extension.([]any)
	if !ok {
		return nil
	}
	var out []string
	for _, v := range list {
		if text, ok := v.(string); ok {
			out = append(out, text)
		}
	}
	return out
}
