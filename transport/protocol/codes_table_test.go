package protocol

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wire is the table of the documentation, written a second time on purpose.
const wire = `
ORIGIN_NOT_ALLOWED        403 0    no
UNAUTHORIZED              401 1008 no
FORBIDDEN                 403 1008 no
CONNECTION_LIMIT_EXCEEDED 429 1008 yes
CONNECTION_RATE_EXCEEDED  429 1008 yes
SESSION_LIMIT_EXCEEDED    429 1008 yes
RATE_LIMIT_EXCEEDED       429 0    yes
INVALID_SESSION           400 1008 no
INVALID_PRODUCT           400 1008 no
PRODUCT_NOT_FOUND         404 1008 no
INVALID_MESSAGE           400 0    no
UNSUPPORTED_TYPE          400 0    no
UNKNOWN_PROVIDER          400 0    no
UNKNOWN_MODEL             400 0    no
MESSAGE_TOO_BIG           413 1009 no
RUN_IN_PROGRESS           409 0    yes
NO_ACTIVE_RUN             409 0    no
RUN_NOT_FOUND             404 0    no
NO_WORKERS                503 0    yes
OVERLOADED                503 1013 yes
BUS_UNAVAILABLE           503 0    yes
PROVIDER_UNAUTHORIZED     401 0    no
PROVIDER_RATE_LIMITED     429 0    yes
PROVIDER_REJECTED         422 0    no
PROVIDER_UNAVAILABLE      502 0    yes
PROVIDER_TIMEOUT          504 0    yes
PROVIDER_INTERRUPTED      502 0    yes
WORKER_LOST               502 0    yes
INTERNAL                  500 1011 yes
SLOW_CONSUMER             0   1013 yes
IDLE_TIMEOUT              0   1000 yes
SHUTTING_DOWN             503 1001 yes`

func TestCodesMatchTheDocumentation(t *testing.T) {
	type row struct {
		code      Code
		http      int
		close     uint16
		retryable bool
	}
	var want, got []row
	for line := range strings.Lines(strings.TrimSpace(wire)) {
		f := strings.Fields(line)
		require.Len(t, f, 4)
		want = append(want, row{Code(f[0]), number(t, f[1]), uint16(number(t, f[2])), f[3] == "yes"})
	}
	for _, info := range Codes() {
		got = append(got, row{info.Code, info.HTTPStatus, info.Close, info.Retryable})
	}
	require.Equal(t, want, got)
}

func TestCodesHaveAdvice(t *testing.T) {
	seen := map[Code]bool{}
	for _, info := range Codes() {
		require.False(t, seen[info.Code], "%s is listed twice", info.Code)
		seen[info.Code] = true
		require.Equal(t, info, Lookup(info.Code))
		require.Greater(t, len(info.Advice), 20, info.Code)
		require.True(t, strings.HasSuffix(info.Advice, "."), info.Code)
		require.NotContains(t, info.Advice, "\n", info.Code)
	}
}

func TestCodesIsTheCallersOwn(t *testing.T) {
	Codes()[0].Code = "CHANGED"
	require.Equal(t, OriginNotAllowed, Codes()[0].Code)
}

func TestLookupOfAnUnknownCode(t *testing.T) {
	for _, c := range []Code{"", "NO_SUCH_CODE", "internal", `"`} {
		require.Equal(t, Internal, Lookup(c).Code)
	}
}

func TestErrorHasTwoFaces(t *testing.T) {
	e := NewError(Overloaded, "all workers are full", 3)
	require.Equal(t, &Error{Code: Overloaded, Message: "all workers are full", RetryAfter: 3}, e)
	require.Equal(t, "OVERLOADED: all workers are full", e.Error())

	cause := errors.New("no responders")
	e.Err = cause
	require.ErrorIs(t, e, cause)
	require.Equal(t, "OVERLOADED: all workers are full: no responders", e.Error())
	require.NotContains(t, string(AppendHTTPError(nil, e)), "responders")
}

func number(t *testing.T, s string) int {
	t.Helper()
	n := 0
	for _, c := range s {
		require.True(t, '0' <= c && c <= '9', s)
		n = n*10 + int(c-'0')
	}
	return n
}
