package cli

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/token"
)

func TestTimeoutCountsFromStart(t *testing.T) {
	o := options{started: time.Now().Add(-time.Hour)}
	request := token.Request{Timeout: 61 * time.Minute}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	ctx, _, end := startLogin(request, cache.Dir{Path: t.TempDir()}, o, log)
	defer end()
	if deadline, ok := ctx.Deadline(); !ok || !deadline.Equal(o.started.Add(request.Timeout)) {
		t.Errorf("the deadline is %s after the start", deadline.Sub(o.started))
	}
}
