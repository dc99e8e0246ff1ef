package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/localrun"
)

const (
	killing   = time.Minute
	killEvery = 2 * time.Second
	// killGrace is the least that a manager is given once it is ready, on a machine that takes its time to start it.
	killGrace = time.Second
)

// shortLease has a standby take over from a dead leader within seconds, and no leader lose its lease on a slow machine.
var shortLease = []string{
	"--leader-elect-lease-duration=5s", "--leader-elect-renew-deadline=4s", "--leader-elect-retry-period=500ms",
}

var _ = Describe("A manager that is killed every two seconds", func() {
	It("has 200 jobs run once each, and loses nothing of what they write", func(ctx context.Context) {
		const jobs, sandboxes = 200, 20
		k := &killer{alone: []string{"--leader-elect=false"}}
		startManager(ctx, k.alone...)
		k.namespace = newNamespace(ctx)
		k.limitStreams(ctx, 30)
		DeferCleanup(func(ctx context.Context) {
			if manager == nil { // for what is left to be deleted
				startManager(ctx, k.alone...)
			}
		})
		boxes := map[string]*v1alpha1.Sandbox{}
		for i := range sandboxes {
			box := newSandbox(k.namespace, fmt.Sprint("box-", i))
			boxes[box.Name] = box
			Expect(api.Create(ctx, box)).To(Succeed())
		}
		for _, box := range boxes {
			awaitReason(ctx, box, v1alpha1.ReasonRunning)
		}

		By("killing it, again and again")
		begun, made := time.Now(), 0
		for passed := time.Duration(0); passed < killing || made < jobs; passed = time.Since(begun) {
			for ; made < jobs && time.Duration(made)*killing < jobs*(passed+killEvery); made++ {
				Expect(api.Create(ctx, newChore(k.namespace, made, sandboxes))).To(Succeed())
			}
			switch {
			case k.changes == 0 && passed > killing/4:
				k.leaderIsKilled(ctx)
			case k.changes == 1 && passed > killing/2:
				k.leaderIsFrozen(ctx)
			default:
				k.kill(ctx)
				startManager(ctx, k.alone...)
			}
		}
		Expect(k.changes).To(Equal(2))
		Expect(k.met).NotTo(BeZero(), "no kill has met a job that ran")
		AddReportEntry("kills", fmt.Sprintf("%d, which met %d running jobs", k.kills, k.met))

		By("letting the last one finish")
		finished := awaitChores(ctx, k.namespace)
		Expect(finished).To(HaveLen(sandboxes))
		for name, box := range boxes {
			judge(ctx, box, finished[name])
			info, _ := site.Wrenn.Sandbox(box.Status.SandboxID)
			Expect(info.Processes).To(BeZero(), "processes are left in "+name)
		}
	})
})

// killer kills managers.
type killer struct {
	namespace string
	// alone has a manager work without a lease.
	alone []string
	// last is when a manager was killed last.
	last time.Time
	// kills counts them, met the jobs that ran then, and changes those of the leader.
	kills, met, changes int
}

// limitStreams has so many commands run at a time: a small machine can do no more.
func (k *killer) limitStreams(ctx context.Context, limit int32) {
	GinkgoHelper()
	connection := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: "default"}}
	before := connection.DeepCopy()
	connection.Spec.Limits.ConcurrentStreams = limit
	Expect(api.Patch(ctx, connection, client.MergeFrom(before))).To(Succeed())
}

// kill kills the manager when it is time to.
func (k *killer) kill(ctx context.Context) {
	GinkgoHelper()
	time.Sleep(max(killGrace, killEvery-time.Since(k.last))) // a kill waits for nothing
	k.count(ctx)
	killManager()
}

// count notes a kill.
func (k *killer) count(ctx context.Context) {
	GinkgoHelper()
	for _, job := range choresOf(ctx, Default, k.namespace) {
		k.met += int(job.Status.Active)
	}
	k.last = time.Now()
	k.kills++
}

// leaderIsKilled has the manager followed by a leader, and that, when it is killed, by another one that stood by.
func (k *killer) leaderIsKilled(ctx context.Context) {
	GinkgoHelper()
	leader := k.lead(ctx)
	standby := k.standBy(ctx)
	k.kill(ctx)
	awaitOtherLeader(ctx, leader)
	manager = standby
	k.changed()
}

// leaderIsFrozen is the same with a leader that is not dead, but halted until another one has taken over. Then there are
// two that take themselves for the leader, for a moment.
func (k *killer) leaderIsFrozen(ctx context.Context) {
	GinkgoHelper()
	leader := k.lead(ctx)
	old := manager
	standby := k.standBy(ctx)
	time.Sleep(max(killGrace, killEvery-time.Since(k.last))) // as for a kill
	k.count(ctx)
	Expect(old.Freeze()).To(Succeed())
	awaitOtherLeader(ctx, leader)
	Expect(old.Thaw()).To(Succeed())
	Eventually(old.Done()).Should(BeClosed(), "the old leader goes on")
	manager = standby
	k.changed()
}

// changed notes a new leader, which is given the time of a manager.
func (k *killer) changed() {
	k.changes++
	k.last = time.Now()
}

// lead has the manager followed by one that is the leader, and returns that one's name in the lease.
func (k *killer) lead(ctx context.Context) string {
	GinkgoHelper()
	before := leader(ctx)
	k.kill(ctx)
	startManager(ctx, shortLease...)
	DeferCleanup(manager.Kill)
	return awaitOtherLeader(ctx, before)
}

// standBy starts a manager that waits for the lease.
func (k *killer) standBy(ctx context.Context) *localrun.Manager {
	GinkgoHelper()
	standby, err := site.StartManager(ctx, program, append(append([]string{}, hurried...), shortLease...)...)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(standby.Kill)
	return standby
}

// awaitOtherLeader waits until somebody else than the one that is named has the lease, and returns who.
func awaitOtherLeader(ctx context.Context, than string) string {
	GinkgoHelper()
	Eventually(func() string { return leader(ctx) }).ShouldNot(Or(BeEmpty(), Equal(than)), "nobody takes over")
	return leader(ctx)
}

// leader is who has the lease, or had it last.
func leader(ctx context.Context) string {
	GinkgoHelper()
	var lease coordinationv1.Lease
	key := client.ObjectKey{Namespace: localrun.OperatorNamespace, Name: localrun.LeaseName}
	Expect(client.IgnoreNotFound(api.Get(ctx, key, &lease))).To(Succeed())
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}
