package main

// scenes are what the demo shows, in order.
var scenes = []scene{
	{title: "Connect a namespace to a Wrenn team", steps: []step{
		{
			say:  "The API key goes into a Secret, and only the operator ever uses it.",
			line: `kubectl create secret generic wrenn-api-key --from-file=api-key="$WRENN_KEY_FILE"`,
		},
		{
			say:  "The sample names the public service; here it is the embedded one.",
			line: `sed "s|https://app.wrenn.dev/api|$WRENN_ENDPOINT|" config/samples/connection.yaml | kubectl apply -f -`,
		},
		{line: `kubectl wait --for=condition=Ready connection/default --timeout=60s`},
		{line: `kubectl get connections`, expect: []string{"Connected"}},
	}},
	{title: "A sandbox from a manifest", steps: []step{
		{line: `kubectl apply -f config/samples/sandbox.yaml`},
		{line: `kubectl wait --for=condition=Ready sandbox/workspace --timeout=60s`},
		{line: `kubectl get sandboxes`, expect: []string{"Running", "running"}},
	}},
	{title: "A command run in it", steps: []step{
		{line: `kubectl apply -f config/samples/execjob.yaml`},
		{line: `kubectl wait --for=condition=Complete execjob/hello --timeout=60s`},
		{line: `kubectl get execjobs`, expect: []string{"Succeeded"}},
		{
			say:    "The end of its output is in status.",
			line:   `kubectl get execjob hello -o jsonpath='{.status.stdoutTail}'`,
			expect: []string{"hosts.txt"},
		},
	}},
	{title: "Pause and resume, with a process at work", steps: []step{
		{say: "A script that counts to ten, half a second for each line.", line: `kubectl apply -f config/samples/execjob-script.yaml`},
		{line: `kubectl wait --for=jsonpath='{.status.pid}' execjob/count --timeout=60s`},
		{line: `kubectl patch sandbox workspace --type=merge -p '{"spec":{"operatingMode":"Paused"}}'`},
		{line: `kubectl wait --for=jsonpath='{.status.state}'=paused sandbox/workspace --timeout=60s`},
		{
			say:    "It is Ready, because it is what its spec asks for. The script is frozen in the middle.",
			line:   `kubectl get sandbox/workspace execjob/count`,
			expect: []string{"Paused", "paused"},
		},
		{line: `kubectl patch sandbox workspace --type=merge -p '{"spec":{"operatingMode":"Running"}}'`},
		{line: `kubectl wait --for=condition=Complete execjob/count --timeout=60s`},
		{
			say:    "One process wrote all of it: it was stopped and went on. The whole output is in a ConfigMap.",
			line:   `kubectl get configmap count-output-0 -o jsonpath='{.binaryData.stdout}' | base64 -d`,
			expect: []string{"line 1 of 10", "line 10 of 10"},
		},
		{
			line:   `kubectl get execjob count -o jsonpath='exit code {.status.exitCode}, attempts {.status.attempts}, stderr: {.status.stderrTail}'`,
			expect: []string{"exit code 0, attempts 1, stderr: counted to 10"},
		},
	}},
	{title: "A snapshot, and another sandbox that starts from it", steps: []step{
		{line: `kubectl apply -f config/samples/snapshot.yaml -f config/samples/sandbox-from-snapshot.yaml`},
		{line: `kubectl wait --for=condition=Ready snapshot/workspace-1 sandbox/workspace-copy --timeout=60s`},
		{line: `kubectl get snapshots,sandboxes`, expect: []string{"Taken", "workspace-copy"}},
		{say: "The files of the one are in the other.", line: look},
		{line: `kubectl wait --for=condition=Complete execjob/look --timeout=60s`},
		{line: `kubectl get execjob look -o jsonpath='{.status.stdoutTail}'`, expect: []string{"10 lines.txt"}},
	}},
	{title: "What is wrong is said at once", steps: []step{
		{line: wrongSandbox, refused: true, expect: []string{"set template or snapshotRef, not both"}},
		{
			line:    `kubectl patch sandbox workspace --type=merge -p '{"spec":{"vcpus":2}}'`,
			refused: true, expect: []string{"vcpus is immutable"},
		},
	}},
}

// farewell is the last scene.
var farewell = scene{title: "Deleting the objects destroys everything", steps: []step{
	{
		line:   `kubectl delete execjobs,snapshots,sandboxes --all --cascade=foreground --timeout=60s`,
		expect: []string{`"workspace"`, `"workspace-copy"`, `"workspace-1"`, `"count"`},
	},
	{line: `kubectl get execjobs,snapshots,sandboxes`, expect: []string{"No resources found"}},
	{line: `kubectl get configmaps -l wrenn.dev/execjob`, expect: []string{"No resources found"}},
}}

const look = `kubectl apply -f - <<EOF
apiVersion: wrenn.dev/v1alpha1
kind: ExecJob
metadata: {name: look}
spec:
  sandboxRef: {name: workspace-copy}
  command: [wc, -l, lines.txt]
EOF`

const wrongSandbox = `kubectl apply -f - <<EOF
apiVersion: wrenn.dev/v1alpha1
kind: Sandbox
metadata: {name: wrong}
spec:
  template: minimal
  snapshotRef: {name: workspace-1}
EOF`
