package wrenn

import (
	"context"
	"time"
)

// capsuleOnly are the operations on sandboxes that generation Capsules has and the other has not.
var capsuleOnly = []operation{
	{
		name: "usage", method: "GET", path: "/usage?from=2026-01-01&to=2026-01-02", status: 200,
		answer: `{"from":"2026-01-01","to":"2026-01-02","points":[{"date":"2026-01-02","cpu_minutes":1.5,"ram_mb_minutes":2}]}`,
		want: &Usage{
			From: at.Truncate(24*time.Hour).AddDate(0, 0, -1), To: at.Truncate(24 * time.Hour),
			Points: []UsagePoint{{Day: at.Truncate(24 * time.Hour), CPUMinutes: 1.5, MemoryMBMinutes: 2}},
		},
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.Sandboxes.Usage(ctx, at.AddDate(0, 0, -1), at)
		},
	},
}

func init() {
	for i := range capsuleOnly {
		capsuleOnly[i].only = GenerationCapsules
	}
}
