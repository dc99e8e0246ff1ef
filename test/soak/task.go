package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// task is a job and what it must come to.
type task struct {
	stdout, stderr []byte
	made           time.Time
	judged         bool
}

const (
	// largest is the size of the largest output.
	largest = 32_000
	// said is how much of it goes to stderr too.
	said = 100
	// alone is one of how many jobs has a Sandbox of its own.
	alone = 25
)

// script writes what it reads, in two pieces, and says the beginning of it on stderr as well. It fails when it is run twice.
const script = `mkdir "once-$JOB" || exit 9
base64 -d >"once-$JOB/data"
cd "once-$JOB"
head -c "$SPLIT" data
head -c "$SAID" data >&2
sleep "$PAUSE"
tail -c "+$((SPLIT + 1))" data
rm data
`

// newTask throws the dice for the job of a number.
func newTask(random *rand.Rand, o options, number int) (*v1alpha1.ExecJob, *task) {
	data := make([]byte, random.IntN(largest))
	for i := range data {
		data[i] = byte(random.Uint32() & 0xff)
	}
	t := &task{stdout: data, stderr: data[:min(len(data), said)], made: time.Now()}
	job := &v1alpha1.ExecJob{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint("job-", number)}}
	job.Spec = v1alpha1.ExecJobSpec{Script: script, Stdin: base64.StdEncoding.EncodeToString(data) + "\n"}
	for name, value := range map[string]string{
		"JOB":   job.Name,
		"SPLIT": fmt.Sprint(random.IntN(len(data) + 1)),
		"SAID":  fmt.Sprint(said),
		"PAUSE": fmt.Sprintf("%.1f", 4*random.Float64()),
	} {
		job.Spec.Env = append(job.Spec.Env, v1alpha1.ExecEnvVar{Name: name, Value: &value})
	}
	if number%alone == 0 {
		job.Spec.SandboxTemplate = &v1alpha1.SandboxTemplate{}
	} else {
		job.Spec.SandboxRef = &v1alpha1.SandboxReference{Name: boxName(random.IntN(o.sandboxes))}
	}
	return job, t
}

// differs says how what is stored of a stream is not what the job wrote.
func differs(stream string, stored, wrote []byte) error {
	if bytes.Equal(stored, wrote) {
		return nil
	}
	same := 0
	for same < min(len(stored), len(wrote)) && stored[same] == wrote[same] {
		same++
	}
	return fmt.Errorf("%s differs: %d bytes were written, %d are stored, and the first %d are the same", stream, len(wrote), len(stored), same)
}
