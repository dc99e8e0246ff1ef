package controller

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

func TestIsNews(t *testing.T) {
	t.Parallel()
	ready := func(reason, message string) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: reason, Message: message}}
	}
	for name, tc := range map[string]struct {
		before, after []metav1.Condition
		want          bool
	}{
		"the first":             {nil, ready("A", ""), true},
		"none":                  {nil, nil, false},
		"another reason":        {ready("A", ""), ready("B", ""), true},
		"the same reason":       {ready("A", ""), ready("A", ""), false},
		"another message":       {ready("A", "one"), ready("A", "another"), false},
		"it is held from now":   {ready("A", "one"), ready("A", holdingText+"one"), true},
		"it is still held":      {ready("A", holdingText+"one"), ready("A", holdingText+"another"), false},
		"held for another":      {ready("A", holdingText+"one"), ready("B", holdingText+"one"), true},
		"it is held no longer":  {ready("A", holdingText+"one"), ready("A", "one"), false},
		"no condition any more": {ready("A", ""), nil, false},
	} {
		if got := isNews(tc.before, tc.after); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
