// Package wrenn is a client of the Wrenn API, which runs code in microVM sandboxes.
//
// Two generations of the API are in use and the client speaks both: GenerationSandboxes, whose paths start with
// /v1/sandboxes, and GenerationCapsules, whose paths start with /v1/capsules. Which of them a server speaks is detected
// at the first call, or said with WithGeneration. Ids, fields and error codes are the same in both.
//
// Every failure is an *Error. Its Code is what the service said in its own JSON error protocol; it is empty for whatever
// else a request can meet: a proxy's HTML page, a truncated body, a refused connection. Only an answer of the service in
// its own protocol can be final, and IsRefusal tells that. Error.Ambiguous is true exactly when the call may have taken
// effect although no answer says so.
//
// Creating a sandbox is not idempotent: the service knows no idempotency key, no name and no label. The client sends a
// POST at most once; only GET and DELETE are ever repeated.
//
// The contract is openapi.yaml, beside this file; the models in internal/api are generated from it.
package wrenn

//go:generate oapi-codegen -config oapi-codegen.yaml openapi.yaml
