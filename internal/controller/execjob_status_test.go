package controller

import (
	"testing"
	"time"
)

func TestReadableDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                                     "0s",
		850*time.Millisecond + 1234:           "850ms",
		12*time.Second + 345*time.Millisecond: "12.3s",
		time.Minute + 10*time.Second:          "70s",
		5*time.Minute + 10*time.Second:        "5m10s",
		26 * time.Hour:                        "26h",
	} {
		if got := readable(d); got != want {
			t.Errorf("%v reads %q, want %q", d, got, want)
		}
	}
}
