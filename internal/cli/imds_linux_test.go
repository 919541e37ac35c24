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

// runWithIMDS runs a command on a machine in Azure: vm COMMAND [ARGUMENT...]. In a network of its
// own 169.254.169.254 is the IMDS at $IMDS, and the emulator's addresses in $ENTRA and $HTTPS_PROXY
// lead there as well; there is nothing else. It needs root.
//
// It is for programs that do not know AZURE_POD_IDENTITY_AUTHORITY_HOST, and for what happens
// without it.
func runWithIMDS() {
	if err := withIMDS(os.Args[1:]); err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "vm:", err)
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
	started := make(chan error, 1)
	// The thread that makes the network is spent afterwards: it stays in there, and ends with its
	// goroutine. What it opened stays too.
	go func() {
		runtime.LockOSThread()
		started <- func() error {
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
		}()
	}()
	if err := <-started; err != nil {
		return err
	}
	for from, to := range forwards {
		go forward(listeners[from], to)
	}
	return command.Wait()
}

func hostOf(variable string) string {
	_, host, _ := strings.Cut(os.Getenv(variable), "://")
	return host
}

// forward passes connections on until the process ends.
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
			var both sync.WaitGroup
			for _, way := range [][2]*net.TCPConn{{up.(*net.TCPConn), c.(*net.TCPConn)}, {c.(*net.TCPConn), up.(*net.TCPConn)}} {
				both.Go(func() {
					io.Copy(way[0], way[1]) // its end is the other side's too
					way[0].CloseWrite()
				})
			}
			both.Wait()
		}()
	}
}

// addLoopbackAddress gives the loopback interface of this thread's network a further address, and
// turns it on.
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
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), call, uintptr(unsafe.Pointer(request))); errno != 0 {
			return errno
		}
		return nil
	}
	if err := set(unix.SIOCSIFADDR, label, func(r *unix.Ifreq) error { return r.SetInet4Addr(net.ParseIP(address).To4()) }); err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	return set(unix.SIOCSIFFLAGS, label, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
}
