package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// archives makes a tar.gz for each target, and a zip for Windows.
func (b *builder) archives() (made []file, err error) {
	for _, t := range targets {
		d := b.docs
		content := []file{
			b.programs[t.String()], d.readme, d.license, b.licenseText,
			d.man, d.bash, d.zsh, d.fish, d.power,
		}
		slices.SortFunc(content, byName)
		name := fmt.Sprintf("%s_%s_%s", programName, b.release.version(), t)
		var data []byte
		if t.os == "windows" {
			name += ".zip"
			data, err = zipped(b.release.time, content)
		} else {
			name += ".tar.gz"
			data, err = gzipped(func(w io.Writer) error { return writeTar(w, b.release.time, content) })
		}
		if err != nil {
			return nil, err
		}
		made = append(made, file{name: name, data: data})
	}
	return made, nil
}

// writeTar writes the files in their order, as root's. A name that ends in a slash is a directory.
func writeTar(w io.Writer, at time.Time, files []file) error {
	tw := tar.NewWriter(w)
	for _, f := range files {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.data)), ModTime: at,
			Mode: int64(f.mode.Perm()), Format: tar.FormatUSTAR,
		}
		if strings.HasSuffix(f.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if f.mode&fs.ModeSticky != 0 {
			header.Mode |= 0o1000
		}
		if err := tw.WriteHeader(header); err != nil {
			return err
		}
		if _, err := tw.Write(f.data); err != nil {
			return err
		}
	}
	return tw.Close()
}

// gzipped compresses what write writes. The header has neither a time nor a name.
func gzipped(write func(io.Writer) error) ([]byte, error) {
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	if err := write(zw); err != nil {
		return nil, err
	}
	err := zw.Close()
	return out.Bytes(), err
}

// zipped makes a zip of the files in their order, with Unix modes.
func zipped(at time.Time, files []file) ([]byte, error) {
	var out bytes.Buffer
	zw := zip.NewWriter(&out)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: at}
		header.SetMode(f.mode)
		w, err := zw.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := zw.Close()
	return out.Bytes(), err
}

// checksums returns checksums.txt, which sha256sum -c reads, for the files of the top folder.
func checksums(files []file) file {
	var b strings.Builder
	for _, f := range files {
		if !strings.Contains(f.name, "/") {
			fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(f.data), f.name)
		}
	}
	return file{name: "checksums.txt", data: []byte(b.String())}
}
