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

// An http2Case is an answer in HTTP/2 that is not what a client hopes for. Whether it comes once or
// always, a login ends in time.
type http2Case struct {
	name      string
	write     func(f *http2.Framer) // nothing more comes; the client has to hang up
	complete  bool                  // it holds a whole answer all the same
	permanent bool                  // it is final: nothing is asked again
	timesOut  bool                  // it ends by the client's patience only
	flood     func(f *http2.Framer) error
}

var http2Cases = []http2Case{
	{name: "GOAWAY before the answer, which was not begun", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteGoAway(0, http2.ErrCodeNo, nil)
	}},
	{name: "GOAWAY before the answer, which was begun", timesOut: true, write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteGoAway(1, http2.ErrCodeInternal, []byte("token "+shortToken))
	}},
	{name: "GOAWAY, be calm", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil)
	}},
	{name: "GOAWAY in the midst of the answer", complete: true, write: func(f *http2.Framer) {
		writeGoodHeaders(f)
		f.WriteGoAway(1, http2.ErrCodeNo, nil)
		f.WriteData(1, true, []byte(shortResponse))
	}},
	{name: "reset at once", write: func(f *http2.Framer) { f.WriteSettings(); f.WriteRSTStream(1, http2.ErrCodeInternal) }},
	{name: "refused", write: func(f *http2.Framer) { f.WriteSettings(); f.WriteRSTStream(1, http2.ErrCodeRefusedStream) }},
	{name: "HTTP/1.1 is wanted", write: func(f *http2.Framer) { f.WriteSettings(); f.WriteRSTStream(1, http2.ErrCodeHTTP11Required) }},
	{name: "reset after the headers", write: func(f *http2.Framer) { writeGoodHeaders(f); f.WriteRSTStream(1, http2.ErrCodeCancel) }},
	{name: "reset in the body", write: func(f *http2.Framer) {
		writeGoodHeaders(f)
		f.WriteData(1, false, []byte(shortResponse[:70]))
		f.WriteRSTStream(1, http2.ErrCodeNo)
	}},
	{name: "reset after the end", complete: true, write: func(f *http2.Framer) { writeGoodResponse(f); f.WriteRSTStream(1, http2.ErrCodeNo) }},
	{name: "more than its length", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: headers(":status", "200", "content-length", "5")})
		f.WriteData(1, true, []byte(shortResponse))
	}},
	{name: "less than its length", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: headers(":status", "200", "content-length", "5000")})
		f.WriteData(1, true, []byte(shortResponse))
	}},
	{name: "a body before its headers", write: func(f *http2.Framer) { f.WriteSettings(); f.WriteData(1, true, []byte(shortResponse)) }},
	{name: "another stream's", write: func(f *http2.Framer) { f.WriteSettings(); f.WriteData(3, true, []byte(shortResponse)) }},
	{name: "a push", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true, BlockFragment: headers(":method", "GET", ":path", "/")})
	}},
	{name: "no frames", write: func(f *http2.Framer) { f.WriteRawFrame('H', 'T', 1<<30, []byte("TP/1.1 400 "+shortToken)) }},
	{name: "unknown frames", complete: true, write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteRawFrame(99, 7, 1, []byte(shortToken))
		writeGoodResponse(f)
	}},
	{name: "no answer", timesOut: true, write: func(f *http2.Framer) { f.WriteSettings() }},
	{name: "half an answer", timesOut: true, write: func(f *http2.Framer) { writeGoodHeaders(f); f.WriteData(1, false, []byte(shortResponse[:70])) }},
	{name: "an endless body", permanent: true, write: writeGoodHeaders, flood: func(f *http2.Framer) error { return f.WriteData(1, false, []byte(strings.Repeat(" ", 16<<10))) }},
	{name: "an endless body of nothing", timesOut: true, write: writeGoodHeaders, flood: func(f *http2.Framer) error { return f.WriteData(1, false, nil) }},
	{name: "endless headers", write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers(":status", "200")})
	}, flood: func(f *http2.Framer) error {
		return f.WriteContinuation(1, false, headers("x-token", strings.Repeat("a", 16000)))
	}},
	{name: "endless empty headers", timesOut: true, write: func(f *http2.Framer) {
		f.WriteSettings()
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers(":status", "200")})
	}, flood: func(f *http2.Framer) error { return f.WriteContinuation(1, false, nil) }},
	{name: "early hints for ever", timesOut: true, write: func(f *http2.Framer) { f.WriteSettings() }, flood: func(f *http2.Framer) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: headers(":status", "103", "link", strings.Repeat("a", 1000))})
	}},
	{name: "pings for ever", timesOut: true, write: func(f *http2.Framer) { f.WriteSettings() }, flood: func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) }},
	{name: "settings for ever", timesOut: true, write: func(f *http2.Framer) {}, flood: func(f *http2.Framer) error { return f.WriteSettings() }},
}

func TestUnusualHTTP2ResponsesEndInTime(t *testing.T) {
	for _, odd := range http2Cases {
		t.Run(odd.name, func(t *testing.T) {
			t.Parallel()
			p := newRawServer(t, "h2")
			c := newTestCaller(t, p)
			serve := func(times int) {
				p.connections.Store(0)
				p.respondWith(func(conn *tls.Conn, n int) {
					if n > times {
						conn.Write(frames(writeGoodResponse))
						return
					}
					gone := make(chan struct{})
					go func() { io.Copy(io.Discard, conn); close(gone) }() // acknowledgements and pongs
					f := http2.NewFramer(conn, nil)
					f.AllowIllegalWrites = true
					odd.write(f)
					for odd.flood != nil && odd.flood(f) == nil {
					}
					<-gone
				})
			}
			c.request.Timeout = time.Second
			serve(1 << 20)
			tok, err := c.get()
			switch n := p.connections.Load(); {
			case odd.complete && (err != nil || tok.Value != shortToken || n != 1):
				t.Errorf("%+v, %v, asked %d times", tok, err, n)
			case !odd.complete && err == nil:
				t.Errorf("a token: %+v", tok)
			case odd.permanent && n != 1, n > maxRequests:
				t.Errorf("asked %d times: %v", n, err)
			}
			if odd.complete || odd.permanent || odd.timesOut {
				return
			}
			c.request.Timeout = time.Minute
			serve(1)
			if tok, err := c.get(); err != nil || tok.Value != shortToken {
				t.Errorf("with a whole answer the next time: %+v, %v", tok, err)
			}
		})
	}
}

// A document that is asked for on the way is no reason for a storm either: here net/http could
// repeat the request without our help.
func TestRefusedDiscoveryIsRetriedWithinBounds(t *testing.T) {
	p := newRawServer(t, "h2")
	c := newTestCaller(t, p)
	c.request.AuthorityHost, c.request.DisableInstanceDiscovery, c.request.Timeout = "https://private.example/", true, 2*time.Second
	p.respondWith(func(conn *tls.Conn, _ int) { conn.Write(frames(http2Cases[0].write)) })
	_, err := c.get()
	if n := p.connections.Load(); err == nil || n < maxRequests || n > 2*maxRequests { // the second connection of a try is not used
		t.Errorf("%d connections, %v", n, err)
	}
	if said := token.Explain(err).Text; !strings.Contains(said, "has not begun") {
		t.Error(said)
	}
}
