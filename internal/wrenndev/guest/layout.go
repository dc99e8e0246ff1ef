package guest

// The names in a sandbox's directory.
const (
	// RootDir is the private root directory.
	RootDir = "root"
	// LayersDir holds the writable layer of each system directory.
	LayersDir = "layers"
	// WorkDir holds the working directories of the overlays. It is no part of the
	// sandbox's content.
	WorkDir = "work"
)

// Secrets are the places below the system directories that a sandbox never sees.
var Secrets = []string{
	"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/security/opasswd",
	"/etc/ssh", "/etc/ssl/private", "/etc/kubernetes", "/etc/krb5.keytab", "/etc/wireguard",
	"/etc/rancher", "/etc/docker", "/etc/NetworkManager", "/etc/sudoers", "/etc/sudoers.d",
}

// EnvSandboxID is the variable that tells every command which sandbox it is in.
const EnvSandboxID = "WRENN_SANDBOX_ID"
