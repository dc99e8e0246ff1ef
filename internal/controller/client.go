package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
)

// CatchUp is how long a read waits until the caches show what was written before. They take milliseconds, where they hear
// of changes at all.
const CatchUp = 5 * time.Second

// NewClient returns what makes the client of a manager. The client reads from the caches, once they show all that it has
// written: no decision is made on a view older than the operator's own last write. Where they do not within a time, the API
// server is asked. With namespaces, those are all that the caches hold.
func NewClient(catchUp time.Duration, namespaces ...string) client.NewClientFunc {
	return func(config *rest.Config, options client.Options) (client.Client, error) {
		withoutCache := options
		withoutCache.Cache = nil
		direct, err := client.New(config, withoutCache)
		if err != nil {
			return nil, err
		}
		cache := ptr.Deref(options.Cache, client.CacheOptions{})
		cache.EnableReadYourWritesConsistency = ptr.To(true)
		options.Cache = &cache
		cached, err := client.New(config, options)
		if err != nil {
			return nil, err
		}
		return &consistentClient{Client: cached, direct: direct, catchUp: catchUp, namespaces: namespaces}, nil
	}
}

// consistentClient bounds how long a read waits for the caches. Some of what is written they never show: an object that is
// removed while their watch is lost is missing from their next list, and they go by the versions of the objects that they
// see. Until another object of its kind is changed, no read of the kind would end.
type consistentClient struct {
	client.Client

	direct     client.Reader
	catchUp    time.Duration
	namespaces []string
}

// errBehind says that the caches do not show what was written.
var errBehind = errors.New("the caches are behind")

// Get reads an object.
func (c *consistentClient) Get(ctx context.Context, key client.ObjectKey, obj client.Object, options ...client.GetOption) error {
	err := c.caughtUp(ctx, func(ctx context.Context) error { return c.Client.Get(ctx, key, obj, options...) })
	if !errors.Is(err, errBehind) {
		return err
	}
	return c.direct.Get(ctx, key, obj, options...)
}

// List reads the objects of a kind.
func (c *consistentClient) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	err := c.caughtUp(ctx, func(ctx context.Context) error { return c.Client.List(ctx, list, options...) })
	if !errors.Is(err, errBehind) {
		return err
	}
	return c.listDirectly(ctx, list, (&client.ListOptions{}).ApplyOptions(options))
}

// caughtUp reads from the caches. It returns errBehind where that took too long.
func (c *consistentClient) caughtUp(ctx context.Context, read func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, c.catchUp)
	defer cancel()
	err := read(bounded)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		logf.FromContext(ctx).V(1).Info("the caches do not show what was written; asking the API server", "why", err.Error())
		return errBehind
	}
	return err
}

// listDirectly reads from the API server what the caches should have. It knows nothing of their indexes.
func (c *consistentClient) listDirectly(ctx context.Context, list client.ObjectList, asked *client.ListOptions) error {
	indexed := asked.FieldSelector
	asked.FieldSelector = nil
	if err := c.direct.List(ctx, list, asked); err != nil {
		return err
	}
	found, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	var wanted []runtime.Object
	for _, item := range found {
		obj, ok := item.(client.Object)
		if !ok {
			return fmt.Errorf("an item of a list is a %T", item)
		}
		matches, err := isIndexed(obj, indexed)
		if err != nil {
			return err
		}
		if matches && (len(c.namespaces) == 0 || obj.GetNamespace() == "" || slices.Contains(c.namespaces, obj.GetNamespace())) {
			wanted = append(wanted, obj)
		}
	}
	return meta.SetList(list, wanted)
}

// isIndexed tells whether an index has an object under what is asked for.
func isIndexed(obj client.Object, asked fields.Selector) (bool, error) {
	if asked == nil {
		return true, nil
	}
	for _, requirement := range asked.Requirements() {
		values, err := indexedValues(obj, requirement.Field)
		if err != nil || !slices.Contains(values, requirement.Value) {
			return false, err
		}
	}
	return true, nil
}
