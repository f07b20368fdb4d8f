package provider

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// What a vendor says against a question takes no key out of service: the next one
// is asked where that may help, and nobody where it cannot.
func TestQuestionsAtFault(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   Fault
	}{
		"too large for the limit":   {429, `{"error":{"message":"Request too large for m-1 in organization o","type":"tokens","code":"rate_limit_exceeded"}}`, FaultKeyDenied},
		"too many":                  {429, `{"error":{"message":"Rate limit reached for m-1","type":"tokens","code":"rate_limit_exceeded"}}`, FaultLimited},
		"a model of somebody else":  {403, `{"error":{"message":"no access","code":"model_not_found"}}`, FaultKeyDenied},
		"flagged":                   {403, `{"error":{"message":"x","code":403,"metadata":{"reasons":["y"]}}}`, FaultNone},
		"a key that is not allowed": {403, `{"error":{"message":"Key limit exceeded","code":403,"metadata":{}}}`, FaultKeyDenied},
		"no chat model":             {404, `{"error":{"message":"This is not a chat model","param":"model","code":null}}`, FaultNone},
	} {
		v := verdict{status: tt.status, vendor: parseVendorError(gjson.Parse(tt.body))}
		code, _ := v.decide()
		require.Equal(t, tt.want, v.fault(code, false), name)
	}
}
