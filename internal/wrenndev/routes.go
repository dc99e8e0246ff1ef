package wrenndev

import (
	"net/http"
	"slices"
	"strings"
)

// generation is the generation in whose manner a request is answered.
type generation int

const (
	genS generation = iota
	genC
)

// Operations, as they are named in [Fault] and [Request].
const (
	OpCreate         = "create"
	OpList           = "list"
	OpGet            = "get"
	OpDestroy        = "destroy"
	OpPause          = "pause"
	OpResume         = "resume"
	OpPing           = "ping"
	OpExec           = "exec"
	OpExecStream     = "exec-stream"
	OpUpload         = "upload"
	OpDownload       = "download"
	OpStreamUpload   = "stream-upload"
	OpStreamDownload = "stream-download"
	OpMetrics        = "metrics"
	OpSnapshotCreate = "snapshot-create"
	OpSnapshotList   = "snapshot-list"
	OpSnapshotDelete = "snapshot-delete"
	OpProxy          = "proxy" // a port of a sandbox, see proxy.go
	OpHealth         = "health"
)

// access says what a route asks of the caller.
type access int

const (
	accessNone  access = iota // nothing, or the handler asks itself
	accessData                // an API key or a token
	accessToken               // a token: an API key is refused
	accessAdmin               // a token of an administrator of the platform
)

// route is one operation of the API.
type route struct {
	op      string
	method  string
	path    string // segments in braces are parameters
	gen     generation
	access  access
	handler func(*call) error
}

// routes are all operations that a server with these generations serves. The
// sandbox routes exist once for each family; what has no family answers as S does,
// unless there is only C.
func (s *Server) routes() []route {
	shared := s.sharedGen()
	all := []route{
		{OpSnapshotCreate, http.MethodPost, "/v1/snapshots", shared, accessData, s.createSnapshot},
		{OpSnapshotList, http.MethodGet, "/v1/snapshots", shared, accessData, s.listSnapshots},
		{OpSnapshotDelete, http.MethodDelete, "/v1/snapshots/{name}", shared, accessData, s.deleteSnapshot},
	}
	all = slices.Concat(all, s.peopleRoutes(shared), s.auditRoutes(shared), s.channelRoutes(shared), s.hostRoutes(shared))
	if s.cfg.Generations != Capsules {
		all = append(all, s.sandboxRoutes("/v1/sandboxes", genS)...)
	}
	if s.cfg.Generations != Sandboxes {
		all = append(all, s.sandboxRoutes("/v1/capsules", genC)...)
		all = append(all, route{OpHealth, http.MethodGet, "/health", genC, accessNone, s.health})
	}
	return all
}

// sharedGen is the generation of what has no path family.
func (s *Server) sharedGen() generation {
	if s.cfg.Generations == Capsules {
		return genC
	}
	return genS
}

func (s *Server) sandboxRoutes(base string, gen generation) []route {
	one := base + "/{id}"
	streamAccess := accessData
	if gen == genC {
		streamAccess = accessNone // checked after the upgrade
	}
	return []route{
		{OpCreate, http.MethodPost, base, gen, accessData, s.createSandbox},
		{OpList, http.MethodGet, base, gen, accessData, s.listSandboxes},
		{OpGet, http.MethodGet, one, gen, accessData, s.getSandbox},
		{OpDestroy, http.MethodDelete, one, gen, accessData, s.destroySandbox},
		{OpPause, http.MethodPost, one + "/pause", gen, accessData, s.pauseSandbox},
		{OpResume, http.MethodPost, one + "/resume", gen, accessData, s.resumeSandbox},
		{OpPing, http.MethodPost, one + "/ping", gen, accessData, s.pingSandbox},
		{OpExec, http.MethodPost, one + "/exec", gen, accessData, s.exec},
		{OpExecStream, http.MethodGet, one + "/exec/stream", gen, streamAccess, s.execStream},
		{OpUpload, http.MethodPost, one + "/files/write", gen, accessData, s.upload},
		{OpDownload, http.MethodPost, one + "/files/read", gen, accessData, s.download},
		{OpStreamUpload, http.MethodPost, one + "/files/stream/write", gen, accessData, s.streamUpload},
		{OpStreamDownload, http.MethodPost, one + "/files/stream/read", gen, accessData, s.streamDownload},
		{OpMetrics, http.MethodGet, one + "/metrics", gen, accessData, s.metrics},
	}
}

// router finds the route of a request. The standard library's does too much: it
// redirects paths to their clean form and writes bodies that the service does not.
type router struct{ routes []route }

// find returns the route and its parameters. Without a route, status is what to
// answer: 404, or 405 when only the method is wrong.
func (rt router) find(method, path string) (found *route, params map[string]string, status int) {
	status = http.StatusNotFound
	for i := range rt.routes {
		r := &rt.routes[i]
		// The service tolerates a trailing slash where there is no parameter.
		if !strings.Contains(r.path, "{") {
			path := strings.TrimSuffix(path, "/")
			if path != r.path {
				continue
			}
		} else if params = match(r.path, path); params == nil {
			continue
		}
		if r.method == method {
			return r, params, 0
		}
		status = http.StatusMethodNotAllowed
	}
	return nil, nil, status
}

// match returns the parameters of path, or nil when it is not of the pattern.
func match(pattern, path string) map[string]string {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil
	}
	params := map[string]string{}
	for i, w := range want {
		if strings.HasPrefix(w, "{") {
			if have[i] == "" {
				return nil
			}
			params[strings.Trim(w, "{}")] = have[i]
		} else if w != have[i] {
			return nil
		}
	}
	return params
}
