package controller

import (
	"context"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/execrun"
)

// ExecJobReconciler has each ExecJob's command run once in its Sandbox, keeps what it writes, and leaves nothing of it in
// the guest when the job is finished or deleted.
type ExecJobReconciler struct {
	client.Client
	// Direct reads and writes the API server itself: Secrets, which are not cached, and the output.
	Direct client.Client
	// Resolver finds the remote of a Sandbox.
	Resolver *connection.Resolver
	// Recorder records events.
	Recorder events.EventRecorder
	// OperatorNamespace is where the Secrets of ClusterConnections are.
	OperatorNamespace string
	// Metrics counts what is done; nil has nobody see it.
	Metrics *Metrics
	// Pace is execrun.DefaultPace where zero.
	Pace execrun.Pace
	// Timing is DefaultExecJobTiming where zero.
	Timing ExecJobTiming

	runner  *execrun.Runner
	wakeups *wakeups
	// commands are what running jobs run, by UID: what they refer to is read once.
	commands sync.Map
	// recorded are the attempts that this process is certain to have recorded, by UID: nobody else has started them.
	recorded sync.Map
}

// +kubebuilder:rbac:groups=wrenn.dev,resources=execjobs,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups=wrenn.dev,resources=execjobs/status,verbs=patch
// +kubebuilder:rbac:groups=wrenn.dev,resources=execjobs/finalizers,verbs=update
// +kubebuilder:rbac:groups=wrenn.dev,resources=sandboxes,verbs=create
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;create;update;delete

// SetupWithManager adds the controller and its runner to a manager. The indexes must be there.
func (r *ExecJobReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Timing == (ExecJobTiming{}) {
		r.Timing = DefaultExecJobTiming
	}
	if r.Metrics == nil {
		r.Metrics = NewMetrics()
	}
	r.wakeups = &wakeups{}
	r.runner = execrun.NewRunner(execrun.Config{
		Client: r.Direct, Reader: r.Direct, Notify: r.wakeups.wake, Log: logf.Log.WithName("execrun"), Pace: r.Pace,
		Streams: r.Metrics.streams,
	})
	if err := mgr.Add(r.runner); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("execjob").
		For(&v1alpha1.ExecJob{}, builder.WithPredicates(specOrMetadataChanged())).
		WatchesRawSource(r.wakeups).
		Watches(&v1alpha1.Sandbox{}, handler.EnqueueRequestsFromMapFunc(r.jobsOfSandbox)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 8}).
		Complete(r)
}

// Reconcile takes an ExecJob one step towards its end.
func (r *ExecJobReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var job v1alpha1.ExecJob
	if err := r.Get(ctx, req.NamespacedName, &job); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !job.DeletionTimestamp.IsZero() && !hasFinalizer(&job) {
		r.forget(job.UID)
		return ctrl.Result{}, nil
	}
	view, err := r.observe(ctx, &job)
	if err != nil {
		return ctrl.Result{}, err
	}
	stands, err := r.perform(ctx, view, planExecJob(view.observed))
	if err != nil {
		return retryConflict(err)
	}
	stands = stands.atTheLatest(view.again)
	if stands.quiet {
		return stands.result(), nil
	}
	describeJob(view, stands)
	if err := writeStatus(ctx, r.Client, &job, view.before); err != nil {
		return retryConflict(err)
	}
	if view.records {
		r.recorded.Store(job.UID, job.Status.Attempts)
	}
	announce(r.Recorder, &job, view.before.Status.Conditions, job.Status.Conditions)
	if ended := endedAttempt(view); ended != "" {
		r.Metrics.attempted(ended)
	}
	return stands.result(), nil
}

// perform does what the plan says and returns where the ExecJob stands then.
func (r *ExecJobReconciler) perform(ctx context.Context, view *jobView, action jobAction) (standing, error) {
	switch action {
	case jobAwaitSandbox:
		return awaitSandbox(view), nil
	case jobMakeSandbox:
		return r.makeSandbox(ctx, view)
	case jobEndSandbox:
		return r.endSandbox(ctx, view)
	case jobWake:
		return r.wake(ctx, view)
	case jobAwaitEnv:
		return working(view.missing.Reason, view.missing.Message).after(envInterval), nil
	case jobAwaitTime:
		return awaitTime(view), nil
	case jobHold:
		return hold(view), nil
	case jobClaim:
		return r.claim(ctx, view)
	case jobRecord:
		return r.record(view), nil
	case jobFollow:
		return r.follow(view), nil
	case jobStop:
		return r.stop(view), nil
	case jobWithdraw:
		return r.withdraw(view), nil
	case jobRetry:
		return r.retry(view), nil
	case jobConclude:
		return conclude(view), nil
	case jobConcludeLost:
		return concludeLost(view), nil
	case jobConcludeAsleep:
		return asleep(view), nil
	case jobConcludeOverdue:
		return overdue(view), nil
	case jobClean:
		r.runner.Ensure(view.attempt(r), execrun.Clean)
		return unchanged(), nil
	case jobDiscard:
		return r.discard(view), nil
	case jobLetGo:
		return r.letGo(ctx, view)
	case jobDelete:
		return r.deleteObject(ctx, view)
	default:
		return restFinished(view), nil
	}
}

// forget drops what is known of a job that is finished with.
func (r *ExecJobReconciler) forget(uid types.UID) {
	r.runner.Forget(uid)
	r.commands.Delete(uid)
	r.recorded.Delete(uid)
}

// jobsOfSandbox are those that a change of their Sandbox may concern. One of a job's own that appears when the job is
// finished, because the cache was behind or its creation was under way for long, is still to be ended.
func (r *ExecJobReconciler) jobsOfSandbox(ctx context.Context, obj client.Object) []reconcile.Request {
	var jobs v1alpha1.ExecJobList
	if err := r.List(ctx, &jobs, client.InNamespace(obj.GetNamespace()), client.MatchingFields{indexExecJobSandbox: obj.GetName()}); err != nil {
		return nil
	}
	var found []reconcile.Request
	for i := range jobs.Items {
		if job := &jobs.Items[i]; !isFinished(job) || hasFinalizer(job) || metav1.IsControlledBy(obj, job) {
			found = append(found, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(job)})
		}
	}
	return found
}
