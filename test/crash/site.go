package main

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/localkube"
)

// site is what all cases share: one API server.
type site struct {
	cluster *localkube.ControlPlane
	config  *rest.Config
	http    *http.Client
	scheme  *runtime.Scheme
	mapper  meta.RESTMapper
	// api reads and writes objects as a user does, without a cache.
	api client.WithWatch
}

// newSite starts the API server. CRDs is the directory of those to install.
func newSite(ctx context.Context, crds string, log io.Writer) (*site, error) {
	logf.SetLogger(logr.Discard())
	s := &site{scheme: runtime.NewScheme()}
	if err := errors.Join(clientgoscheme.AddToScheme(s.scheme), v1alpha1.AddToScheme(s.scheme)); err != nil {
		return nil, err
	}
	var err error
	s.cluster, err = localkube.Start(ctx, localkube.Options{CRDDirs: []string{crds}, Log: log, WithoutControllerManager: true})
	if err != nil {
		return nil, err
	}
	s.config = s.cluster.RESTConfig()
	if err := s.connect(); err != nil {
		return nil, errors.Join(err, s.cluster.Stop())
	}
	return s, nil
}

func (s *site) connect() error {
	var err error
	if s.http, err = rest.HTTPClientFor(s.config); err != nil {
		return err
	}
	if s.mapper, err = apiutil.NewDynamicRESTMapper(s.config, s.http); err != nil {
		return err
	}
	s.api, err = client.NewWithWatch(s.config, client.Options{Scheme: s.scheme, Mapper: s.mapper, HTTPClient: s.http})
	return err
}

// close stops the API server.
func (s *site) close() error {
	s.http.CloseIdleConnections()
	return s.cluster.Stop()
}
