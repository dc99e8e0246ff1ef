// Package connection turns Connections into something that can be talked to.
//
// A Pool holds one Team for each credential in use, however many connections share it: one client, one rate limiter,
// one bound on creates under way, and one poller that reads the list of the team's sandboxes. What the poller and the
// controllers' own calls have seen is kept in the Team's inventory, so that a thousand idle sandboxes cost one LIST an
// interval and no GET.
//
// A Resolver finds the connection that an object in a namespace may use, and its Team.
package connection
