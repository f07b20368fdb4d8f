package faulty

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kinds of model. Cut has its percentage behind it.
const (
	KindOK            = "ok"
	KindLimitedOnce   = "429-once"
	KindLimited       = "429"
	KindBrokenOnce    = "500-once"
	KindUnavailable   = "503"
	KindReset         = "reset"
	KindSilent        = "silent"
	KindSlowFirst     = "slow-first"
	KindCut           = "cut"
	KindStall         = "stall"
	KindMalformed     = "malformed"
	KindNoDone        = "no-done"
	KindTooLong       = "context-too-long"
	KindFiltered      = "content-filter"
	KindErrorInStream = "error-in-stream"
	KindPanic         = "panic"
	KindFlap          = "flap"
)

// Bounds of a model's parts.
const (
	maxPace   = 10 * time.Second
	slowFirst = 3 * time.Second // the silence of slow-first where its name says none
)

// ErrModel is in the chain of every error of ParseModel.
var ErrModel = errors.New("not a model of the faulty provider")

// Models are the names that are offered, without a pace; cut-50 stands for all
// percentages.
func Models() []string {
	names := kinds()
	for i, k := range names {
		if k == KindCut {
			names[i] = KindCut + "-50"
		}
	}
	return names
}

func kinds() []string {
	return []string{
		KindOK, KindLimitedOnce, KindLimited, KindBrokenOnce, KindUnavailable, KindReset, KindSilent,
		KindSlowFirst, KindCut, KindStall, KindMalformed, KindNoDone, KindTooLong, KindFiltered,
		KindErrorInStream, KindPanic, KindFlap,
	}
}

// Model is what a model's name says.
type Model struct {
	Kind    string
	Percent int           // of KindCut, 1 to 99
	Pace    time.Duration // between two events; of KindSlowFirst the silence before all
}

// ParseModel reads the grammar of the package documentation.
func ParseModel(name string) (Model, error) {
	m, rest := Model{}, name
	if strings.HasPrefix(name, KindSlowFirst) {
		m.Pace = slowFirst
	}
	if head, last, ok := cutLast(name); ok && last != "0" {
		if d, err := time.ParseDuration(last); err == nil && last[0] != '+' {
			if d > maxPace {
				return Model{}, fmt.Errorf("%q: %w: a pace is 0s to %s", name, ErrModel, maxPace)
			}
			m.Pace, rest = d, head
		}
	}
	if percent, ok := strings.CutPrefix(rest, KindCut+"-"); ok {
		n, err := strconv.ParseUint(percent, 10, 8)
		if err != nil || n < 1 || n > 99 {
			return Model{}, fmt.Errorf("%q: %w: use cut-1 to cut-99", name, ErrModel)
		}
		m.Kind, m.Percent = KindCut, int(n)
		return m, nil
	}
	for _, k := range kinds() {
		if k == rest && k != KindCut {
			m.Kind = k
			return m, nil
		}
	}
	return Model{}, fmt.Errorf("%q: %w: use one of %s, with a pace behind it if you like (ok-20ms)", name, ErrModel, strings.Join(Models(), ", "))
}

// cutLast cuts name before its last part.
func cutLast(name string) (head, last string, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 || i == len(name)-1 {
		return name, "", false
	}
	return name[:i], name[i+1:], true
}
