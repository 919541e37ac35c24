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

	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// runWithDNS runs a command with its own DNS server: with-dns NAME=RULE... -- COMMAND
// [ARGUMENT...]. It needs root. The command has a network namespace of its own, in which
// 127.0.0.1:443 forwards to the emulator at $ENTRA, and an impostor listens on 127.0.0.2:443.
// Nothing else is reachable.
//
// A rule is a key of rcodes, one of the faults in zone.answer, or a comma-separated list of
// addresses, with large: before it if it does not fit in a UDP response. Rules separated by |
// answer one query after another, the last one all later queries. A name without a rule does not
// exist.
func runWithDNS() {
	if err := withDNS(os.Args[1:]); err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "with-dns:", err)
		os.Exit(70)
	}
}

var rcodes = map[string]dnsmessage.RCode{
	"nxdomain": dnsmessage.RCodeNameError,
	"servfail": dnsmessage.RCodeServerFailure,
	"refused":  dnsmessage.RCodeRefused,
}

// resolverFiles are the files below /etc that name the DNS server.
var resolverFiles = map[string]string{
	"resolv.conf":   "nameserver 127.0.0.1\n",
	"nsswitch.conf": "hosts: files dns\n",
	"hosts":         "127.0.0.1 localhost\n",
}

func withDNS(args []string) error {
	end := slices.Index(args, "--")
	zone := &zone{rules: map[string][]string{}}
	for _, arg := range args[:end] {
		name, rule, _ := strings.Cut(arg, "=")
		zone.rules[name+"."] = strings.Split(rule, "|")
	}
	certificate, err := impostorCertificate()
	if err != nil {
		return err
	}
	etc, err := os.MkdirTemp("", "with-dns")
	if err != nil {
		return err
	}
	defer os.RemoveAll(etc)
	for file, content := range resolverFiles {
		if err := os.WriteFile(filepath.Join(etc, file), []byte(content), 0o644); err != nil {
			return err
		}
	}
	var (
		entra, impostor, tcp net.Listener
		udp                  net.PacketConn
	)
	command := exec.Command(args[end+1], args[end+2:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = onDiscardedThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := mountResolverFiles(etc); err != nil {
			return err
		}
		if err := addLoopbackAddress("127.0.0.1"); err != nil {
			return err
		}
		var errs [4]error
		entra, errs[0] = net.Listen("tcp4", "127.0.0.1:443")
		impostor, errs[1] = net.Listen("tcp4", "127.0.0.2:443")
		tcp, errs[2] = net.Listen("tcp4", "127.0.0.1:53")
		udp, errs[3] = net.ListenPacket("udp4", "127.0.0.1:53")
		if err := errors.Join(errs[:]...); err != nil {
			return err
		}
		return command.Start()
	})
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	go forward(entra, hostOf("ENTRA"))
	go serveImpostor(tls.NewListener(impostor, config))
	go zone.serveUDP(udp)
	go zone.serveTCP(tcp)
	return command.Wait()
}

// mountResolverFiles mounts the resolver's files in a folder over those in /etc, for this thread's
// mount namespace only.
func mountResolverFiles(folder string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for file := range resolverFiles {
		path := filepath.Join("/etc", file)
		err := unix.Mount(filepath.Join(folder, file), path, "", unix.MS_BIND, "")
		if file == "nsswitch.conf" && errors.Is(err, unix.ENOENT) {
			continue // some images have no such file, and resolve names in the same order
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// impostorCertificate returns a self-signed certificate for an unrelated name.
func impostorCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"impostor.example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// serveImpostor reports on standard error that it received data, which must never happen.
func serveImpostor(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			if n, _ := conn.Read(make([]byte, 1)); n > 0 {
				fmt.Fprintln(os.Stderr, "with-dns: the impostor received data")
			}
		}()
	}
}

// zone is a DNS server's rules by name.
type zone struct {
	mu    sync.Mutex
	rules map[string][]string
}

// rule returns the rule for a question. Clients ask for IPv4 and IPv6 addresses in parallel; the
// question for IPv4 moves on to the next rule.
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
		if response := z.answer(packet[:n], true); response != nil {
			conn.WriteTo(response, from)
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
			query := make([]byte, int(length[0])<<8|int(length[1]))
			if _, err := io.ReadFull(conn, query); err != nil {
				return
			}
			if response := z.answer(query, false); response != nil {
				length[0], length[1] = byte(len(response)>>8), byte(len(response))
				conn.Write(append(length[:], response...))
			}
		}()
	}
}

// answer returns the response to a query, nil for no response.
func (z *zone) answer(packet []byte, udp bool) []byte {
	var query dnsmessage.Message
	if query.Unpack(packet) != nil || len(query.Questions) != 1 {
		return nil
	}
	q := query.Questions[0]
	response := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: query.ID, Response: true, RecursionDesired: true, RecursionAvailable: true,
		},
		Questions: query.Questions,
	}
	rule := z.rule(q)
	rule, large := strings.CutPrefix(rule, "large:")
	rcode, failed := rcodes[rule]
	switch {
	case rule == "silent":
		return nil
	case rule == "garbage":
		return []byte("this is no DNS")
	case rule == "wrong-id": // the response to another query
		response.ID++
	case failed:
		response.RCode = rcode
	case large && udp: // tells the client to ask again over TCP
		response.Truncated = true
	default:
		for _, text := range strings.Split(rule, ",") {
			address := netip.MustParseAddr(text)
			header := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}
			var body dnsmessage.ResourceBody
			switch {
			case address.Is4() && q.Type == dnsmessage.TypeA:
				body = &dnsmessage.AResource{A: address.As4()}
			case address.Is6() && q.Type == dnsmessage.TypeAAAA:
				body = &dnsmessage.AAAAResource{AAAA: address.As16()}
			default:
				continue
			}
			resource := dnsmessage.Resource{Header: header, Body: body}
			response.Answers = append(response.Answers, resource)
		}
	}
	packed, err := response.Pack()
	if err != nil {
		return nil
	}
	return packed
}
