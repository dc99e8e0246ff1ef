package main

import (
	"context"
	"fmt"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// nothingIsLeft asks the embedded Wrenn for the truth: not what the operator believes, but what is there.
func (s *stage) nothingIsLeft(ctx context.Context) error {
	made, there := s.site.Wrenn.Sandboxes(), 0
	for _, sandbox := range made {
		if sandbox.Machine || sandbox.Files || (sandbox.Status != "stopped" && sandbox.Status != "error") {
			there++
		}
	}
	processes := s.site.Wrenn.LiveProcesses()
	snapshots, err := s.remoteSnapshots(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("# What the embedded Wrenn has of it: %d of %d sandboxes, %d snapshots, %d processes.\n",
		there, len(made), snapshots, processes)
	if there > 0 || snapshots > 0 || processes > 0 {
		return fmt.Errorf("left behind: %d sandboxes, %d snapshots, %d processes", there, snapshots, processes)
	}
	return nil
}

// remoteSnapshots counts the team's snapshots.
func (s *stage) remoteSnapshots(ctx context.Context) (int, error) {
	credential, err := wrenn.APIKey(s.site.Wrenn.APIKey())
	if err != nil {
		return 0, err
	}
	client, err := wrenn.New(s.site.Wrenn.URL(), credential)
	if err != nil {
		return 0, err
	}
	defer client.CloseIdleConnections()
	list, err := client.Snapshots.List(ctx)
	if err != nil {
		return 0, err
	}
	count := 0
	for _, snapshot := range list {
		if !snapshot.Platform {
			count++
		}
	}
	return count, nil
}
