package main

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// remoteScenarios are about remotes that come from elsewhere, or go without having been told to.
func remoteScenarios() []scenario {
	recreates := func(s *v1alpha1.Sandbox) { s.Spec.RecoveryPolicy = v1alpha1.RecoveryPolicyRecreate }
	orphans := func(s *v1alpha1.Sandbox) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan }
	replaced := func(obj client.Object) bool {
		sandbox, ok := obj.(*v1alpha1.Sandbox)
		return ok && sandbox.Status.Recreations > 0
	}
	rival := named[v1alpha1.Sandbox]("rival")
	return []scenario{
		{
			name:   "recreate",
			before: readyBox(recreates),
			during: []step{destroyedByHand("box"), until(box, v1alpha1.ReasonRunning, replaced)},
		},
		{
			name:   "recreate-paused",
			before: readyBox(recreates),
			during: []step{destroyedByHand("box"), edit("box", mode(v1alpha1.OperatingModePaused)), until(box, v1alpha1.ReasonPaused, replaced)},
		},
		{
			name:   "recreate-idling",
			before: readyBox(recreates, idling(3600)),
			during: []step{lostBy("box"), until(box, v1alpha1.ReasonRunning, replaced)},
		},
		{
			name:   "repair", // nothing has run in it yet: it is replaced whatever the policy says
			before: readyBox(),
			during: []step{destroyedByHand("box"), until(box, v1alpha1.ReasonRunning, replaced)},
		},
		{
			name:   "lose",
			before: append(readyBox(), used("box")),
			during: []step{destroyedByHand("box"), reason(box, v1alpha1.ReasonLost)},
		},
		{
			name:   "drift",
			before: readyBox(),
			during: []step{pausedByHand("box"), met("wrenn.resume"), reason(box, v1alpha1.ReasonRunning)},
		},
		{
			name:   "adopt",
			before: []step{connected(), madeByHand()},
			during: []step{adopter("box"), reason(box, v1alpha1.ReasonRunning)},
		},
		{
			name:   "adopt-contested",
			before: []step{connected(), madeByHand(), adopter("box"), until(box, v1alpha1.ReasonRunning, recorded)},
			during: []step{adopter("rival"), reason(rival, v1alpha1.ReasonSandboxClaimed), deletes("rival"), gone(rival)},
		},
		{
			name:   "move",
			before: []step{connected(), madeByHand(), adopter("old", orphans), until(named[v1alpha1.Sandbox]("old"), v1alpha1.ReasonRunning, recorded)},
			during: []step{deletes("old"), gone(named[v1alpha1.Sandbox]("old")), adopter("box"), reason(box, v1alpha1.ReasonRunning)},
		},
	}
}
