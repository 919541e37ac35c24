package cache

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/robustio"
)

func replaceFile(path string, content []byte, sync bool) error {
	temp, err := writeTemp(path, content, sync)
	if err != nil {
		return err
	}
	if err := robustio.Rename(
		temp,
		path,
	); err != nil { // Windows refuses for moments while somebody reads
		os.Remove(temp)
		return err
	}
	return nil
}

// writeTemp makes a file beside path that holds content, with sync safely on disk.
func writeTemp(path string, content []byte, sync bool) (temp string, err error) {
	f, err := os.CreateTemp(
		filepath.Dir(path),
		filepath.Base(path)+".*"+tempSuffix,
	) // 0600, says its documentation
	if err != nil {
		return "", err
	}
	if err := writeAndClose(f, content, sync); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// writeAndClose writes content to a new file, with sync safely on disk, and closes it.
func writeAndClose(f *os.File, content []byte, sync bool) error {
	_, err := f.Write(content)
	if err == nil && sync {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
