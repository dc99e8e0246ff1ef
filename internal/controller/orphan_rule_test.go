package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// idOf returns a valid id that begins with a letter.
func idOf(letter string) string { return "cl-" + letter + strings.Repeat("0", 25-len(letter)) }

func remotes(letters ...string) []wrenn.Sandbox {
	var list []wrenn.Sandbox
	for _, letter := range letters {
		list = append(list, wrenn.Sandbox{ID: idOf(letter), Status: wrenn.StatusRunning, Template: "minimal"})
	}
	return list
}

func claimsOn(letters ...string) *remoteClaims {
	claims := newRemoteClaims()
	for _, letter := range letters {
		claims.ids[idOf(letter)] = true
	}
	return claims
}

// TestOrphans looks at one list a minute, with a grace time of ten.
func TestOrphans(t *testing.T) {
	t.Parallel()
	const grace = 10
	type look struct {
		minute int
		list   []wrenn.Sandbox
		claims *remoteClaims
	}
	ended, stopped := remotes("a"), wrenn.StatusStopped
	ended[0].Status = stopped
	for name, tc := range map[string]struct {
		looks []look
		want  []string
	}{
		"one look":                    {[]look{{0, remotes("a"), claimsOn()}}, nil},
		"two looks, too close":        {[]look{{0, remotes("a"), claimsOn()}, {grace - 1, remotes("a"), claimsOn()}}, nil},
		"two looks":                   {[]look{{0, remotes("a"), claimsOn()}, {grace, remotes("a"), claimsOn()}}, []string{"a"}},
		"claimed":                     {[]look{{0, remotes("a", "b"), claimsOn("a")}, {grace, remotes("a", "b"), claimsOn("a")}}, []string{"b"}},
		"claimed in time":             {[]look{{0, remotes("a"), claimsOn()}, {grace, remotes("a"), claimsOn("a")}}, nil},
		"claimed in between":          {[]look{{0, remotes("a"), claimsOn()}, {5, remotes("a"), claimsOn("a")}, {grace, remotes("a"), claimsOn()}}, nil},
		"gone":                        {[]look{{0, remotes("a"), claimsOn()}, {grace, nil, claimsOn()}}, nil},
		"gone in between":             {[]look{{0, remotes("a"), claimsOn()}, {5, nil, claimsOn()}, {grace, remotes("a"), claimsOn()}}, nil},
		"let go of":                   {[]look{{0, remotes("a"), claimsOn("a")}, {grace, remotes("a"), claimsOn()}}, nil},
		"the same list twice":         {[]look{{0, remotes("a"), claimsOn()}, {0, remotes("a"), claimsOn()}}, nil},
		"an older list":               {[]look{{grace, remotes("a"), claimsOn()}, {0, remotes("a"), claimsOn()}}, nil},
		"listed twice over":           {[]look{{0, remotes("a", "a"), claimsOn()}, {grace, remotes("a", "a"), claimsOn()}}, []string{"a"}},
		"listed although it ended":    {[]look{{0, ended, claimsOn()}, {grace, ended, claimsOn()}}, nil},
		"of no form":                  {[]look{{0, []wrenn.Sandbox{{ID: "x"}, {}}, claimsOn()}, {grace, []wrenn.Sandbox{{ID: "x"}, {}}, claimsOn()}}, nil},
		"longest first":               {[]look{{0, remotes("b"), claimsOn()}, {1, remotes("a", "b"), claimsOn()}, {2 * grace, remotes("a", "b"), claimsOn()}}, []string{"b", "a"}},
		"some Sandbox is not legible": {[]look{{0, remotes("a"), &remoteClaims{unreadable: true}}, {grace, remotes("a"), &remoteClaims{unreadable: true}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen teamSight
			for _, look := range tc.looks {
				at := began.Add(time.Duration(look.minute) * time.Minute)
				seen = orphans(seen, orphanLook{list: look.list, listed: at, now: at, claims: look.claims})
			}
			var got []string
			for _, remote := range seen.ripe(grace * time.Minute) {
				got = append(got, remote.ID[3:4])
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("ripe: %v, want %v", got, tc.want)
			}
		})
	}
}

// A team is inhabited once its lists have shown remotes of Sandboxes for the grace time, without a break.
func TestOrphansOfAnInhabitedTeam(t *testing.T) {
	t.Parallel()
	var seen teamSight
	for minute, want := range []bool{0: false, 1: false, 2: true, 3: false, 4: false, 5: true} {
		claims, at := claimsOn("a"), began.Add(time.Duration(minute)*time.Minute)
		if minute == 0 || minute == 3 {
			claims = claimsOn()
		}
		if minute > 3 {
			at = at.Add(time.Minute)
		}
		seen = orphans(seen, orphanLook{list: remotes("a", "b"), listed: at, now: at, claims: claims})
		if got := seen.inhabited(time.Minute); got != want {
			t.Errorf("minute %d: inhabited is %v, want %v", minute, got, want)
		}
	}
}

func TestOrphanMark(t *testing.T) {
	t.Parallel()
	const cluster = 5
	for timeout, want := range map[int32]bool{
		0: false, 60: false, -1: false, math.MinInt32: false, math.MaxInt32: false,
		-(cluster<<24 | 1): true, -(cluster<<24 | 0xffffff): true, -(4<<24 | 0xffffff): false, -(6 << 24): false, cluster<<24 | 1: false,
	} {
		if got := marked(wrenn.Sandbox{TimeoutSec: timeout}, cluster); got != want {
			t.Errorf("%d: marked is %v, want %v", timeout, got, want)
		}
	}
	// One cluster in 128 has no bits. What people may write is not its mark either.
	for timeout, want := range map[int32]bool{-1: false, -86400: false, -leastToken: true, -0xffffff: true} {
		if got := marked(wrenn.Sandbox{TimeoutSec: timeout}, 0); got != want {
			t.Errorf("%d: marked is %v, want %v", timeout, got, want)
		}
	}
	var attempt [8]byte
	copy(attempt[:], "attempts")
	for cluster := range uint8(128) {
		if !marked(wrenn.Sandbox{TimeoutSec: -correlator(cluster, attempt)}, cluster) {
			t.Errorf("the tokens of cluster %d are not its mark", cluster)
		}
	}
}

func TestOrphanRights(t *testing.T) {
	t.Parallel()
	own, foreign := wrenn.Sandbox{Status: wrenn.StatusRunning, TimeoutSec: -correlator(5, [8]byte{1})}, wrenn.Sandbox{Status: wrenn.StatusPaused}
	spec := func(policy v1alpha1.OrphanPolicy, ownership v1alpha1.Ownership) *v1alpha1.ConnectionSpec {
		return &v1alpha1.ConnectionSpec{OrphanPolicy: policy, Ownership: ownership}
	}
	const reports, deletes = v1alpha1.OrphanPolicyReport, v1alpha1.OrphanPolicyDelete
	const shared, exclusive = v1alpha1.OwnershipShared, v1alpha1.OwnershipExclusive
	for name, tc := range map[string]struct {
		specs        []*v1alpha1.ConnectionSpec
		own, foreign bool
	}{
		"no connection":                   {nil, false, false},
		"one that is not there":           {[]*v1alpha1.ConnectionSpec{spec(deletes, exclusive), nil}, false, false},
		"without defaults":                {[]*v1alpha1.ConnectionSpec{{}}, false, false},
		"reports":                         {[]*v1alpha1.ConnectionSpec{spec(reports, exclusive)}, false, false},
		"deletes, shared":                 {[]*v1alpha1.ConnectionSpec{spec(deletes, shared)}, true, false},
		"deletes, exclusive":              {[]*v1alpha1.ConnectionSpec{spec(deletes, exclusive)}, true, true},
		"one of two reports":              {[]*v1alpha1.ConnectionSpec{spec(deletes, exclusive), spec(reports, exclusive)}, false, false},
		"one of two is shared":            {[]*v1alpha1.ConnectionSpec{spec(deletes, shared), spec(deletes, exclusive)}, true, false},
		"both delete, both are exclusive": {[]*v1alpha1.ConnectionSpec{spec(deletes, exclusive), spec(deletes, exclusive)}, true, true},
	} {
		rights := rightsOf(tc.specs)
		if got := rights.allow(own, 5); got != tc.own {
			t.Errorf("%s: own: %v, want %v", name, got, tc.own)
		}
		if got := rights.allow(foreign, 5); got != tc.foreign {
			t.Errorf("%s: foreign: %v, want %v", name, got, tc.foreign)
		}
	}
	for _, status := range []wrenn.Status{wrenn.StatusMissing, "odd"} {
		own.Status = status
		if (orphanRights{destroy: true, exclusive: true}).allow(own, 5) {
			t.Errorf("one that is %s may be destroyed", status)
		}
	}
}

// Whatever can lead to a remote claims it.
func TestRemoteClaims(t *testing.T) {
	t.Parallel()
	remote := wrenn.Sandbox{ID: idOf("a"), Status: wrenn.StatusRunning, Template: "minimal", TimeoutSec: -777}
	idler := remote
	idler.TimeoutSec = 60
	idle := int32(60)
	intent := func(i createIntent) map[string]string {
		text, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]string{v1alpha1.AnnotationCreateIntent: string(text)}
	}
	annotated := func(annotations map[string]string) v1alpha1.Sandbox {
		return v1alpha1.Sandbox{
			ObjectMeta: metav1.ObjectMeta{Annotations: annotations}, Spec: v1alpha1.SandboxSpec{IdleTimeoutSeconds: &idle},
		}
	}
	for name, tc := range map[string]struct {
		sandbox v1alpha1.Sandbox
		remote  wrenn.Sandbox
		want    bool
	}{
		"nothing":                    {v1alpha1.Sandbox{}, remote, false},
		"status":                     {v1alpha1.Sandbox{Status: v1alpha1.SandboxStatus{SandboxID: remote.ID}}, remote, true},
		"spec":                       {v1alpha1.Sandbox{Spec: v1alpha1.SandboxSpec{AdoptID: remote.ID}}, remote, true},
		"annotation":                 {annotated(map[string]string{v1alpha1.AnnotationSandboxID: remote.ID}), remote, true},
		"decision":                   {annotated(map[string]string{v1alpha1.AnnotationCreateOutcome: outcomeAdopt + remote.ID}), remote, true},
		"another":                    {v1alpha1.Sandbox{Status: v1alpha1.SandboxStatus{SandboxID: idOf("b")}}, remote, false},
		"its token":                  {annotated(intent(createIntent{Token: 777})), remote, true},
		"another token":              {annotated(intent(createIntent{Token: 778})), remote, false},
		"no token":                   {annotated(intent(createIntent{Template: "minimal"})), idler, true},
		"no token, long ago":         {annotated(intent(createIntent{Template: "minimal", Time: time.Unix(0, 0)})), idler, true},
		"no token, another template": {annotated(intent(createIntent{Template: "python"})), idler, false},
		"no token, another timeout":  {annotated(intent(createIntent{Template: "minimal"})), remote, false},
		"damaged":                    {annotated(map[string]string{v1alpha1.AnnotationCreateIntent: "{"}), remote, true},
	} {
		claims := newRemoteClaims()
		claims.add(&tc.sandbox)
		if got := claims.cover(tc.remote); got != tc.want {
			t.Errorf("%s: claimed is %v, want %v", name, got, tc.want)
		}
	}
}

// pagedReader serves Sandboxes one a page, and fails from some page on.
type pagedReader struct {
	client.Reader
	pages, failAt int
}

func (p pagedReader) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var given client.ListOptions
	given.ApplyOptions(options)
	page := 0
	if given.Continue != "" {
		_, _ = fmt.Sscan(given.Continue, &page)
	}
	if page == p.failAt {
		return errors.New("the list has expired")
	}
	into, ok := list.(*v1alpha1.SandboxList)
	if !ok {
		return errors.New("not of Sandboxes")
	}
	into.Items = []v1alpha1.Sandbox{{Status: v1alpha1.SandboxStatus{SandboxID: idOf(string(rune('a' + page)))}}}
	if page+1 < p.pages {
		into.Continue = fmt.Sprint(page + 1)
	}
	return nil
}

func TestStoredClaimsAreReadToTheEnd(t *testing.T) {
	t.Parallel()
	claims, err := storedClaims(t.Context(), pagedReader{pages: 3, failAt: -1})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(claims.ids)), []string{idOf("a"), idOf("b"), idOf("c")}; !slices.Equal(got, want) {
		t.Errorf("ids: %v, want %v", got, want)
	}
	if claims, err := storedClaims(t.Context(), pagedReader{pages: 3, failAt: 2}); err == nil {
		t.Errorf("a list with a page missing was taken for whole: %v", claims.ids)
	}
}
