package entratest

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// weather is how connections are from now on. Guarded by Server.mu.
type weather struct {
	main     *authority
	protocol string // the only one of ALPN; "": HTTP/2 and HTTP/1.1
	version  uint16 // the only one of TLS; 0: 1.2 and newer
	password string // USER:PASSWORD that the CONNECT proxy wants; "": none
	foul     Wire   // what the CONNECT proxy does in place of connecting; nil: it connects
}

// SetProtocol makes the main listener speak "h2" or "http/1.1" only; "" lifts that.
func (s *Server) SetProtocol(alpn string) { s.set(func(k *knobs) { k.weather.protocol = alpn }) }

// SetTLSVersion makes the main listener speak one version of TLS, as tls.VersionTLS11, and no other; 0 lifts that.
func (s *Server) SetTLSVersion(version uint16) { s.set(func(k *knobs) { k.weather.version = version }) }

// SetCertificateLife makes the certificates of the main listener ones that are good between two times; zero times lift that.
func (s *Server) SetCertificateLife(from, until time.Time) {
	a := s.weather.main
	a.mu.Lock()
	defer a.mu.Unlock()
	a.from, a.until, a.minted = from, until, map[string]*tls.Certificate{}
}

// tlsFor is the main listener's configuration for a connection.
func (s *Server) tlsFor(certs certificates) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(*tls.ClientHelloInfo) (*tls.Config, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: certs}
		if s.weather.protocol != "" {
			c.NextProtos = []string{s.weather.protocol}
		}
		if s.weather.version != 0 {
			c.MinVersion, c.MaxVersion = s.weather.version, s.weather.version
		}
		return c, nil
	}
}

// OpenTLS makes the CONNECT proxy one that opens TLS: it shows certificates of a certificate authority of its own. It returns that one's file.
func (s *Server) OpenTLS() (caFile string) {
	company := newAuthority(s.tb, "Company Proxy CA")
	ln := s.listen()
	srv := s.serveTLS(ln, s.mainCertificate(company), http.HandlerFunc(s.serveMain))
	s.tb.Cleanup(func() { srv.Close() })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxy.target = ln.Addr().String()
	return s.writeFile(s.tb.TempDir(), "company-ca.pem", company.pem)
}

// SetProxyPassword makes the CONNECT proxy want a user and a password; "" lifts that.
func (s *Server) SetProxyPassword(user, password string) {
	s.set(func(k *knobs) { k.weather.password = strings.TrimSuffix(user+":"+password, ":") })
}

// SetProxyWire makes the CONNECT proxy do something else than connecting; nil lifts that. good is its proper answer.
func (s *Server) SetProxyWire(w Wire) { s.set(func(k *knobs) { k.weather.foul = w }) }

// foulProxy is true when the CONNECT request has been dealt with.
func (s *Server) foulProxy(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	password, foul := s.weather.password, s.weather.foul
	s.mu.Unlock()
	shown := r.Header.Get("Proxy-Authorization")
	if password != "" && shown != "Basic "+base64.StdEncoding.EncodeToString([]byte(password)) {
		w.Header().Set("Proxy-Authenticate", `Basic realm="company"`)
		w.Header().Set("X-You-Said", shown) // as some do
		http.Error(w, "not with "+shown, http.StatusProxyAuthRequired)
		return true
	}
	if foul != nil {
		s.onWire(w, foul, []byte("HTTP/1.1 200 Connection established\r\n\r\n"))
	}
	return foul != nil
}

// A Wire is what becomes of an answer on its way, byte by byte: it gets a connection of HTTP/1.1 whose request was read and the proper answer,
// and returns when the connection is to be closed. Its writes fail when the client is gone or the server is stopped.
type Wire func(conn io.Writer, good []byte)

// FailWire makes the next n token requests that would be granted meet w; the connections have to be HTTP/1.1.
func (s *Server) FailWire(n int, w Wire) {
	s.set(func(k *knobs) { k.failures = append(k.failures, repeat(n, Failure{wire: w})...) })
}

// Calm forgets the failures that were not met yet.
func (s *Server) Calm() { s.set(func(k *knobs) { k.failures = nil }) }

// recorder is an answer in memory.
type recorder struct {
	bytes.Buffer
	header http.Header
	status int
}

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }

// answerOnWire sends a granted answer by way of w.
func (s *Server) answerOnWire(w http.ResponseWriter, wire Wire, t *tokenRequest) {
	r := &recorder{header: http.Header{}}
	s.answer(r, t)
	good := bytes.NewBufferString("HTTP/1.1 200 OK\r\n")
	r.header.Set("Content-Length", fmt.Sprint(r.Len()))
	r.header.Set("Connection", "close")
	r.header.Write(good) // to memory
	good.WriteString("\r\n")
	good.Write(r.Bytes())
	s.onWire(w, wire, good.Bytes())
}

func (s *Server) onWire(w http.ResponseWriter, wire Wire, good []byte) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.tb.Errorf("entratest: a Wire needs HTTP/1.1: %v", err)
		return
	}
	defer s.keep(conn)()
	heard, gone := make(chan struct{}), make(chan struct{})
	go func() {
		io.CopyN(io.Discard, conn, 1)
		close(heard)
		io.Copy(io.Discard, conn) // the client hangs up, or we do
		close(gone)
	}()
	wire(&line{conn, heard, gone}, good)
	conn.Close()
	<-gone
}

// line is a connection that a Wire writes to.
type line struct {
	net.Conn
	heard <-chan struct{} // the client has said more than its request, or has hung up
	gone  <-chan struct{} // it has hung up
}

// pause is false when the other side has hung up before d was over.
func (l *line) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.gone:
		return false
	}
}

func (l *line) hang() { <-l.gone }

// Wires are what becomes of answers, by names for scripts.
var Wires = map[string]Wire{
	"cut-at-once":       cut(func(head, body int) int { return 0 }),
	"cut-in-headers":    cut(func(head, body int) int { return head / 2 }),
	"cut-after-headers": cut(func(head, body int) int { return head }),
	"cut-in-body":       cut(func(head, body int) int { return head + body/2 }),
	"cut-last-byte":     cut(func(head, body int) int { return head + body - 1 }),

	"hang":         func(conn io.Writer, _ []byte) { hang(conn) },
	"hang-in-body": func(conn io.Writer, good []byte) { conn.Write(good[:len(good)-9]); hang(conn) },
	"slow-headers": func(conn io.Writer, good []byte) { drip(conn, good) },
	"slow-body": func(conn io.Writer, good []byte) {
		head, body := split(good)
		conn.Write(head)
		drip(conn, body)
	},

	"endless-headers": func(conn io.Writer, good []byte) {
		conn.Write([]byte("HTTP/1.1 200 OK\r\n"))
		repeatedly(conn, "X-Filler: "+strings.Repeat("a", 4000)+"\r\n")
	},
	"endless-header": func(conn io.Writer, good []byte) {
		conn.Write([]byte("HTTP/1.1 200 OK\r\nX-Filler: "))
		repeatedly(conn, strings.Repeat("a", 4000))
	},
	"early-hints": func(conn io.Writer, good []byte) {
		repeatedly(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
	},
	"endless-body": func(conn io.Writer, good []byte) {
		_, body := split(good)
		conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"))
		conn.Write(bytes.TrimRight(body, "}\n"))
		repeatedly(conn, strings.Repeat(" ", 4000))
	},
	"bomb": func(conn io.Writer, good []byte) {
		_, body := split(good)
		conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n"))
		conn.Write(bomb(bytes.TrimRight(body, "}\n"), 4096)) // 4 GiB
	},
	"long-length":     replace("\r\nContent-Length: ", "\r\nContent-Length: 1"),
	"short-length":    replace("\r\nContent-Length: ", "\r\nContent-Length: 5\r\nX-Length: "),
	"two-lengths":     replace("\r\nContent-Length: ", "\r\nContent-Length: 5\r\nContent-Length: "),
	"negative-length": replace("\r\nContent-Length: ", "\r\nContent-Length: -"),
	"huge-length":     replace("\r\nContent-Length: ", "\r\nContent-Length: 99999999999999999999"),
	"bad-chunks":      replace("\r\nContent-Length: ", "\r\nTransfer-Encoding: chunked\r\nX-Length: "),
	"odd-encoding":    replace("\r\nContent-Length: ", "\r\nTransfer-Encoding: br\r\nX-Length: "),
	"token-as-length": func(conn io.Writer, good []byte) {
		_, body := split(good)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", bytes.TrimSpace(body))
	},
	"only-the-body": func(conn io.Writer, good []byte) {
		_, body := split(good)
		conn.Write(append(bytes.TrimSpace(body), "\r\n\r\n"...))
	},
	"body-as-header": replace("\r\n\r\n", "\r\n"),
	"switching":      func(conn io.Writer, good []byte) { switchTo(conn, good); hang(conn) },
	"switched":       switchTo,
	"twice":          func(conn io.Writer, good []byte) { conn.Write(slices.Concat(good, good)) },
	"trailing":       func(conn io.Writer, good []byte) { conn.Write(append(good, "\x00garbage"...)) },
	"garbage-in-body": func(conn io.Writer, good []byte) {
		_, body := split(good)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%sgarbage", len(body)+len("garbage"), body)
	},

	// A proxy's:
	"page": func(conn io.Writer, _ []byte) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Welcome to the hotel</html>")
	},
	"connected":              func(conn io.Writer, good []byte) { conn.Write(good) },
	"connected-then-silence": func(conn io.Writer, good []byte) { conn.Write(good); hang(conn) },
	"connected-then-page":    func(conn io.Writer, good []byte) { tunnel(conn, good, "HTTP/1.1 403 Forbidden\r\n\r\n<html>") },
	"connected-then-garbage": func(conn io.Writer, good []byte) { tunnel(conn, good, "\x00\x01\x02\x03\x04\x05\x06\x07") },
}

func split(good []byte) (head, body []byte) {
	at := bytes.Index(good, []byte("\r\n\r\n")) + len("\r\n\r\n")
	return good[:at], good[at:]
}

func cut(at func(head, body int) int) Wire {
	return func(conn io.Writer, good []byte) {
		head, body := split(good)
		conn.Write(good[:at(len(head), len(body))])
	}
}

func replace(old, new string) Wire {
	return func(conn io.Writer, good []byte) { conn.Write(bytes.Replace(good, []byte(old), []byte(new), 1)) }
}

func switchTo(conn io.Writer, good []byte) {
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	conn.Write(good)
}

// tunnel says that a connection stands, and answers in the place of who should be at its other end.
func tunnel(conn io.Writer, good []byte, then string) {
	conn.Write(good)
	<-conn.(*line).heard
	io.WriteString(conn, then)
	hang(conn) // closing now would make a reset of what was not read
}

func hang(conn io.Writer) { conn.(*line).hang() }

// drip writes a byte now and then.
func drip(conn io.Writer, all []byte) {
	for i := range all {
		if _, err := conn.Write(all[i : i+1]); err != nil || !conn.(*line).pause(50*time.Millisecond) {
			return
		}
	}
}

func repeatedly(conn io.Writer, text string) {
	w := bufio.NewWriterSize(conn, 1<<16)
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
	}
}

// bomb is gzip of begin and so many mebibytes of blanks, a thousandth of that in size. Blocks of blanks are alike, so that it is made in no time.
func bomb(begin []byte, mebibytes int) []byte {
	var all, block bytes.Buffer
	all.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff})
	w, _ := flate.NewWriter(&all, flate.BestCompression) // the level is one
	blanks := bytes.Repeat([]byte(" "), 1<<20)
	w.Write(begin)
	w.Write(blanks) // the window is full of them
	w.Flush()
	before := all.Len()
	w.Write(blanks)
	w.Flush()
	block.Write(all.Bytes()[before:])
	for range mebibytes {
		all.Write(block.Bytes())
	}
	return all.Bytes()
}
