package wrenndev

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// CodeRunnerTemplate is the template that clients start code interpreters from.
const CodeRunnerTemplate = "code-runner-beta"

// CodeRunnerPort is where the Jupyter server of a code interpreter listens, inside the sandbox.
const CodeRunnerPort = 8888

// CodeRunner is the build of [CodeRunnerTemplate]: a Jupyter server that asks for no
// token, with a Python kernel. Both come from the host, where Debian has them in the
// packages jupyter-server, python3-ipykernel and python3-jupyter-client; without them
// the build fails.
func CodeRunner() TemplateBuild {
	port := strconv.Itoa(CodeRunnerPort)
	return TemplateBuild{
		Name: CodeRunnerTemplate,
		Recipe: []string{
			"RUN python3 -c 'import ipykernel, jupyter_client, jupyter_server'",
			"START " + strings.Join([]string{
				"exec jupyter-server", "--ip=0.0.0.0", "--port=" + port, "--ServerApp.port_retries=0", "--no-browser", "--allow-root",
				"--ServerApp.token=", "--ServerApp.password=", "--ServerApp.disable_check_xsrf=True",
				"--ServerApp.allow_origin='*'", "--ServerApp.allow_remote_access=True",
			}, " "),
		},
		Healthcheck: "--interval=250ms --timeout=5s --retries=240 " +
			`python3 -c 'import urllib.request as r; r.urlopen("http://127.0.0.1:` + port + `/api/status", timeout=4)'`,
		VCPUs: 1, MemoryMB: 1024,
	}
}

// BuildCodeRunner makes [CodeRunnerTemplate] unless it is there already. It refuses to
// without namespaces: whoever reaches the Jupyter server runs code as its user.
func (s *Server) BuildCodeRunner(ctx context.Context) error {
	if _, ok := s.platformTemplate(CodeRunnerTemplate); ok {
		return nil
	}
	if s.Isolation() != Namespaces {
		return errors.New("wrenn-dev: the code interpreter needs sandboxes with namespaces")
	}
	if err := s.Build(ctx, CodeRunner()); err != nil {
		return fmt.Errorf("wrenn-dev: %w", err)
	}
	return nil
}
