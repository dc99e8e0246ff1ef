package main

import "slices"

// checks are all of them, in the order of the report.
func checks() []check {
	return slices.Concat(
		errorChecks, sandboxChecks, trapChecks, execChecks, streamChecks, fileChecks, processChecks, ptyChecks, snapshotChecks,
		proxyChecks, codeChecks, authChecks, keyChecks, teamChecks, hostChecks, auditChecks, channelChecks, buildChecks,
	)
}
