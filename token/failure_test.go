package token

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// memoryStore is the entry that the processes of a test share.
type memoryStore struct {
	mu   sync.Mutex
	data []byte
	lock chan struct{} // holds one element while nobody holds the lock
}

func newMemoryStore() *memoryStore {
	s := &memoryStore{lock: make(chan struct{}, 1)}
	s.lock <- struct{}{}
	return s
}

func (s *memoryStore) Get() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data == nil {
		return nil, errors.New("no entry")
	}
	return s.data, nil
}

func (s *memoryStore) Put(data []byte, _ string, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = data
	return nil
}

func (s *memoryStore) Lock(ctx context.Context, _ bool) (func(), error) {
	select {
	case <-s.lock:
		return func() { s.lock <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fakeServer answers each request after a second: with a refusal until it recovers, then with a
// token.
type fakeServer struct {
	refusal  Refusal
	recovers time.Time

	mu       sync.Mutex
	requests int
}

func (s *fakeServer) request() *Refusal {
	time.Sleep(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if time.Now().Before(s.recovers) {
		refusal := s.refusal
		return &refusal
	}
	return nil
}

// login runs a process that has a timeout. Its tries are those of package entra: four, with the
// pauses that the server asks for if there is time for them.
func (s *fakeServer) login(store *memoryStore, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	source := &reuseTokenSource{
		Options:     Options{}.withDefaults(),
		store:       &timeoutStore{store: store},
		lastOutcome: &entra.Outcome{},
	}
	r := Request{Login: "workloadidentity"}
	source.replay = func(f *failure) error {
		return replayFailure(f, r, source.Options, Login{}, entra.Client{LastOutcome: source.lastOutcome})
	}
	source.exchange = func(ctx context.Context, _ bool) (Token, error) {
		for try := 1; ; try++ {
			refusal := s.request()
			if refusal == nil {
				now := time.Now()
				return Token{Value: "a.b.c", Obtained: now, Expires: now.Add(time.Hour)}, nil
			}
			err := &exchangeError{r, map[string]string{}, refusal}
			pause := max(refusal.RetryAfter, 250*time.Millisecond)
			if refusal.Throttles() {
				source.shareThrottle(err)
			}
			deadline, _ := ctx.Deadline()
			if try == 4 || time.Until(deadline) <= pause {
				return Token{}, err
			}
			time.Sleep(pause)
		}
	}
	_, err := source.token(ctx)
	return err
}

// However many processes there are, and however long they wait for the lock, the server gets the
// requests of one.
func TestProcessesShareTransientFailures(t *testing.T) {
	const short, minute = 10 * time.Second, time.Minute
	for name, test := range map[string]struct {
		status             int
		retryAfter, outage time.Duration
		first, others      time.Duration // timeouts of a process, and of twenty that start after it
		requests, failed   int
	}{
		"outage":                       {503, 0, time.Hour, minute, minute, 4, 21},
		"short outage":                 {503, 0, 2 * time.Second, minute, minute, 2, 0},
		"the same pause again":         {429, time.Second, time.Hour, minute, minute, 4, 21},
		"a pause beyond the lock wait": {429, 25 * time.Second, 20 * time.Second, minute, minute, 2, 0},
		"a pause beyond the timeout":   {429, time.Hour, time.Hour, minute, minute, 1, 21},
		"time for the pause is left":   {429, 25 * time.Second, 20 * time.Second, short, minute, 2, 1},
		"no time for the pause":        {429, 25 * time.Second, 20 * time.Second, minute, short, 2, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &fakeServer{
					refusal:  Refusal{HTTPStatus: test.status, RetryAfter: test.retryAfter},
					recovers: time.Now().Add(test.outage),
				}
				store, errs := newMemoryStore(), make(chan error, 21)
				go func() { errs <- server.login(store, test.first) }()
				time.Sleep(time.Millisecond)
				for range 20 {
					go func() { errs <- server.login(store, test.others) }()
				}
				failed := 0
				for range cap(errs) {
					err := <-errs
					if err == nil {
						continue
					}
					failed++
					var refusal *Refusal
					if !errors.As(err, &refusal) || refusal.HTTPStatus != test.status {
						t.Error(err)
					}
				}
				if server.requests != test.requests || failed != test.failed {
					t.Errorf("%d requests, %d failed; want %+v", server.requests, failed, test)
				}
			})
		})
	}
}

// A failure answers for others only if their requests would have ended in the same way.
func TestOwnFailureIsNotShared(t *testing.T) {
	broken := errors.New("the connection broke")
	for name, test := range map[string]struct {
		cause error
		want  string // of the shared failure; "": it is not shared
	}{
		"nobody to ask":           {&signInNeededError{refused: &Refusal{HTTPStatus: 400, AADSTS: 50076}}, ""},
		"a program is missing":    {errors.New("az: not found"), ""},
		"expired federated token": {&Refusal{HTTPStatus: 401, AADSTS: entra.CodeAssertionExpired}, ""},
		"permanent refusal":       {&Refusal{HTTPStatus: 400, AADSTS: 700016}, "AADSTS700016: "},
		"outage":                  {&Refusal{HTTPStatus: 503}, "HTTP status 503, and the answer is not an error of Entra ID"},
		"broken connection":       {broken, "the connection broke"},
	} {
		source := &reuseTokenSource{
			Options:     Options{}.withDefaults(),
			lastOutcome: &entra.Outcome{Err: broken},
		}
		failed := &exchangeError{Request{}, map[string]string{}, test.cause}
		got := ""
		if cause := source.newFailure(t.Context(), failed).cause(); cause != nil {
			got = cause.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
