package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Reasons that only the conditions of a Connection or ClusterConnection give.
const (
	// ReasonConnected says that Wrenn answers and accepts the credential.
	ReasonConnected = "Connected"
	// ReasonConnecting says that the first answer of the endpoint is being waited for.
	ReasonConnecting = "Connecting"
	// ReasonSecretNotFound says that the referenced Secret is not there. Waiting.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretKeyNotFound says that the Secret lacks the referenced key. Waiting.
	ReasonSecretKeyNotFound = "SecretKeyNotFound"
	// ReasonInvalidCredential says that the value in the Secret cannot be a Wrenn credential. Waiting: the value
	// is read again from time to time.
	ReasonInvalidCredential = "InvalidCredential"
	// ReasonGenerationMismatch says that the endpoint does not serve the generation that spec.generation forces.
	ReasonGenerationMismatch = "GenerationMismatch"
	// ReasonTeamMismatch says that the credential in the Secret has changed to one of another team than that of the
	// Sandboxes that are bound to the connection, or to one that cannot be told to be of the same team, since all that is
	// known of it is a create that was not answered. It is not used. Stalled until the Secret holds one of their team, they
	// are gone, or a person has decided what came of the create.
	ReasonTeamMismatch = "TeamMismatch"
	// ReasonInUse says that the connection or its Secret is being deleted while Sandboxes or Snapshots need it. It goes
	// on working for those, and goes with the last of them. No other object can be bound to it.
	ReasonInUse = "InUse"
)

// Reasons of the events that a Connection or ClusterConnection gets besides those of its conditions.
const (
	// ReasonOrphansFound says that sandboxes of the team belong to no Sandbox of this cluster.
	ReasonOrphansFound = "OrphansFound"
	// ReasonOrphanDestroyed says that such sandboxes were destroyed, as spec.orphanPolicy asks.
	ReasonOrphanDestroyed = "OrphanDestroyed"
)

// Generation is a generation of the Wrenn API.
//
// +kubebuilder:validation:Enum=Auto;Sandboxes;Capsules
type Generation string

const (
	// GenerationAuto asks the operator to find out which generation the endpoint serves.
	GenerationAuto Generation = "Auto"
	// GenerationSandboxes is the generation that serves /v1/sandboxes.
	GenerationSandboxes Generation = "Sandboxes"
	// GenerationCapsules is the generation that serves /v1/capsules.
	GenerationCapsules Generation = "Capsules"
)

// Ownership says who else creates sandboxes with the same credential.
//
// +kubebuilder:validation:Enum=Shared;Exclusive
type Ownership string

const (
	// OwnershipShared says that people or programs other than this operator also create sandboxes in the team.
	OwnershipShared Ownership = "Shared"
	// OwnershipExclusive says that every sandbox of the team is made by this operator.
	OwnershipExclusive Ownership = "Exclusive"
)

// OrphanPolicy says what becomes of a sandbox of the team that no Sandbox of the cluster claims.
//
// +kubebuilder:validation:Enum=Report;Delete
type OrphanPolicy string

const (
	// OrphanPolicyReport tells of it in an event and a metric, and leaves it alone.
	OrphanPolicyReport OrphanPolicy = "Report"
	// OrphanPolicyDelete destroys it as well, if this operator made it or the team is Exclusive.
	OrphanPolicyDelete OrphanPolicy = "Delete"
)

// ConnectionLimits bounds what the operator asks of Wrenn through one credential.
type ConnectionLimits struct {
	// requestsPerSecond is the steady rate of calls, with bursts of twice that. Streams do not count.
	// Default 50.
	// +optional
	// +default=50
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	RequestsPerSecond int32 `json:"requestsPerSecond,omitempty"`

	// concurrentCreates is how many sandboxes may be in the making at a time. Default 8.
	// +optional
	// +default=8
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=256
	ConcurrentCreates int32 `json:"concurrentCreates,omitempty"`

	// concurrentStreams is how many commands of ExecJobs are followed at a time. Others wait for their turn.
	// Default 100.
	// +optional
	// +default=100
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	ConcurrentStreams int32 `json:"concurrentStreams,omitempty"`

	// maxSandboxes is how many remote sandboxes the team may have, those made by others included, before the
	// operator makes no more. Absent: any number.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxSandboxes int32 `json:"maxSandboxes,omitempty"`
}

// ConnectionSpec says where a Wrenn team is and how to prove membership of it.
//
// +kubebuilder:validation:XValidation:rule="has(self.apiKeySecretRef) != has(self.tokenSecretRef)",message="set exactly one of apiKeySecretRef (a team's API key) and tokenSecretRef (a user's JWT)"
type ConnectionSpec struct {
	// endpoint is the base URL of the Wrenn API, without /v1: https://app.wrenn.dev/api for the public service.
	// Must be http or https, without user, query or fragment.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHost() != ''",message="endpoint must be an http or https URL such as https://app.wrenn.dev/api"
	// +kubebuilder:validation:XValidation:rule="!self.contains('@') && !self.contains('?') && !self.contains('#')",message="endpoint must not carry a user, a query or a fragment: put the credential into a Secret"
	Endpoint string `json:"endpoint,omitempty"`

	// apiKeySecretRef names the key of a Secret that holds a team's API key (wrn_ and 32 hexadecimal digits).
	// The Secret of a Connection lives in the Connection's namespace, that of a ClusterConnection in the
	// operator's own. Exactly one of apiKeySecretRef and tokenSecretRef is set.
	// +optional
	APIKeySecretRef *SecretKeyReference `json:"apiKeySecretRef,omitempty"`

	// tokenSecretRef names the key of a Secret that holds a user's JWT. Wrenn's tokens last six hours, so
	// something must renew the Secret. The operator reads it again from time to time.
	// +optional
	TokenSecretRef *SecretKeyReference `json:"tokenSecretRef,omitempty"`

	// generation of the API that the endpoint serves. Auto (the default) finds out.
	// +optional
	// +default="Auto"
	Generation Generation `json:"generation,omitempty"`

	// proxyDomain is the domain under which Wrenn publishes the ports of sandboxes, optionally with a port. The
	// URL of a port is {port}-{sandbox id}.{proxyDomain}. Absent: the host of the endpoint.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`
	ProxyDomain string `json:"proxyDomain,omitempty"`

	// ownership is Exclusive when every sandbox of the team is made by this operator, which lets it recognize a
	// sandbox whose creation was never answered by looking at what is there. Shared (the default) otherwise.
	// +optional
	// +default="Shared"
	Ownership Ownership `json:"ownership,omitempty"`

	// orphanPolicy says what becomes of a sandbox of the team that no Sandbox of this cluster has claimed for a while.
	// Report (the default) tells of it in an event and a metric. Delete destroys it as well, if it carries this
	// cluster's mark, or whatever it is where ownership is Exclusive. Where several connections lead to the team, all
	// of them must say so.
	// +optional
	// +default="Report"
	OrphanPolicy OrphanPolicy `json:"orphanPolicy,omitempty"`

	// caBundle holds PEM certificates that the endpoint's certificate is checked against in place of the system's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	CABundle []byte `json:"caBundle,omitempty"`

	// limits bounds what the operator asks of Wrenn through this credential. Connections that share a credential
	// share the limits of whichever was seen last.
	// +optional
	// +default={}
	Limits ConnectionLimits `json:"limits,omitzero"`
}

// ConnectionStatus is what the operator knows of a connection.
type ConnectionStatus struct {
	// conditions are Ready, and Reconciling or Stalled while either holds.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the metadata.generation that this status speaks of, -1 before the first visit.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// generation of the API that the endpoint turned out to serve.
	// +optional
	Generation Generation `json:"generation,omitempty"`

	// fingerprint identifies the endpoint and credential in use, without revealing either.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// secretName is the name of the Secret that the credential in use was read from. While Sandboxes or Snapshots
	// need the connection, that Secret carries the finalizer wrenn.dev/in-use.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`
}

// Connection is the endpoint and credential of one Wrenn team, for use in its own namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=wconn,categories=wrenn
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.spec.endpoint`
// +kubebuilder:printcolumn:name="Generation",type=string,JSONPath=`.status.generation`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Connection struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says where the team is and how to prove membership of it.
	// +required
	Spec ConnectionSpec `json:"spec,omitzero"`

	// status is what the operator knows of the connection.
	// +optional
	// +default={"observedGeneration": -1}
	Status ConnectionStatus `json:"status,omitzero"`
}

// ConnectionList is a list of Connections.
//
// +kubebuilder:object:root=true
type ConnectionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the Connections.
	Items []Connection `json:"items"`
}

// ClusterConnectionSpec is a ConnectionSpec and the namespaces that it is lent to.
type ClusterConnectionSpec struct {
	ConnectionSpec `json:",inline"`

	// namespaceSelector selects, by their labels, the namespaces that may use this connection. Absent: none. An
	// empty selector ({}): all.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || size(e.values) == 0))",message="the operator of each of matchExpressions must be In or NotIn, with values, or Exists or DoesNotExist, without"
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
}

// ClusterConnection is the endpoint and credential of one Wrenn team, lent to the namespaces that its selector
// names. Its Secret lives in the operator's own namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=wcconn,categories=wrenn
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.spec.endpoint`
// +kubebuilder:printcolumn:name="Generation",type=string,JSONPath=`.status.generation`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterConnection struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says where the team is, how to prove membership of it, and whom it is lent to.
	// +required
	Spec ClusterConnectionSpec `json:"spec,omitzero"`

	// status is what the operator knows of the connection.
	// +optional
	// +default={"observedGeneration": -1}
	Status ConnectionStatus `json:"status,omitzero"`
}

// ClusterConnectionList is a list of ClusterConnections.
//
// +kubebuilder:object:root=true
type ClusterConnectionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the ClusterConnections.
	Items []ClusterConnection `json:"items"`
}
