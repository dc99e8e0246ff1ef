package wrenndev

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"time"
)

// Generations says which path families a server has.
type Generations int

// The path families.
const (
	Both      Generations = iota // /v1/sandboxes and /v1/capsules
	Sandboxes                    // /v1/sandboxes only: an S server
	Capsules                     // /v1/capsules only: a C server
)

// Isolation says how sandboxes are kept apart from the host and each other.
type Isolation int

// The ways of isolation.
const (
	Auto       Isolation = iota // Namespaces where they work, else Directory
	Namespaces                  // namespaces and a root of its own; Start fails where they do not work
	Directory                   // a private directory and a process tree: no security border
)

// String names the isolation as the -isolation flag does.
func (i Isolation) String() string {
	switch i {
	case Namespaces:
		return "namespaces"
	case Directory:
		return "directory"
	default:
		return "auto"
	}
}

// Network says what sandboxes reach over the network.
type Network int

// The networks.
const (
	PrivateNetwork Network = iota // a loopback of its own for each sandbox, and nothing else
	HostNetwork                   // the host's: its loopback, and whatever the host reaches
)

// String names the network as the -network flag does.
func (n Network) String() string {
	if n == HostNetwork {
		return "host"
	}
	return "private"
}

// Team is a tenant: its sandboxes and snapshots are not there for other teams.
type Team struct {
	// Name tells teams apart in the configuration and across restarts.
	Name string
	// APIKeys of the team, "wrn_" and 32 hexadecimal digits each. One is generated,
	// and kept in the data directory, where there is none. They work at every start,
	// also those that were deleted before.
	APIKeys []string
}

// User can log in with POST /v1/auth/login, owns the teams of the configuration, and is
// an administrator of the platform. A login is for the first team.
type User struct {
	Email string // default dev@wrenn.local
	// Password is generated where empty. A given one is the user's at every start; a
	// generated one can be changed for good.
	Password string
}

// Config is what a [Server] is started with. The zero value is a server for tests:
// a free loopback port, a temporary data directory, both path families, one team.
type Config struct {
	// Addr to listen on, by default 127.0.0.1 with a free port. Only loopback
	// addresses are accepted.
	Addr string
	// DataDir holds the state and survives restarts. Without one, a temporary
	// directory is used and removed by Close. One server at a time can have it.
	DataDir string
	// Generations served. Behavior always follows the family of the path. What has none,
	// the port proxy among it, behaves as on S unless there is only C.
	Generations Generations
	// Teams, by default one named "dev".
	Teams []Team
	// User that can log in.
	User User
	// Templates are platform templates besides the built-in "minimal". All of them
	// start as an empty root.
	Templates []string
	// AdminToken guards the /_dev routes. Generated where empty.
	AdminToken string

	// BootDelay is added to every create while its row is pending.
	BootDelay time.Duration
	// Reconcile is how often the rows learn what happened to the machines. The
	// service takes 30 s (S) or 15 s (C); the default is 200 ms.
	Reconcile time.Duration
	// IdleCheck is how often the agent looks for idle sandboxes. The service takes
	// 2 s; the default is 100 ms.
	IdleCheck time.Duration
	// StreamLimit is when streams are cut: 600 s by default, as in the service.
	StreamLimit time.Duration
	// ExecLimit caps a synchronous exec on the C paths, and how long a terminal that is
	// connected to may print nothing: 45 s by default, as in the service. An exec on S
	// paths has StreamLimit.
	ExecLimit time.Duration
	// AuthWait is how long a stream on the C paths waits for its auth message: 5 s by default.
	AuthWait time.Duration
	// DeliveryLimit bounds one attempt to deliver an event to a channel: 10 s by default,
	// as in the service.
	DeliveryLimit time.Duration
	// DeliveryRetries are the waits before a failed delivery is tried again: 10 s and
	// then 30 s by default, as in the service.
	DeliveryRetries []time.Duration
	// PtyPing is how often the stream of a terminal gets a ping event: 30 s by default.
	PtyPing time.Duration
	// SampleEvery is the distance of metric samples: 500 ms by default.
	SampleEvery time.Duration
	// StatsEvery is the distance of the samples of what teams run: 10 s by default, as
	// in the service.
	StatsEvery time.Duration

	Isolation Isolation
	// Network of sandboxes in namespaces. Where there are none it is the host's.
	Network Network
	// Logger gets what an operator of the server wants to know. No request bodies and
	// no credentials. Discarded where nil.
	Logger *slog.Logger
}

var apiKeyForm = regexp.MustCompile(`^wrn_[0-9a-f]{32}$`)

// withDefaults checks the configuration and fills it in.
func (c Config) withDefaults() (Config, error) {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&c.Reconcile, 200*time.Millisecond)
	def(&c.IdleCheck, 100*time.Millisecond)
	def(&c.StreamLimit, 600*time.Second)
	def(&c.ExecLimit, 45*time.Second)
	def(&c.AuthWait, 5*time.Second)
	def(&c.PtyPing, 30*time.Second)
	def(&c.SampleEvery, 500*time.Millisecond)
	def(&c.DeliveryLimit, 10*time.Second)
	if c.DeliveryRetries == nil {
		c.DeliveryRetries = []time.Duration{10 * time.Second, 30 * time.Second}
	}
	def(&c.StatsEvery, 10*time.Second)
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if err := checkLoopback(c.Addr); err != nil {
		return c, err
	}
	if len(c.Teams) == 0 {
		c.Teams = []Team{{Name: "dev"}}
	}
	if c.User.Email == "" {
		c.User.Email = "dev@wrenn.local"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, c.check()
}

func (c Config) check() error {
	names, keys := map[string]bool{}, map[string]bool{}
	for _, t := range c.Teams {
		if t.Name == "" || names[t.Name] {
			return fmt.Errorf("team names must be given and differ: %q", t.Name)
		}
		names[t.Name] = true
		for _, k := range t.APIKeys {
			if !apiKeyForm.MatchString(k) {
				return fmt.Errorf("an API key of team %q is not wrn_ and 32 hexadecimal digits", t.Name)
			}
			if keys[k] {
				return errors.New("an API key is given twice")
			}
			keys[k] = true
		}
	}
	for _, t := range c.Templates {
		if !nameForm.MatchString(t) {
			return fmt.Errorf("template name %q is not %s", t, nameForm)
		}
	}
	return nil
}

// checkLoopback refuses addresses that other machines could reach: whoever reaches
// the server runs commands on this machine.
func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %q: %w", addr, err)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("address %q is not a loopback address: the server runs commands for whoever reaches it", addr)
	}
	return nil
}

// ParseGenerations reads a -generation flag: both, S or C.
func ParseGenerations(s string) (Generations, error) {
	switch strings.ToLower(s) {
	case "both", "":
		return Both, nil
	case "s", "sandboxes":
		return Sandboxes, nil
	case "c", "capsules":
		return Capsules, nil
	}
	return Both, fmt.Errorf("%q is none of both, S, C", s)
}

// ParseIsolation reads an -isolation flag.
func ParseIsolation(s string) (Isolation, error) {
	for _, i := range []Isolation{Auto, Namespaces, Directory} {
		if s == i.String() {
			return i, nil
		}
	}
	return Auto, fmt.Errorf("%q is none of auto, namespaces, directory", s)
}

// ParseNetwork reads a -network flag.
func ParseNetwork(s string) (Network, error) {
	for _, n := range []Network{PrivateNetwork, HostNetwork} {
		if s == n.String() {
			return n, nil
		}
	}
	return PrivateNetwork, fmt.Errorf("%q is none of private, host", s)
}
