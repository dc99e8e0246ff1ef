package wrenn

import "regexp"

var (
	templateNameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	sandboxIDForm    = regexp.MustCompile(`^cl-[0-9a-z]{25}$`)
)

// ValidTemplateName reports whether the service accepts name for a template or a snapshot: 1 to 64 letters, digits,
// dots, underscores and hyphens, the first of them a letter or a digit.
func ValidTemplateName(name string) bool { return templateNameForm.MatchString(name) }

// ValidSandboxID reports whether id has the form of a sandbox id: "cl-" and 25 lowercase base36 digits. Both generations
// use it.
func ValidSandboxID(id string) bool { return sandboxIDForm.MatchString(id) }
