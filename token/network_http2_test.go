package token_test

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/token"
	"golang.org/x/net/http2"
)

// http2Case is an unusual HTTP/2 response. After it the server keeps the connection open and sends
// nothing. A login must end in time, whether one request or every request gets such a response.
type http2Case struct {
	name      string
	write     func(f *http2.Framer)       // writes the response
	flood     func(f *http2.Framer) error // if not nil, then called until the client hangs up
	complete  bool                        // the response holds a token all the same
	permanent bool                        // the client does not retry
	timesOut  bool                        // only the client's timeout ends the request
}

func writeEndlessBody(f *http2.Framer) error {
	return f.WriteData(1, false, []byte(strings.Repeat(" ", 16<<10)))
}

// writeOpenHeaders writes a HEADERS frame that CONTINUATION frames must follow.
func writeOpenHeaders(f *http2.Framer) {
	f.WriteSettings()
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers(":status", "200")})
}

func writeSettings(f *http2.Framer) { f.WriteSettings() }

var http2Cases = []http2Case{
	{name: "GOAWAY before the response, request not processed", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteGoAway(0, http2.ErrCodeNo, nil)
	}},
	{name: "GOAWAY before the response, request processed", timesOut: true, write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteGoAway(1, http2.ErrCodeInternal, []byte("token "+shortToken))
	}},
	{name: "GOAWAY with ENHANCE_YOUR_CALM", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil)
	}},
	{name: "GOAWAY in the middle of the response", complete: true, write: func(f *http2.Framer) {
		writeGoodHeaders(f)
		f.WriteGoAway(1, http2.ErrCodeNo, nil)
		f.WriteData(1, true, []byte(shortResponse))
	}},
	{name: "reset at once", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteRSTStream(1, http2.ErrCodeInternal)
	}},
	{name: "REFUSED_STREAM", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteRSTStream(1, http2.ErrCodeRefusedStream)
	}},
	{name: "HTTP_1_1_REQUIRED", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteRSTStream(1, http2.ErrCodeHTTP11Required)
	}},
	{name: "reset after the headers", write: func(f *http2.Framer) {
		writeGoodHeaders(f)
		f.WriteRSTStream(1, http2.ErrCodeCancel)
	}},
	{name: "reset in the body", write: func(f *http2.Framer) {
		writeGoodHeaders(f)
		f.WriteData(1, false, []byte(shortResponse[:70]))
		f.WriteRSTStream(1, http2.ErrCodeNo)
	}},
	{name: "reset after the end", complete: true, write: func(f *http2.Framer) {
		writeGoodResponse(f)
		f.WriteRSTStream(1, http2.ErrCodeNo)
	}},
	{name: "longer than its length", write: func(f *http2.Framer) {
		f.WriteSettings()
		writeHeaders(f, ":status", "200", "content-length", "5")
		f.WriteData(1, true, []byte(shortResponse))
	}},
	{name: "shorter than its length", write: func(f *http2.Framer) {
		f.WriteSettings()
		writeHeaders(f, ":status", "200", "content-length", "5000")
		f.WriteData(1, true, []byte(shortResponse))
	}},
	{name: "body without headers", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteData(1, true, []byte(shortResponse))
	}},
	{name: "body of another stream", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteData(3, true, []byte(shortResponse))
	}},
	{name: "server push", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WritePushPromise(http2.PushPromiseParam{
			StreamID:      1,
			PromiseID:     2,
			EndHeaders:    true,
			BlockFragment: headers(":method", "GET", ":path", "/"),
		})
	}},
	{name: "not HTTP/2", write: func(f *http2.Framer) {
		f.WriteRawFrame('H', 'T', 1<<30, []byte("TP/1.1 400 "+shortToken))
	}},
	{name: "unknown frame type", complete: true, write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteRawFrame(99, 7, 1, []byte(shortToken))
		writeGoodResponse(f)
	}},
	{name: "no response", timesOut: true, write: writeSettings},
	{name: "half a response", timesOut: true, write: func(f *http2.Framer) {
		writeGoodHeaders(f)
		f.WriteData(1, false, []byte(shortResponse[:70]))
	}},
	{name: "endless body", permanent: true, write: writeGoodHeaders, flood: writeEndlessBody},
	{name: "endless body of empty frames", timesOut: true, write: writeGoodHeaders, flood: func(f *http2.Framer) error {
		return f.WriteData(1, false, nil)
	}},
	{name: "endless headers", write: writeOpenHeaders, flood: func(f *http2.Framer) error {
		return f.WriteContinuation(1, false, headers("x-token", strings.Repeat("a", 16000)))
	}},
	{name: "endless headers of empty frames", timesOut: true, write: writeOpenHeaders, flood: func(f *http2.Framer) error {
		return f.WriteContinuation(1, false, nil)
	}},
	{name: "endless early hints", timesOut: true, write: writeSettings, flood: func(f *http2.Framer) error {
		return writeHeaders(f, ":status", "103", "link", strings.Repeat("a", 1000))
	}},
	{name: "endless pings", timesOut: true, write: writeSettings, flood: func(f *http2.Framer) error {
		return f.WritePing(false, [8]byte{})
	}},
	{name: "endless settings", timesOut: true, write: func(*http2.Framer) {}, flood: func(f *http2.Framer) error {
		return f.WriteSettings()
	}},
}

// respond writes the response and waits until the client hangs up.
func (c http2Case) respond(conn *tls.Conn) {
	closed := make(chan struct{})
	go func() {
		io.Copy(io.Discard, conn) // acknowledgements and pongs
		close(closed)
	}()
	f := http2.NewFramer(conn, nil)
	f.AllowIllegalWrites = true
	c.write(f)
	for c.flood != nil && c.flood(f) == nil {
	}
	<-closed
}

func TestUnusualHTTP2ResponsesEndInTime(t *testing.T) {
	for _, unusual := range http2Cases {
		t.Run(unusual.name, func(t *testing.T) {
			t.Parallel()
			s := newRawServer(t, "h2")
			c := newTestCaller(t, s)
			respondUnusually := func(times int) {
				s.connections.Store(0)
				s.respondWith(func(conn *tls.Conn, n int) {
					if n > times {
						conn.Write(frames(writeGoodResponse))
						return
					}
					unusual.respond(conn)
				})
			}
			c.request.Timeout = time.Second
			respondUnusually(1 << 20)
			tok, err := c.get()
			switch n := s.connections.Load(); {
			case unusual.complete && (err != nil || tok.Value != shortToken || n != 1):
				t.Errorf("%+v, %v, %d connections", tok, err, n)
			case !unusual.complete && err == nil:
				t.Errorf("a token: %+v", tok)
			case unusual.permanent && n != 1, n > maxRequests:
				t.Errorf("%d connections: %v", n, err)
			}
			if unusual.complete || unusual.permanent || unusual.timesOut {
				return
			}
			c.request.Timeout = time.Minute
			respondUnusually(1)
			if tok, err := c.get(); err != nil || tok.Value != shortToken {
				t.Errorf("a good response after the first: %+v, %v", tok, err)
			}
		})
	}
}

// The number of requests for a discovery document is limited too. net/http could resend this GET
// request itself if the server does not process it.
func TestRefusedDiscoveryIsRetriedWithinBounds(t *testing.T) {
	s := newRawServer(t, "h2")
	c := newTestCaller(t, s)
	c.request.AuthorityHost = "https://private.example/"
	c.request.DisableInstanceDiscovery = true
	c.request.Timeout = 2 * time.Second
	s.respondWith(func(conn *tls.Conn, _ int) { conn.Write(frames(http2Cases[0].write)) })
	_, err := c.get()
	// An attempt may open a second connection, which is not used.
	if n := s.connections.Load(); err == nil || n < maxRequests || n > 2*maxRequests {
		t.Errorf("%d connections, %v", n, err)
	}
	if text := token.Explain(err).Text; !strings.Contains(text, "has not processed") {
		t.Error(text)
	}
}
