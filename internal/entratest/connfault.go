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

// A ConnFault answers a request over HTTP/1.1 with faulty bytes. conn is a connection whose request
// was read, and response is the proper response. When the ConnFault returns, the server closes the
// connection. Writes fail once the client is gone or the server stops. The faults in [ConnFaults]
// need the conn that a Server passes; they cannot be called with another one.
type ConnFault func(conn io.Writer, response []byte)

// faultConn is the connection that a ConnFault writes to.
type faultConn struct {
	net.Conn
	moreInput <-chan struct{} // closed when the client sends more than its request, or hangs up
	hungUp    <-chan struct{} // closed when the client hangs up
}

// pause waits for d. It returns false if the client hangs up first.
func (c *faultConn) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.hungUp:
		return false
	}
}

func (c *faultConn) waitHangUp() { <-c.hungUp }

// Starts of responses, and the header that replaceOnce replaces.
const (
	okLine        = "HTTP/1.1 200 OK\r\n"
	okJSON        = okLine + "Content-Type: application/json\r\n"
	contentLength = "\r\nContent-Length: "
)

// ConnFaults has all connection faults by the names that scripts use.
//
// These end or delay the response:
//   - cut-at-once, cut-in-headers, cut-after-headers, cut-in-body, cut-last-byte: the connection
//     ends there.
//   - hang, hang-in-body: nothing more comes, and the connection stays open.
//   - slow-headers, slow-body: one byte comes every 50 ms.
//
// These never end:
//   - endless-headers, endless-header, endless-body: many headers, one long header, a body.
//   - early-hints: informational responses with status 103.
//   - bomb: a gzip body of 4 MiB that is 4 GiB when unpacked.
//
// These are not valid HTTP, or say something else than they send:
//   - long-length, short-length, two-lengths, negative-length, huge-length: Content-Length.
//   - token-as-length: the body is in the value of Content-Length.
//   - bad-chunks: Transfer-Encoding is chunked, but the body is not.
//   - odd-encoding: Transfer-Encoding is br, which does not exist.
//   - only-the-body, body-as-header: there are no headers, or there is no empty line after them.
//   - switching, switched: status 101 comes first; then the connection stays open, or ends.
//   - twice, trailing: the response again, or garbage, comes after the response.
//   - garbage-in-body: the body is JSON followed by garbage.
//
// These are for [Server.SetProxyFault]:
//   - page: an HTML page with status 200 in place of the tunnel.
//   - connected, connected-then-silence, connected-then-page, connected-then-garbage: the tunnel is
//     opened, and ends at once or leads to that.
var ConnFaults = map[string]ConnFault{
	"cut-at-once":       truncateAt(func(head, body int) int { return 0 }),
	"cut-in-headers":    truncateAt(func(head, body int) int { return head / 2 }),
	"cut-after-headers": truncateAt(func(head, body int) int { return head }),
	"cut-in-body":       truncateAt(func(head, body int) int { return head + body/2 }),
	"cut-last-byte":     truncateAt(func(head, body int) int { return head + body - 1 }),

	"hang": func(conn io.Writer, _ []byte) { hang(conn) },
	"hang-in-body": func(conn io.Writer, response []byte) {
		conn.Write(response[:len(response)-9])
		hang(conn)
	},
	"slow-headers": func(conn io.Writer, response []byte) { drip(conn, response) },
	"slow-body": func(conn io.Writer, response []byte) {
		head, body := splitResponse(response)
		conn.Write(head)
		drip(conn, body)
	},

	"endless-headers": func(conn io.Writer, _ []byte) {
		io.WriteString(conn, okLine)
		writeForever(conn, "X-Filler: "+strings.Repeat("a", 4000)+"\r\n")
	},
	"endless-header": func(conn io.Writer, _ []byte) {
		io.WriteString(conn, okLine+"X-Filler: ")
		writeForever(conn, strings.Repeat("a", 4000))
	},
	"early-hints": func(conn io.Writer, _ []byte) {
		writeForever(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
	},
	"endless-body": func(conn io.Writer, response []byte) {
		_, body := splitResponse(response)
		io.WriteString(conn, okJSON+"\r\n")
		conn.Write(bytes.TrimRight(body, "}\n"))
		writeForever(conn, strings.Repeat(" ", 4000))
	},
	"bomb": func(conn io.Writer, response []byte) {
		_, body := splitResponse(response)
		io.WriteString(conn, okJSON+"Content-Encoding: gzip\r\n\r\n")
		conn.Write(gzipBomb(bytes.TrimRight(body, "}\n"), 4096)) // 4 GiB
	},
	"long-length":     replaceOnce(contentLength, contentLength+"1"),
	"short-length":    replaceOnce(contentLength, contentLength+"5\r\nX-Length: "),
	"two-lengths":     replaceOnce(contentLength, contentLength+"5"+contentLength),
	"negative-length": replaceOnce(contentLength, contentLength+"-"),
	"huge-length":     replaceOnce(contentLength, contentLength+"99999999999999999999"),
	"bad-chunks":      replaceOnce(contentLength, "\r\nTransfer-Encoding: chunked\r\nX-Length: "),
	"odd-encoding":    replaceOnce(contentLength, "\r\nTransfer-Encoding: br\r\nX-Length: "),
	"token-as-length": func(conn io.Writer, response []byte) {
		_, body := splitResponse(response)
		fmt.Fprintf(conn, okLine+"Content-Length: %s\r\n\r\n", bytes.TrimSpace(body))
	},
	"only-the-body": func(conn io.Writer, response []byte) {
		_, body := splitResponse(response)
		conn.Write(append(bytes.TrimSpace(body), "\r\n\r\n"...))
	},
	"body-as-header": replaceOnce("\r\n\r\n", "\r\n"),
	"switching": func(conn io.Writer, response []byte) {
		switchProtocols(conn, response)
		hang(conn)
	},
	"switched": switchProtocols,
	"twice": func(conn io.Writer, response []byte) {
		conn.Write(slices.Concat(response, response))
	},
	"trailing": func(conn io.Writer, response []byte) {
		conn.Write(append(response, "\x00garbage"...))
	},
	"garbage-in-body": func(conn io.Writer, response []byte) {
		_, body := splitResponse(response)
		length := len(body) + len("garbage")
		fmt.Fprintf(conn, okLine+"Content-Length: %d\r\n\r\n%sgarbage", length, body)
	},

	// For [Server.SetProxyFault]:
	"page": func(conn io.Writer, _ []byte) {
		io.WriteString(conn, okLine+"Content-Type: text/html\r\n\r\n"+
			"<html>Welcome to the hotel</html>")
	},
	"connected": func(conn io.Writer, response []byte) { conn.Write(response) },
	"connected-then-silence": func(conn io.Writer, response []byte) {
		conn.Write(response)
		hang(conn)
	},
	"connected-then-page": func(conn io.Writer, response []byte) {
		answerTunnel(conn, response, "HTTP/1.1 403 Forbidden\r\n\r\n<html>")
	},
	"connected-then-garbage": func(conn io.Writer, response []byte) {
		answerTunnel(conn, response, "\x00\x01\x02\x03\x04\x05\x06\x07")
	},
}

func splitResponse(response []byte) (head, body []byte) {
	at := bytes.Index(response, []byte("\r\n\r\n")) + len("\r\n\r\n")
	return response[:at], response[at:]
}

// truncateAt sends the first bytes of the response, as many as at returns for the lengths of its
// head and body.
func truncateAt(at func(head, body int) int) ConnFault {
	return func(conn io.Writer, response []byte) {
		head, body := splitResponse(response)
		conn.Write(response[:at(len(head), len(body))])
	}
}

func replaceOnce(old, new string) ConnFault {
	return func(conn io.Writer, response []byte) {
		conn.Write(bytes.Replace(response, []byte(old), []byte(new), 1))
	}
}

func switchProtocols(conn io.Writer, response []byte) {
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	conn.Write(response)
}

// answerTunnel opens a tunnel, and answers the client's first bytes with text in place of the
// tunnel's other end.
func answerTunnel(conn io.Writer, response []byte, text string) {
	conn.Write(response)
	<-conn.(*faultConn).moreInput
	io.WriteString(conn, text)
	hang(conn) // with unread input, closing now would reset the connection
}

func hang(conn io.Writer) { conn.(*faultConn).waitHangUp() }

// drip writes one byte every 50 ms.
func drip(conn io.Writer, data []byte) {
	for i := range data {
		_, err := conn.Write(data[i : i+1])
		if err != nil || !conn.(*faultConn).pause(50*time.Millisecond) {
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

// gzipBomb returns gzip data of prefix and then that many mebibytes of spaces, about a thousandth
// in size. It compresses one mebibyte and repeats the result, because that is fast.
func gzipBomb(prefix []byte, mebibytes int) []byte {
	var all, block bytes.Buffer
	all.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff})
	w, _ := flate.NewWriter(&all, flate.BestCompression) // fails only for an invalid level
	spaces := bytes.Repeat([]byte(" "), 1<<20)
	w.Write(prefix)
	w.Write(spaces) // fills the window, so that all blocks after it are equal
	w.Flush()
	before := all.Len()
	w.Write(spaces)
	w.Flush()
	block.Write(all.Bytes()[before:])
	for range mebibytes {
		all.Write(block.Bytes())
	}
	return all.Bytes()
}
