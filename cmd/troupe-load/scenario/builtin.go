package scenario

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed scenarios/*.yaml
var files embed.FS

// mostBytes bounds a scenario file.
const mostBytes = 1 << 20

// Names are the built-in scenarios, in the order in which to learn about them.
func Names() []string {
	return []string{"idle", "paced", "firehose", "churn", "slow", "reconnect-storm", "mixed"}
}

// Source returns the YAML of a built-in scenario.
func Source(name string) ([]byte, error) {
	text, err := files.ReadFile(path.Join("scenarios", name+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("no scenario is called %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return text, nil
}

// Load reads a built-in scenario by its name, or a file: a name that has a
// slash, a dot or that exists is a file's.
func Load(nameOrFile string, overrides ...Override) (*Scenario, error) {
	text, err := Source(nameOrFile)
	if err != nil {
		info, statErr := os.Stat(nameOrFile)
		switch {
		case statErr != nil && !strings.ContainsAny(nameOrFile, "./\\"):
			return nil, err
		case errors.Is(statErr, os.ErrNotExist):
			return nil, fmt.Errorf("%s: there is no such file", nameOrFile)
		case statErr != nil:
			return nil, statErr
		case info.Size() > mostBytes:
			return nil, fmt.Errorf("%s: a scenario has at most %d bytes", nameOrFile, mostBytes)
		}
		if text, err = os.ReadFile(nameOrFile); err != nil {
			return nil, err
		}
	}
	return Parse(nameOrFile, text, overrides...)
}

// Plan writes the scenario as YAML with every default filled in.
func (s *Scenario) Plan() string {
	text, err := yaml.Marshal(s)
	if err != nil { // of types that marshal themselves to text
		return "# " + err.Error()
	}
	return string(text)
}
