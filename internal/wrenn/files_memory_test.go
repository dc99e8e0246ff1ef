package wrenn

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

const mebibyte = 1 << 20

// heapWatch yields a number of bytes, or takes what is written, and looks at the heap once in a while.
type heapWatch struct {
	left, moved, looked int64
	peak                uint64
}

func (h *heapWatch) look(n int) {
	h.moved += int64(n)
	if h.moved-h.looked < 4*mebibyte {
		return
	}
	h.looked = h.moved
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.peak = max(h.peak, m.HeapAlloc)
}

func (h *heapWatch) Read(p []byte) (int, error) {
	if h.left == 0 {
		return 0, io.EOF
	}
	n := int(min(h.left, int64(len(p))))
	h.left -= int64(n)
	h.look(n)
	return n, nil
}

func (h *heapWatch) Write(p []byte) (int, error) {
	h.look(len(p))
	return len(p), nil
}

// fileServer takes and gives files of the given size. It is in the same process, so what it uses is counted too.
func fileServer(size int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/write") {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.Copy(w, io.LimitReader(&heapWatch{left: size}, size))
	}
}

func streamUp(t testing.TB, h *SandboxHandle, size int64) (watch heapWatch) {
	watch.left = size
	if err := h.StreamUpload(t.Context(), "/a", &watch); err != nil {
		t.Fatal(err)
	}
	return watch
}

func streamDown(t testing.TB, h *SandboxHandle, _ int64) (watch heapWatch) {
	file, err := h.StreamDownload(t.Context(), "/a")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(&watch, file)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return watch
}

var streamings = map[string]func(testing.TB, *SandboxHandle, int64) heapWatch{"upload": streamUp, "download": streamDown}

// TestStreamedFilesTakeConstantMemory moves files that would be seen if they were kept.
func TestStreamedFilesTakeConstantMemory(t *testing.T) {
	const size, allowed = 128 * mebibyte, 32 * mebibyte
	for name, stream := range streamings {
		t.Run(name, func(t *testing.T) {
			runtime.GC()
			watch := stream(t, serve(t, fileServer(size)).Sandbox(testID), size)
			if watch.moved != size || watch.peak == 0 || watch.peak > allowed {
				t.Fatalf("%d MiB were moved with %d MiB of heap", watch.moved/mebibyte, watch.peak/mebibyte)
			}
		})
	}
}

// BenchmarkStreamedGibibyte moves a file of 1 GiB each way and tells the most heap that client and test server had.
func BenchmarkStreamedGibibyte(b *testing.B) {
	const size = 1024 * mebibyte
	for name, stream := range streamings {
		b.Run(name, func(b *testing.B) {
			h := serve(b, fileServer(size)).Sandbox(testID)
			b.SetBytes(size)
			var peak uint64
			for b.Loop() {
				runtime.GC()
				watch := stream(b, h, size)
				if watch.moved != size {
					b.Fatalf("%d bytes were moved", watch.moved)
				}
				peak = max(peak, watch.peak)
			}
			b.ReportMetric(float64(peak)/mebibyte, "peak-heap-MiB")
		})
	}
}
