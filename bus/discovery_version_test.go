package bus

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSemanticVersion(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "v0.0.0-20261122062038-abcdef123456+dirty": "0.0.0-20261122062038-abcdef123456+dirty",
		"v1.2.3-rc.1": "1.2.3-rc.1", "v10.20.30+build.007": "10.20.30+build.007", "1.0.0-0a.-": "1.0.0-0a.-",
		"dev": unversioned, "": unversioned, "v1": unversioned, "v1.2": unversioned, "v1.2.3.4": unversioned, "vv1.2.3": unversioned,
		"v01.2.3": unversioned, "v1.2.3-": unversioned, "v1.2.3-01": unversioned, "v1.2.3 ": unversioned, "v1.2.3\n": unversioned,
		"v1.2.3+" + strings.Repeat("x", 200): unversioned,
	} {
		require.Equal(t, want, semanticVersion(version), "%q", version)
	}
}

func FuzzSemanticVersion(f *testing.F) {
	for _, seed := range []string{"", "dev", "v1.2.3", "1.2.3-rc.1+x", "v0.0.0-20261122062038-abcdef123456+dirty", "1.2.3-01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, version string) {
		got := semanticVersion(version)
		require.Regexp(t, `^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$`, got)
		require.Equal(t, got, semanticVersion(got), "a version that passed passes again")
	})
}
