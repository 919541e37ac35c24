package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// runWithDNS runs a command where a DNS of its own says what names mean: names NAME=RULE... --
// COMMAND [ARGUMENT...]. It is in a network of its own, in which the emulator at $ENTRA answers at
// 127.0.0.1:443, somebody else at 127.0.0.2:443, and nobody anywhere else. It needs root.
//
// A rule is a word of rcodes or faults below, or addresses with commas between them; rules with |
// between them count for one question after the other, and the last for all after it. Names without
// a rule do not exist.
func runWithDNS() {
	if err := withDNS(os.Args[1:]); err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "names:", err)
		os.Exit(70)
	}
}

var rcodes = map[string]dnsmessage.RCode{"nxdomain": dnsmessage.RCodeNameError, "servfail": dnsmessage.RCodeServerFailure, "refused": dnsmessage.RCodeRefused}

func withDNS(args []string) error {
	end := slices.Index(args, "--")
	zone := &zone{rules: map[string][]string{}}
	for _, arg := range args[:end] {
		name, rule, _ := strings.Cut(arg, "=")
		zone.rules[name+"."] = strings.Split(rule, "|")
	}
	stranger, err := impostorCertificate()
	if err != nil {
		return err
	}
	etc, err := os.MkdirTemp("", "names")
	if err != nil {
		return err
	}
	defer os.RemoveAll(etc)
	for file, content := range map[string]string{"resolv.conf": "nameserver 127.0.0.1\n", "nsswitch.conf": "hosts: files dns\n", "hosts": "127.0.0.1 localhost\n"} {
		if err := os.WriteFile(filepath.Join(etc, file), []byte(content), 0o644); err != nil {
			return err
		}
	}
	var (
		entra, other, tcp net.Listener
		udp               net.PacketConn
	)
	command := exec.Command(args[end+1], args[end+2:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	started := make(chan error, 1)
	go func() { // see withIMDS
		runtime.LockOSThread()
		started <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			for _, file := range []string{"resolv.conf", "nsswitch.conf", "hosts"} {
				err := unix.Mount(filepath.Join(etc, file), filepath.Join("/etc", file), "", unix.MS_BIND, "")
				if err != nil && !(file == "nsswitch.conf" && errors.Is(err, unix.ENOENT)) { // some images have none, and mean the same
					return fmt.Errorf("/etc/%s: %w", file, err)
				}
			}
			if err := addLoopbackAddress("127.0.0.1"); err != nil {
				return err
			}
			var errs [4]error
			entra, errs[0] = net.Listen("tcp4", "127.0.0.1:443")
			other, errs[1] = net.Listen("tcp4", "127.0.0.2:443")
			tcp, errs[2] = net.Listen("tcp4", "127.0.0.1:53")
			udp, errs[3] = net.ListenPacket("udp4", "127.0.0.1:53")
			if err := errors.Join(errs[:]...); err != nil {
				return err
			}
			return command.Start()
		}()
	}()
	if err := <-started; err != nil {
		return err
	}
	go forward(entra, hostOf("ENTRA"))
	go serveImpostor(tls.NewListener(other, &tls.Config{Certificates: []tls.Certificate{stranger}}))
	go zone.serveUDP(udp)
	go zone.serveTCP(tcp)
	return command.Wait()
}

// impostorCertificate is for another name, and of no CA.
func impostorCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"stranger.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// serveImpostor says so when it gets anything to read.
func serveImpostor(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			if n, _ := conn.Read(make([]byte, 1)); n > 0 {
				fmt.Fprintln(os.Stderr, "names: a stranger was told something")
			}
		}()
	}
}

// zone is what a DNS server says.
type zone struct {
	mu    sync.Mutex
	rules map[string][]string
}

// rule is the one for a question; both kinds of addresses are asked for at once, and one of them
// counts.
func (z *zone) rule(q dnsmessage.Question) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	rules := z.rules[q.Name.String()]
	if len(rules) == 0 {
		return "nxdomain"
	}
	if len(rules) > 1 && q.Type == dnsmessage.TypeA {
		z.rules[q.Name.String()] = rules[1:]
	}
	return rules[0]
}

func (z *zone) serveUDP(conn net.PacketConn) {
	for packet := make([]byte, 4096); ; {
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		if said := z.answer(packet[:n], true); said != nil {
			conn.WriteTo(said, from)
		}
	}
}

func (z *zone) serveTCP(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			var length [2]byte
			if _, err := io.ReadFull(conn, length[:]); err != nil {
				return
			}
			question := make([]byte, int(length[0])<<8|int(length[1]))
			if _, err := io.ReadFull(conn, question); err != nil {
				return
			}
			if said := z.answer(question, false); said != nil {
				conn.Write(append([]byte{byte(len(said) >> 8), byte(len(said))}, said...))
			}
		}()
	}
}

// answer is what is said to a question; nil: nothing.
func (z *zone) answer(question []byte, udp bool) []byte {
	var asked dnsmessage.Message
	if asked.Unpack(question) != nil || len(asked.Questions) != 1 {
		return nil
	}
	q := asked.Questions[0]
	said := dnsmessage.Message{Header: dnsmessage.Header{ID: asked.ID, Response: true, RecursionDesired: true, RecursionAvailable: true}, Questions: asked.Questions}
	rule := z.rule(q)
	rule, large := strings.CutPrefix(rule, "large:")
	rcode, failed := rcodes[rule]
	switch {
	case rule == "silent":
		return nil
	case rule == "garbage":
		return []byte("this is no DNS")
	case rule == "stranger": // an answer to another question
		said.ID++
	case failed:
		said.RCode = rcode
	case large && udp: // does not fit: ask again by TCP
		said.Truncated = true
	default:
		for _, text := range strings.Split(rule, ",") {
			address := netip.MustParseAddr(text)
			header := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}
			switch {
			case address.Is4() && q.Type == dnsmessage.TypeA:
				said.Answers = append(said.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: address.As4()}})
			case address.Is6() && q.Type == dnsmessage.TypeAAAA:
				said.Answers = append(said.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}})
			}
		}
	}
	packed, err := said.Pack()
	if err != nil {
		return nil
	}
	return packed
}
