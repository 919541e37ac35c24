package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// runWithIMDS runs a command as on a virtual machine in Azure: with-imds COMMAND [ARGUMENT...]. It
// needs root. The command has a network namespace of its own, in which 169.254.169.254 forwards to
// $IMDS, and the addresses in $ENTRA and $HTTPS_PROXY to the emulator. Nothing else is reachable.
//
// It serves programs that do not know AZURE_POD_IDENTITY_AUTHORITY_HOST, and tests without that
// variable.
func runWithIMDS() {
	if err := withIMDS(os.Args[1:]); err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "with-imds:", err)
		os.Exit(70)
	}
}

func withIMDS(args []string) error {
	listeners := map[string]net.Listener{}
	forwards := map[string]string{"169.254.169.254:80": hostOf("IMDS")}
	for _, variable := range []string{"ENTRA", "HTTPS_PROXY"} {
		if host := hostOf(variable); host != "" {
			forwards[host] = host
		}
	}
	command := exec.Command(args[0], args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := onDiscardedThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		for _, address := range []string{"127.0.0.1", "169.254.169.254"} {
			if err := addLoopbackAddress(address); err != nil {
				return err
			}
		}
		for from := range forwards {
			ln, err := net.Listen("tcp4", from)
			if err != nil {
				return err
			}
			listeners[from] = ln
		}
		return command.Start()
	})
	if err != nil {
		return err
	}
	for from, to := range forwards {
		go forward(listeners[from], to)
	}
	return command.Wait()
}

// onDiscardedThread calls a function on an operating system thread that ends with it, since a
// thread cannot leave the namespaces that it has entered. Sockets that the function opens, and
// processes that it starts, stay in those namespaces.
func onDiscardedThread(do func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked
		result <- do()
	}()
	return <-result
}

// hostOf returns the host and port of the URL in a variable, "" if there is none.
func hostOf(variable string) string {
	_, host, _ := strings.Cut(os.Getenv(variable), "://")
	return host
}

// forward forwards connections to an address until the process ends.
func forward(ln net.Listener, to string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			up, err := net.Dial("tcp4", to)
			if err != nil {
				return
			}
			defer up.Close()
			var group sync.WaitGroup
			group.Go(func() { copyAndClose(up, c) })
			group.Go(func() { copyAndClose(c, up) })
			group.Wait()
		}()
	}
}

// copyAndClose copies what from sends to to, and then passes the end of the stream on.
func copyAndClose(to, from net.Conn) {
	io.Copy(to, from)
	to.(*net.TCPConn).CloseWrite()
}

// addLoopbackAddress adds an address to the loopback interface of this thread's network namespace,
// and turns the interface on.
func addLoopbackAddress(address string) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	label := "lo"
	if address != "127.0.0.1" {
		label = "lo:0"
	}
	set := func(call uintptr, name string, fill func(*unix.Ifreq) error) error {
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		if err := fill(request); err != nil {
			return err
		}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), call,
			uintptr(unsafe.Pointer(request)))
		if errno != 0 {
			return errno
		}
		return nil
	}
	err = set(unix.SIOCSIFADDR, label, func(r *unix.Ifreq) error {
		return r.SetInet4Addr(net.ParseIP(address).To4())
	})
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	return set(unix.SIOCSIFFLAGS, label, func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		return nil
	})
}
