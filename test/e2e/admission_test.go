package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// apply has kubectl apply a manifest and returns what it says.
func apply(ctx context.Context, namespace, manifest string) (string, error) {
	output, err := site.Shell(ctx, fmt.Sprintf("kubectl apply -n %s -f - <<'EOF'\n%s\nEOF", namespace, manifest)).CombinedOutput()
	return string(output), err
}

// manifest is an object with a spec given in YAML's flow style.
func manifest(kind, name, spec string) string {
	return fmt.Sprintf("apiVersion: wrenn.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: %s", kind, name, spec)
}

const sandboxRef = "sandboxRef: {name: box}"

var _ = Describe("Bad input", func() {
	DescribeTable("is refused at admission, with what to do",
		func(ctx context.Context, kind, spec, want string) {
			output, err := apply(ctx, "default", manifest(kind, "bad", spec))
			Expect(err).To(HaveOccurred(), "it was admitted: %s", output)
			Expect(output).To(ContainSubstring(want))
		},
		Entry("two sources", "Sandbox", "{template: a, snapshotRef: {name: b}}", "set template or snapshotRef, not both"),
		Entry("a template that Wrenn would refuse", "Sandbox", "{template: 'no spaces'}", "template must be a Wrenn template name"),
		Entry("no processor", "Sandbox", "{vcpus: 0}", "greater than or equal to 1"),
		Entry("too many processors", "Sandbox", "{vcpus: 1000}", "less than or equal to 128"),
		Entry("too little memory", "Sandbox", "{memoryMiB: 1}", "greater than or equal to 128"),
		Entry("a negative timeout", "Sandbox", "{idleTimeoutSeconds: -1}", "greater than or equal to 0"),
		Entry("a mode that is none", "Sandbox", "{operatingMode: Asleep}", "Unsupported value"),
		Entry("a port that is none", "Sandbox", "{ports: [{name: web, port: 70000}]}", "less than or equal to 65535"),
		Entry("the name of a port", "Sandbox", "{ports: [{name: Web!, port: 80}]}", "should match"),
		Entry("a port twice", "Sandbox", "{ports: [{name: web, port: 80}, {name: web, port: 81}]}", "Duplicate value"),
		Entry("a snapshot of nothing", "Snapshot", "{}", "sandboxRef"),
		Entry("a snapshot name that Wrenn would refuse", "Snapshot", "{"+sandboxRef+", snapshotName: -x}", "snapshotName must be a Wrenn template name"),
		Entry("neither command nor script nor code", "ExecJob", "{"+sandboxRef+"}", "set exactly one of command (an argv), script (a text for /bin/sh) and code"),
		Entry("both command and script", "ExecJob", "{"+sandboxRef+", command: [a], script: b}", "set exactly one of command (an argv), script (a text for /bin/sh) and code"),
		Entry("an empty program", "ExecJob", "{"+sandboxRef+", command: ['']}", "must not be empty"),
		Entry("a relative directory", "ExecJob", "{"+sandboxRef+", script: a, workingDir: src}", "workingDir must be an absolute path"),
		Entry("a variable without value", "ExecJob", "{"+sandboxRef+", script: a, env: [{name: A}]}", "set exactly one of value, secretKeyRef and configMapKeyRef"),
		Entry("a variable with two values", "ExecJob", "{"+sandboxRef+", script: a, env: [{name: A, value: b, secretKeyRef: {name: s, key: k}}]}", "set exactly one of value, secretKeyRef and configMapKeyRef"),
		Entry("the name of a variable", "ExecJob", "{"+sandboxRef+", script: a, env: [{name: A-B, value: c}]}", "the name of a variable must be"),
		Entry("a deadline of nothing", "ExecJob", "{"+sandboxRef+", script: a, activeDeadlineSeconds: 0}", "greater than or equal to 1"),
		Entry("no credential", "Connection", "{endpoint: 'https://w.example'}", "set exactly one of apiKeySecretRef"),
		Entry("two credentials", "Connection", "{endpoint: 'https://w.example', apiKeySecretRef: {name: a, key: b}, tokenSecretRef: {name: a, key: b}}", "set exactly one of apiKeySecretRef"),
		Entry("an endpoint that is none", "Connection", "{endpoint: 'ftp://w.example', apiKeySecretRef: {name: a, key: b}}", "endpoint must be an http or https URL"),
		Entry("an endpoint with a password", "Connection", "{endpoint: 'https://u:p@w.example', apiKeySecretRef: {name: a, key: b}}", "put the credential into a Secret"),
		Entry("limits of nothing", "ClusterConnection", "{endpoint: 'https://w.example', apiKeySecretRef: {name: a, key: b}, limits: {requestsPerSecond: 0}}", "greater than or equal to 1"),
	)

	DescribeTable("changes of what is immutable are refused, with what to do",
		func(ctx context.Context, kind, before, after, want string) {
			name := "fixed-" + strings.ToLower(kind)
			output, err := apply(ctx, "default", manifest(kind, name, before))
			Expect(err).NotTo(HaveOccurred(), output)
			DeferCleanup(func(ctx context.Context) {
				output, err := site.Shell(ctx, "kubectl delete --wait=false "+strings.ToLower(kind)+" "+name).CombinedOutput()
				Expect(err).NotTo(HaveOccurred(), string(output))
			})
			output, err = apply(ctx, "default", manifest(kind, name, after))
			Expect(err).To(HaveOccurred(), "it was admitted: %s", output)
			Expect(output).To(ContainSubstring(want))
		},
		Entry("a template", "Sandbox", "{template: a}", "{template: b}", "template is immutable: create another Sandbox"),
		Entry("a source", "Sandbox", "{template: a}", "{snapshotRef: {name: b}}", "template is immutable"),
		Entry("a snapshot", "Sandbox", "{snapshotRef: {name: a}}", "{snapshotRef: {name: b}}", "snapshotRef is immutable"),
		Entry("processors", "Sandbox", "{vcpus: 1}", "{vcpus: 2}", "vcpus is immutable"),
		Entry("memory", "Sandbox", "{memoryMiB: 512}", "{memoryMiB: 1024}", "memoryMiB is immutable"),
		Entry("an idle timeout", "Sandbox", "{idleTimeoutSeconds: 1}", "{idleTimeoutSeconds: 2}", "idleTimeoutSeconds is immutable"),
		Entry("a source", "Snapshot", "{sandboxRef: {name: a}}", "{sandboxRef: {name: b}}", "sandboxRef is immutable"),
		Entry("a snapshot name", "Snapshot", "{"+sandboxRef+"}", "{"+sandboxRef+", snapshotName: b}", "snapshotName is immutable"),
		Entry("a job", "ExecJob", "{"+sandboxRef+", script: a}", "{"+sandboxRef+", script: b}", "what an ExecJob runs is immutable: create another"),
	)
})
