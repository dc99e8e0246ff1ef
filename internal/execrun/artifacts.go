package execrun

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// What a ConfigMap with an artifact says of itself.
const (
	annotationArtifact       = "wrenn.dev/artifact"
	annotationArtifactOffset = "wrenn.dev/artifact-offset"
)

// artifactsLimit is how much all artifacts of a job may have together.
const artifactsLimit = 16 << 20

// Artifact is a file that is fetched when the command has ended.
type Artifact struct {
	Name, Path string
}

// errDamaged says that what the guest tells of a file does not fit together.
var errDamaged = fmt.Errorf("%w: a file could not be read", errGuest)

// storeArtifacts stores the files that are wanted of a command that has ended, and what a cell displayed. It goes on after
// those that are stored.
func (a *attempt) storeArtifacts(ctx context.Context, g guest, spec *Attempt) error {
	if a.final.exit.Kind == Unstarted {
		return nil
	}
	if spec.Command.Language != "" && a.final.result == nil && !a.final.unread {
		if err := a.readResult(ctx, g); err != nil {
			return err
		}
	}
	var cell []cellFile
	if a.final.result != nil {
		cell = a.final.result.Files
	}
	for i := len(a.final.artifacts); i < len(cell)+len(spec.Artifacts); i++ {
		var stored v1alpha1.ExecArtifact
		var err error
		switch {
		case i < len(cell):
			stored = v1alpha1.ExecArtifact{Name: cell[i].Name, MIMEType: cell[i].MIMEType}
			err = a.storeFile(ctx, g, spec, &stored, cell[i].Name, cell[i].Bytes)
		default:
			stored, err = a.storeArtifact(ctx, g, spec, i-len(cell))
		}
		if errors.Is(err, errDamaged) || errors.Is(err, errNoFiles) {
			stored.ConfigMaps, stored.Reason = nil, v1alpha1.ArtifactUnreadable
		} else if err != nil {
			return err
		}
		a.final.artifacts = append(a.final.artifacts, stored)
		a.final.stored += ptr.Deref(stored.SizeBytes, 0)
	}
	return nil
}

// storeArtifact stores one of the files that are asked for. A file that cannot be had is told, and is no failure.
func (a *attempt) storeArtifact(ctx context.Context, g guest, spec *Attempt, i int) (v1alpha1.ExecArtifact, error) {
	wanted := spec.Artifacts[i]
	stored := v1alpha1.ExecArtifact{Name: wanted.Name}
	if a.final.unread {
		stored.Reason = v1alpha1.ArtifactUnreadable
		return stored, nil
	}
	// The copy stays the same, whoever goes on writing to the file.
	name := "artifact-" + strconv.Itoa(i)
	words, err := g.control(ctx, prepareTimeout, "keep", g.dir, name, wanted.Path, strconv.FormatInt(artifactsLimit-a.final.stored, 10))
	if err != nil {
		return stored, a.unreadable(ctx, g, err)
	}
	answer, number, _ := strings.Cut(strings.Join(words, " "), " ")
	size, err := strconv.ParseInt(number, 10, 64)
	switch answer {
	case "size":
		if err != nil {
			return stored, errDamaged
		}
		return stored, a.storeFile(ctx, g, spec, &stored, name, size)
	case "large":
		stored.Reason = v1alpha1.ArtifactTooLarge
	case "absent":
		stored.Reason = v1alpha1.ArtifactNotFound
	case "other":
		stored.Reason = v1alpha1.ArtifactNotAFile
	default:
		stored.Reason = v1alpha1.ArtifactUnreadable
	}
	return stored, nil
}

// storeFile stores a file of the attempt's directory. The guest has looked at its size, but what it says of that is not
// taken on trust.
func (a *attempt) storeFile(ctx context.Context, g guest, spec *Attempt, stored *v1alpha1.ExecArtifact, name string, size int64) error {
	switch {
	case a.final.unread:
		return errNoFiles
	case size < 0:
		return errDamaged
	case size > artifactsLimit-a.final.stored:
		stored.Reason = v1alpha1.ArtifactTooLarge
		return nil
	}
	for offset := int64(0); offset < size || (offset == 0 && size == 0); offset += partBytes {
		data, all, err := g.piece(ctx, name, int(offset/partBytes))
		if err != nil {
			return a.unreadable(ctx, g, err)
		}
		if all != size || int64(len(data)) != min(partBytes, size-offset) {
			return errDamaged
		}
		cm := artifactConfigMap(spec, stored.Name, offset, data)
		if err := a.settle(a.out.create(ctx, cm)); err != nil {
			return err
		}
		stored.ConfigMaps = append(stored.ConfigMaps, cm.Name)
	}
	stored.SizeBytes = &size
	return nil
}

// unreadable finds out why a file could not be read. Where the sandbox is gone, there is nothing more to be read.
func (a *attempt) unreadable(ctx context.Context, g guest, err error) error {
	err = a.explain(ctx, g.sandbox, err)
	var gone *goneError
	a.final.unread = a.final.unread || errors.As(err, &gone)
	return err
}

// create makes a ConfigMap that is never changed again, unless it is there already.
func (o *output) create(ctx context.Context, cm *corev1.ConfigMap) error {
	err := o.client.Create(ctx, cm)
	if apierrors.IsAlreadyExists(err) {
		if err = o.taken(ctx, cm.Name, func(there *corev1.ConfigMap) bool { return o.job.owns(there) }); errors.Is(err, errStale) {
			return nil
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errBlocked, err)
	}
	return nil
}

func artifactConfigMap(spec *Attempt, artifact string, offset int64, data []byte) *corev1.ConfigMap {
	job := spec.Job
	suffix := fmt.Sprintf("-artifact-%s-%d", artifact, offset/partBytes)
	if spec.Number > 1 {
		suffix = fmt.Sprintf("-artifact-%d-%s-%d", spec.Number, artifact, offset/partBytes)
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: shorten(job.Name, maxName-len(suffix)) + suffix,
			Labels: map[string]string{v1alpha1.LabelExecJob: LabelValue(job.Name)},
			Annotations: map[string]string{
				annotationAttempt: strconv.Itoa(int(spec.Number)), annotationArtifact: artifact,
				annotationArtifactOffset: strconv.FormatInt(offset, 10),
			},
			OwnerReferences: []metav1.OwnerReference{job.ownerReference()},
		},
		Immutable: ptr.To(true), BinaryData: map[string][]byte{artifact: data},
	}
}

// piece reads 512 KiB of a file of the attempt's directory, and tells the size of the whole.
func (g guest) piece(ctx context.Context, name string, number int) (data []byte, size int64, err error) {
	words, err := g.control(ctx, prepareTimeout, "piece", g.dir, name, strconv.Itoa(number))
	if err != nil {
		return nil, 0, err
	}
	return parsePiece(words)
}

func parsePiece(words []string) (data []byte, size int64, err error) {
	if len(words) > 0 && words[0] == "absent" {
		return nil, 0, errNoFiles
	}
	if len(words) < 2 {
		return nil, 0, errDamaged
	}
	if size, err = strconv.ParseInt(strings.TrimPrefix(words[0], "size "), 10, 64); err != nil {
		return nil, 0, errDamaged
	}
	decode := base64.StdEncoding.DecodeString
	if words[1] == "h" {
		decode = hex.DecodeString
	}
	if data, err = decode(strings.Join(words[2:], "")); err != nil {
		return nil, 0, errDamaged
	}
	return data, size, nil
}
