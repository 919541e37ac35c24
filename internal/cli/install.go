package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/robustio"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/token"
)

// installCommand copies the running program. An image without a shell has nothing else that could.
type installCommand struct {
	To string   `name:"to" required:"" group:"general" placeholder:"FOLDER" help:"The folder to copy it into, such as an emptyDir that another container mounts. It is created if it is missing."`
	As []string `name:"as" sep:"none" group:"general" placeholder:"NAME" otherwise:"akslogin" help:"The name of the copy, such as kubelogin. The flag may be repeated."`
}

// Help is the text of install --help before the flags.
func (*installCommand) Help() string {
	return "The copy is renamed into place, so it is never incomplete. Its mode is 0755. " +
		"It replaces a file of the same name; on Windows, only if that file is not running. " +
		"If the same program is already there, nothing is written."
}

// Run checks all names before it writes the first copy.
func (c *installCommand) Run() error {
	if len(c.As) == 0 {
		c.As = []string{"akslogin"}
	}
	for i, name := range c.As {
		if name == "." || !filepath.IsLocal(name) || filepath.Base(name) != name {
			return &token.UsageError{
				Text: fmt.Sprintf("--as is %q: it must be the name of a file", name),
				Hint: "--to names the folder",
			}
		}
		if runtime.GOOS == "windows" && !strings.EqualFold(filepath.Ext(name), ".exe") {
			c.As[i] += ".exe"
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	program, err := os.Open(self)
	if err != nil {
		return err
	}
	defer program.Close()
	// A signal must not leave the temporary file. Copying is short, so signals are ignored.
	_, stop := untilSignal()
	defer stop()
	folder := cache.ExpandPath(c.To)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return installError(folder, err)
	}
	for _, name := range c.As {
		path := filepath.Join(folder, name)
		done := "%s is installed already: akslogin %s\n"
		if !isCopy(path, program) {
			done = "installed %s: akslogin %s\n"
			if err := installCopy(path, program); err != nil {
				return installError(path, err)
			}
		}
		if _, err := fmt.Printf(done, token.Clean(path), currentBuild().Version); err != nil {
			return err
		}
	}
	return nil
}

// isCopy reports whether path is a regular file, may be run by everybody, and has the program's
// content. Modification times say nothing: those in a reproducible image are all the same.
func isCopy(path string, program *os.File) bool {
	found, err := os.Lstat(path)
	if err != nil || !found.Mode().IsRegular() ||
		runtime.GOOS != "windows" && found.Mode().Perm()&0o555 != 0o555 {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if _, err := program.Seek(0, io.SeekStart); err != nil {
		return false
	}
	block, want := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(f, block)
		m, wantErr := io.ReadFull(program, want)
		if err != wantErr || !bytes.Equal(block[:n], want[:m]) {
			return false
		}
		if err != nil { // Two equal errors are the end of both files.
			return true
		}
	}
}

// installCopy copies the program to path by an atomic rename. A symbolic link there is replaced.
func installCopy(path string, program *os.File) error {
	if found, err := os.Lstat(path); err == nil && found.IsDir() {
		return &fs.PathError{Err: errors.New("it is a directory")}
	}
	if _, err := program.Seek(0, io.SeekStart); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = io.Copy(temp, program)
	err = cmp.Or(err, temp.Chmod(0o755), syncFile(temp), temp.Close())
	if err == nil {
		// On Windows, renaming fails for moments while another process has the file open.
		err = robustio.Rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	return err
}

// syncFile is f.Sync without the errors of file systems and sandboxes that cannot sync.
func syncFile(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// installError leaves out the name of the temporary file.
func installError(path string, err error) error {
	var hint string
	switch {
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		hint = fmt.Sprintf("the folder must be writable for this user (ID %d): in a pod, use an "+
			"emptyDir; elsewhere, for example --to ~/.local/bin", os.Geteuid())
	case errors.Is(err, syscall.ENOSPC):
		hint = "free some space, or raise the volume's sizeLimit: each copy takes as much as this program's file"
	}
	cause := err
	if p := new(fs.PathError); errors.As(err, &p) {
		cause = p.Err
	} else if l := new(os.LinkError); errors.As(err, &l) {
		cause = l.Err
	}
	return &token.FailedError{Text: fmt.Sprintf("install %s: %v", path, cause), Hint: hint}
}
