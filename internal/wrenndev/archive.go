package wrenndev

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// maxUnpacked bounds what an archive may become: a small one can hold a lot.
const maxUnpacked = 2 << 30

// writeTar writes an archive, which is a tar, a compressed one or a zip, as a tar.
func writeTar(w io.Writer, archive []byte) error {
	w = &boundedWriter{w, maxUnpacked}
	switch {
	case bytes.HasPrefix(archive, []byte("PK\x03\x04")):
		return zipToTar(w, archive)
	case bytes.HasPrefix(archive, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(bytes.NewReader(archive))
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		if _, err := io.Copy(w, z); err != nil { //nolint:gosec // bounded by the writer
			return fmt.Errorf("archive: %w", err)
		}
		return nil
	}
	_, err := w.Write(archive)
	return err
}

func zipToTar(w io.Writer, archive []byte) error {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	out := tar.NewWriter(w)
	for _, f := range z.File {
		if err := zipEntry(out, f); err != nil {
			return fmt.Errorf("archive: %s: %w", f.Name, err)
		}
	}
	return out.Close()
}

func zipEntry(out *tar.Writer, f *zip.File) error {
	info := f.FileInfo()
	if !info.Mode().IsRegular() && !info.IsDir() {
		return errors.New("neither a file nor a directory")
	}
	header, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	header.Name = f.Name // with its directories
	if err := out.WriteHeader(header); err != nil || info.IsDir() {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in) //nolint:gosec // bounded by the writer
	return errors.Join(err, in.Close())
}

// boundedWriter refuses what is too much.
type boundedWriter struct {
	w    io.Writer
	left int64
}

func (b *boundedWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, fmt.Errorf("more than %d bytes", int64(maxUnpacked))
	}
	b.left -= int64(len(p))
	return b.w.Write(p)
}
