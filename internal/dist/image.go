package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	imageUser    = "65532:65532" // as nonroot in distroless images
	imageProgram = "usr/local/bin/akslogin"
	imageRoots   = "etc/ssl/certs/ca-certificates.crt"
)

// image makes the container image of all its platforms, as an OCI layout in a tar archive.
func (b *builder) image() ([]file, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, t := range targets {
		if !t.image {
			continue
		}
		image, config, err := b.platformImage(t)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: config.Platform()},
		})
	}
	index = mutate.Annotations(index, b.imageLabels()).(v1.ImageIndex)
	dir := filepath.Join(b.work, "image")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return nil, err
	}
	name := map[string]string{"org.opencontainers.image.ref.name": b.release.version()}
	if err := path.AppendIndex(index, layout.WithAnnotations(name)); err != nil {
		return nil, err
	}
	content, err := readTree(dir)
	if err != nil {
		return nil, err
	}
	var data bytes.Buffer
	if err := writeTar(&data, b.release.time, content); err != nil {
		return nil, err
	}
	return []file{{
		name: fmt.Sprintf("%s_%s_oci.tar", programName, b.release.version()), data: data.Bytes(),
	}}, nil
}

// platformImage makes the image of a target: the program, the roots of TLS, and a directory for
// temporary files, where the cache is when the home directory cannot be written.
func (b *builder) platformImage(t target) (v1.Image, *v1.ConfigFile, error) {
	layer, err := gzipped(func(w io.Writer) error {
		return writeTar(w, b.release.time, []file{
			{"etc/", 0o755, nil},
			{"etc/ssl/", 0o755, nil},
			{"etc/ssl/certs/", 0o755, nil},
			{imageRoots, 0o644, trustedRoots()},
			{"tmp/", 0o777 | fs.ModeSticky, nil},
			{"usr/", 0o755, nil},
			{"usr/local/", 0o755, nil},
			{"usr/local/bin/", 0o755, nil},
			{imageProgram, 0o755, b.programs[t.String()].data},
		})
	})
	if err != nil {
		return nil, nil, err
	}
	compressed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, nil, err
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	created := v1.Time{Time: b.release.time}
	image, err = mutate.Append(image, mutate.Addendum{
		Layer: compressed, History: v1.History{Created: created, CreatedBy: "make dist"},
	})
	if err != nil {
		return nil, nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = t.os, t.arch, created
	config.Config = v1.Config{
		User:       imageUser,
		Entrypoint: []string{"/" + imageProgram},
		Env:        []string{"PATH=/usr/local/bin"},
		WorkingDir: "/",
		Labels:     b.imageLabels(),
	}
	image, err = mutate.ConfigFile(image, config)
	return image, config, err
}

// imageLabels are the image's annotations and its labels.
func (b *builder) imageLabels() map[string]string {
	const prefix = "org.opencontainers.image."
	return map[string]string{
		prefix + "title":       programName,
		prefix + "description": summary,
		prefix + "source":      homepage,
		prefix + "licenses":    license,
		prefix + "version":     b.release.version(),
		prefix + "revision":    b.release.commit,
		prefix + "created":     b.release.time.Format(time.RFC3339),
	}
}

// trustedRoots are Mozilla's roots, in PEM. Roots that Mozilla trusts only until some date are left
// out: the format cannot express that.
func trustedRoots() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			// Writing into memory cannot fail.
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return out.Bytes()
}

// readTree returns all files below dir, and the directories, which end in a slash.
func readTree(dir string) (content []file, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f := file{name: filepath.ToSlash(rel), mode: 0o644}
		if d.IsDir() {
			f.name, f.mode = f.name+"/", 0o755
		} else if f.data, err = os.ReadFile(path); err != nil {
			return err
		}
		content = append(content, f)
		return nil
	})
	slices.SortFunc(content, byName)
	return content, err
}
