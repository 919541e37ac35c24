package entratest

import (
	"bufio"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// A Wire is what becomes of an answer on its way, byte by byte: it gets a connection of HTTP/1.1
// whose request was read and the proper answer, and returns when the connection is to be closed.
// Its writes fail when the client is gone or the server is stopped.
type ConnFault func(conn io.Writer, good []byte)

// faultConn is a connection that a Wire writes to.
type faultConn struct {
	net.Conn
	moreInput <-chan struct{} // the client has said more than its request, or has hung up
	hungUp    <-chan struct{} // it has hung up
}

// pause is false when the other side has hung up before d was over.
func (l *faultConn) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.hungUp:
		return false
	}
}

func (l *faultConn) waitHangUp() { <-l.hungUp }

// ConnFaults are what becomes of answers, by names for scripts.
var ConnFaults = map[string]ConnFault{
	"cut-at-once":       truncateAt(func(head, body int) int { return 0 }),
	"cut-in-headers":    truncateAt(func(head, body int) int { return head / 2 }),
	"cut-after-headers": truncateAt(func(head, body int) int { return head }),
	"cut-in-body":       truncateAt(func(head, body int) int { return head + body/2 }),
	"cut-last-byte":     truncateAt(func(head, body int) int { return head + body - 1 }),

	"hang":         func(conn io.Writer, _ []byte) { hang(conn) },
	"hang-in-body": func(conn io.Writer, good []byte) { conn.Write(good[:len(good)-9]); hang(conn) },
	"slow-headers": func(conn io.Writer, good []byte) { drip(conn, good) },
	"slow-body": func(conn io.Writer, good []byte) {
		head, body := splitResponse(good)
		conn.Write(head)
		drip(conn, body)
	},

	"endless-headers": func(conn io.Writer, good []byte) {
		conn.Write([]byte("HTTP/1.1 200 OK\r\n"))
		writeForever(conn, "X-Filler: "+strings.Repeat("a", 4000)+"\r\n")
	},
	"endless-header": func(conn io.Writer, good []byte) {
		conn.Write([]byte("HTTP/1.1 200 OK\r\nX-Filler: "))
		writeForever(conn, strings.Repeat("a", 4000))
	},
	"early-hints": func(conn io.Writer, good []byte) {
		writeForever(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
	},
	"endless-body": func(conn io.Writer, good []byte) {
		_, body := splitResponse(good)
		conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"))
		conn.Write(bytes.TrimRight(body, "}\n"))
		writeForever(conn, strings.Repeat(" ", 4000))
	},
	"bomb": func(conn io.Writer, good []byte) {
		_, body := splitResponse(good)
		conn.Write(
			[]byte(
				"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n",
			),
		)
		conn.Write(gzipBomb(bytes.TrimRight(body, "}\n"), 4096)) // 4 GiB
	},
	"long-length":  replaceOnce("\r\nContent-Length: ", "\r\nContent-Length: 1"),
	"short-length": replaceOnce("\r\nContent-Length: ", "\r\nContent-Length: 5\r\nX-Length: "),
	"two-lengths": replaceOnce(
		"\r\nContent-Length: ",
		"\r\nContent-Length: 5\r\nContent-Length: ",
	),
	"negative-length": replaceOnce("\r\nContent-Length: ", "\r\nContent-Length: -"),
	"huge-length": replaceOnce(
		"\r\nContent-Length: ",
		"\r\nContent-Length: 99999999999999999999",
	),
	"bad-chunks": replaceOnce(
		"\r\nContent-Length: ",
		"\r\nTransfer-Encoding: chunked\r\nX-Length: ",
	),
	"odd-encoding": replaceOnce(
		"\r\nContent-Length: ",
		"\r\nTransfer-Encoding: br\r\nX-Length: ",
	),
	"token-as-length": func(conn io.Writer, good []byte) {
		_, body := splitResponse(good)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", bytes.TrimSpace(body))
	},
	"only-the-body": func(conn io.Writer, good []byte) {
		_, body := splitResponse(good)
		conn.Write(append(bytes.TrimSpace(body), "\r\n\r\n"...))
	},
	"body-as-header": replaceOnce("\r\n\r\n", "\r\n"),
	"switching":      func(conn io.Writer, good []byte) { switchProtocols(conn, good); hang(conn) },
	"switched":       switchProtocols,
	"twice":          func(conn io.Writer, good []byte) { conn.Write(slices.Concat(good, good)) },
	"trailing":       func(conn io.Writer, good []byte) { conn.Write(append(good, "\x00garbage"...)) },
	"garbage-in-body": func(conn io.Writer, good []byte) {
		_, body := splitResponse(good)
		fmt.Fprintf(
			conn,
			"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%sgarbage",
			len(body)+len("garbage"),
			body,
		)
	},

	// A proxy's:
	"page": func(conn io.Writer, _ []byte) {
		io.WriteString(
			conn,
			"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Welcome to the hotel</html>",
		)
	},
	"connected":              func(conn io.Writer, good []byte) { conn.Write(good) },
	"connected-then-silence": func(conn io.Writer, good []byte) { conn.Write(good); hang(conn) },
	"connected-then-page":    func(conn io.Writer, good []byte) { answerTunnel(conn, good, "HTTP/1.1 403 Forbidden\r\n\r\n<html>") },
	"connected-then-garbage": func(conn io.Writer, good []byte) { answerTunnel(conn, good, "\x00\x01\x02\x03\x04\x05\x06\x07") },
}

func splitResponse(good []byte) (head, body []byte) {
	at := bytes.Index(good, []byte("\r\n\r\n")) + len("\r\n\r\n")
	return good[:at], good[at:]
}

func truncateAt(at func(head, body int) int) ConnFault {
	return func(conn io.Writer, good []byte) {
		head, body := splitResponse(good)
		conn.Write(good[:at(len(head), len(body))])
	}
}

func replaceOnce(old, new string) ConnFault {
	return func(conn io.Writer, good []byte) { conn.Write(bytes.Replace(good, []byte(old), []byte(new), 1)) }
}

func switchProtocols(conn io.Writer, good []byte) {
	io.WriteString(
		conn,
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	)
	conn.Write(good)
}

// answerTunnel says that a connection stands, and answers in the place of who should be at its
// other end.
func answerTunnel(conn io.Writer, good []byte, then string) {
	conn.Write(good)
	<-conn.(*faultConn).moreInput
	io.WriteString(conn, then)
	hang(conn) // closing now would make a reset of what was not read
}

func hang(conn io.Writer) { conn.(*faultConn).waitHangUp() }

// drip writes a byte now and then.
func drip(conn io.Writer, all []byte) {
	for i := range all {
		if _, err := conn.Write(
			all[i : i+1],
		); err != nil ||
			!conn.(*faultConn).pause(50*time.Millisecond) {
			return
		}
	}
}

func writeForever(conn io.Writer, text string) {
	w := bufio.NewWriterSize(conn, 1<<16)
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
	}
}

// gzipBomb is gzip of begin and so many mebibytes of blanks, a thousandth of that in size. Blocks
// of blanks are alike, so that it is made in no time.
func gzipBomb(begin []byte, mebibytes int) []byte {
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
